//! `footplate why`: what decided about a job, of a pipeline on a server or of a file that has none yet.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::Value as Json;

use super::lint::{PipelineFlags, colours, compile, faults, print, read, why};

/// Longest wait for a server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Options of `footplate why`.
#[derive(Debug, Args)]
pub struct Why {
    /// The job; without one every job is told.
    job: Option<String>,
    /// A configuration on disk, for a pipeline that the flags describe.
    #[arg(long, default_value = ".gitlab-ci.yml", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    flags: PipelineFlags,
    /// A pipeline's id: the server tells what decided when it was made. Needs --project and --server.
    #[arg(long, value_name = "ID", requires = "project", requires = "server")]
    pipeline: Option<u64>,
    /// Address of the server.
    #[arg(long, env = "FOOTPLATE_SERVER", value_name = "URL")]
    server: Option<String>,
    /// An access token for it.
    #[arg(
        long,
        env = "FOOTPLATE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Why {
    /// Exits 0 when it can tell, 1 where the job or pipeline is not there or the configuration has faults, 2 for wrong usage.
    pub fn run(self) -> ExitCode {
        let told = match self.pipeline {
            Some(id) => self.told_by_server(id),
            None => self.told_by_file(),
        };
        match told {
            Ok(object) => self.tell(&object),
            Err((code, message)) => {
                eprint!("{message}");
                ExitCode::from(code)
            }
        }
    }

    /// The why of every job, in the form in which a server answers it.
    fn told_by_file(&self) -> Result<Json, (u8, String)> {
        let text = read(&self.file).map_err(|error| {
            let file = self.file.display();
            (2, format!("footplate why: {file}: {error}\n"))
        })?;
        let context = Some(self.flags.described());
        match compile(&self.file, &text, &self.flags, context).compiled {
            Ok(compiled) => Ok(compiled.why().shown(true)),
            Err(found) => {
                let shown = faults(&found.errors, &found.warnings, &found.files, colours());
                Err((1, shown))
            }
        }
    }

    fn told_by_server(&self, id: u64) -> Result<Json, (u8, String)> {
        let (server, project) = (self.server.as_deref(), self.flags.project());
        let (Some(server), Some(project)) = (server, project) else {
            return Err((
                2,
                "footplate why: --server and --project are needed\n".to_owned(),
            ));
        };
        let project = project.replace('%', "%25").replace('/', "%2F");
        let server = server.trim_end_matches('/');
        let url = format!("{server}/api/footplate/v1/projects/{project}/pipelines/{id}/why");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| (1, format!("footplate why: {error}\n")))?;
        runtime
            .block_on(ask(&url, self.token.as_deref()))
            .map_err(|error| (1, format!("footplate why: {error}\n")))
    }

    fn tell(&self, object: &Json) -> ExitCode {
        let mut text = String::new();
        let mut found = false;
        if self.job.is_none() && !object["workflow"].is_null() {
            text = format!("the pipeline\n  {}", why(&object["workflow"]));
        }
        for (key, sentence) in [
            ("jobs", "is in the pipeline"),
            ("absent", "is not in the pipeline"),
        ] {
            for (name, reason) in object[key].as_object().into_iter().flatten() {
                if self.job.as_ref().is_none_or(|job| job == name) {
                    found = true;
                    text.push_str(&format!("{name} {sentence}\n  {}", why(reason)));
                }
            }
        }
        if let Some(job) = self.job.as_deref().filter(|_| !found) {
            let known = ["jobs", "absent"].map(|key| object[key].as_object());
            let names = known.iter().flatten().flat_map(|list| list.keys());
            let help = footplate_ci::did_you_mean(job, names.map(String::as_str));
            let help = help.map_or_else(String::new, |help| format!("; {help}"));
            eprintln!("footplate why: the configuration has no job `{job}`{help}");
            return ExitCode::from(1);
        }
        print(&if self.json {
            format!("{object}\n")
        } else {
            text
        });
        ExitCode::SUCCESS
    }
}

async fn ask(url: &str, token: Option<&str>) -> Result<Json, String> {
    footplate_runner::install_crypto_provider();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.header("PRIVATE-TOKEN", token);
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body: Json = answer.json().await.map_err(|error| error.to_string())?;
    if status.is_success() {
        return Ok(body);
    }
    let message = body["message"].as_str().or(body["error"].as_str());
    Err(format!("{status}: {}", message.unwrap_or_default()))
}
