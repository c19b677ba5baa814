//! `serve --demo`: a project with a real configuration, run before your eyes (DESIGN §12).

use std::{collections::HashMap, io::IsTerminal as _, path::Path, process::Stdio};

use footplate_app::{
    Actor, App, Credential, Error, NewCommit, NewPipeline, NewProject, PipelineJobs, ProjectRef,
    can,
    runner::{Registration, RunnerOwner},
    secrets::{ACCESS_TOKEN_PREFIX, random_text, random_token},
};
use footplate_git::{Action, Change};
use footplate_model::{JobId, JobKind, PipelineId, PipelineSource, Status};
use footplate_store::Topic;
use serde_json::{Value as Json, json};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use crate::{config::Config, server::Server};

/// The configuration that is shown.
const CONFIGURATION: &str = include_str!("demo.gitlab-ci.yml");
const README: &str =
    "# Demo\n\nMade by `footplate serve --demo`. Change `.gitlab-ci.yml` and push.\n";

/// What the demo keeps between starts, readable by its owner alone.
fn file(config: &Config) -> std::path::PathBuf {
    config.data.join("demo.json")
}

fn read(path: &Path) -> Json {
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn write(path: &Path, values: &Json) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(values.to_string().as_bytes())?;
    file.sync_all()
}

/// Gives the demo's administrator a token and a password where none are given: those of the last start, or new ones.
///
/// # Errors
/// When the data directory cannot be written.
pub fn prepare(config: &mut Config) -> std::io::Result<()> {
    let path = file(config);
    let mut known = read(&path);
    let mut choose = |name: &str, given: &Option<String>, fresh: String| {
        let text = given
            .clone()
            .or_else(|| known[name].as_str().map(str::to_owned))
            .unwrap_or(fresh);
        known[name] = json!(text);
        Some(text)
    };
    let token = choose(
        "token",
        &config.root_token,
        random_token(ACCESS_TOKEN_PREFIX),
    );
    let password = choose("password", &config.root_password, random_text(16));
    (config.root_token, config.root_password) = (token, password);
    std::fs::create_dir_all(&config.data)?;
    write(&path, &known)
}

/// Makes the project where it is not there, runs its pipeline and shows it to the end.
///
/// # Errors
/// When something of it cannot be made.
pub async fn run(server: &Server, config: &Config) -> Result<Child, Error> {
    let app = &server.app;
    let path = file(config);
    let mut known = read(&path);
    let token = known["token"].as_str().unwrap_or_default().to_owned();
    let root = app
        .authenticate(Credential::AccessToken(token.clone()))
        .await?;
    let runner = match known["runner"].as_str() {
        Some(runner) => runner.to_owned(),
        None => {
            let user = root.user_id().ok_or(Error::UNAUTHORIZED)?;
            let new = Registration {
                description: "built-in runner".to_owned(),
                run_untagged: true,
                ..Registration::default()
            };
            app.create_runner(new, RunnerOwner::Instance, user)
                .await?
                .token
        }
    };
    known["runner"] = json!(runner);
    write(&path, &known).map_err(Error::internal)?;
    let child = start_runner(app, server, &runner)
        .await
        .map_err(Error::internal)?;
    let pipeline = begin(app, &root).await?;
    let status = show(app, &root, pipeline).await?;
    println!();
    println!(
        "pipeline #{pipeline} {status}: {}",
        app.url(&format!("/root/demo/-/pipelines/{pipeline}"))
    );
    println!(
        "sign in at {} as root with the password {}",
        app.url("/users/sign_in"),
        known["password"].as_str().unwrap_or_default()
    );
    println!("access token {token}");
    let url = app.url(&format!(
        "/api/v4/projects/root%2Fdemo/pipelines/{pipeline}/jobs"
    ));
    println!("curl --header \"PRIVATE-TOKEN: {token}\" \"{url}\"");
    println!("The server stays up; Ctrl-C ends it.");
    Ok(child)
}

/// Starts the built-in runner as a process of its own; it ends when our end of its standard input closes.
async fn start_runner(app: &App, server: &Server, token: &str) -> std::io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("runner")
        .arg("--url")
        .arg(format!(
            "http://{}{}",
            server.address,
            app.settings().server.root_path()
        ))
        .arg("--folder")
        .arg(server.data().runner())
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(format!("{token}\n").as_bytes()).await?;
    }
    Ok(child)
}

/// The first time a commit that starts the pipeline, later a pipeline for what is there.
async fn begin(app: &App, root: &Actor) -> Result<PipelineId, Error> {
    let project = ProjectRef::Path("root/demo".to_owned());
    let known = app
        .authorize::<can::PushCode>(root.clone(), project.clone())
        .await;
    let (access, fresh) = match known {
        Ok(access) => {
            let empty = access.project().default_branch.is_none();
            (access, empty)
        }
        Err(Error::NotFound(_)) => {
            let new = NewProject {
                path: Some("demo".to_owned()),
                description: "A first pipeline".to_owned(),
                ..NewProject::default()
            };
            app.create_project(root, new).await?;
            (
                app.authorize::<can::PushCode>(root.clone(), project.clone())
                    .await?,
                true,
            )
        }
        Err(error) => return Err(error),
    };
    if fresh {
        let change = |path: &str, text: &'static str| Change {
            path: path.to_owned(),
            action: Action::Create(text.into()),
            executable: None,
            last_commit: None,
        };
        let new = NewCommit {
            branch: "main".to_owned(),
            start: None,
            message: "A first pipeline".to_owned(),
            author_name: None,
            author_email: None,
            changes: vec![
                change(".gitlab-ci.yml", CONFIGURATION),
                change("README.md", README),
            ],
        };
        let commit = app.create_commit(&access, new).await?;
        let made = app
            .last_pipeline_of(access.project_id(), commit.id.to_string())
            .await?;
        return made
            .map(|pipeline| pipeline.id)
            .ok_or_else(|| Error::internal("the commit made no pipeline"));
    }
    let access = app
        .authorize::<can::CreatePipeline>(root.clone(), project)
        .await?;
    let branch = access
        .project()
        .default_branch
        .clone()
        .unwrap_or_else(|| "main".to_owned());
    let new = NewPipeline {
        ref_name: branch,
        ..NewPipeline::default()
    };
    Ok(app
        .create_pipeline(&access, new, PipelineSource::Web)
        .await?
        .pipeline
        .id)
}

/// Prints a line for each job whenever its status changes, until the pipeline is complete.
async fn show(app: &App, root: &Actor, id: PipelineId) -> Result<Status, Error> {
    let mut woken = app.db().subscribe(Topic::Pipeline(id));
    let project = ProjectRef::Path("root/demo".to_owned());
    let access = app
        .authorize::<can::ReadPipeline>(root.clone(), project)
        .await?;
    let colours = std::io::stdout().is_terminal();
    let mut seen: HashMap<JobId, Status> = HashMap::new();
    loop {
        let which = PipelineJobs {
            kind: JobKind::Build,
            scope: Default::default(),
            include_retried: true,
            limit: 100,
            offset: 0,
        };
        let (mut jobs, _) = app.list_pipeline_jobs(&access, id, which).await?;
        jobs.reverse();
        for view in jobs {
            let job = view.job;
            if seen.insert(job.id, job.status) != Some(job.status) && job.status != Status::Created
            {
                let time = job
                    .duration(view.now)
                    .map(|seconds| format!("{seconds:.1} s"))
                    .unwrap_or_default();
                println!(
                    "{}",
                    line(&job.name, &job.stage, job.status, &time, colours)
                );
            }
        }
        let view = app.show_pipeline(&access, id).await?;
        if view.pipeline.status.is_completed() || view.pipeline.status == Status::Manual {
            return Ok(view.pipeline.status);
        }
        tokio::select! {
            () = woken.woken() => {}
            () = tokio::time::sleep(std::time::Duration::from_secs(5)) => {}
        }
    }
}

fn line(name: &str, stage: &str, status: Status, time: &str, colours: bool) -> String {
    let word = format!("{:<9}", status.as_str());
    let code = match status {
        Status::Success => "32",
        Status::Failed => "31",
        Status::Running | Status::Pending => "36",
        _ => "33",
    };
    let word = if colours {
        format!("\x1b[{code}m{word}\x1b[0m")
    } else {
        word
    };
    format!("{word}  {name:<16} {stage:<8} {time}")
}
