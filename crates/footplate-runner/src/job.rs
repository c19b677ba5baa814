//! One job from its sources to its report.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Config, Error, artifacts, cache,
    client::Client,
    leftovers::{Record, kill_marked},
    mask::Masker,
    payload::Payload,
    shell::{Ended, Place, script},
    sources,
    trace::{Sender, Trace, Wish},
    variables::Environment,
};

/// `after_script` may take so long.
const AFTER_SCRIPT: Duration = Duration::from_secs(300);
/// Without a limit from the server.
const DEFAULT_TIMEOUT: u64 = 7200;

/// How a job ended.
enum Outcome {
    Success,
    Failed {
        reason: &'static str,
        exit_code: Option<i32>,
        text: String,
    },
}

impl Outcome {
    fn failed(reason: &'static str, text: impl Into<String>) -> Self {
        Self::Failed {
            reason,
            exit_code: None,
            text: text.into(),
        }
    }

    fn of(ended: Ended) -> Self {
        match ended {
            Ended::Code(0) => Self::Success,
            Ended::Code(code) => Self::Failed {
                reason: "script_failure",
                exit_code: Some(code),
                text: format!("exit code {code}"),
            },
            Ended::Timeout => Self::failed(
                "job_execution_timeout",
                "execution took longer than its timeout",
            ),
            Ended::Canceled => Self::failed("job_canceled", "canceled"),
        }
    }

    fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }
}

/// A job under way.
pub(crate) struct Execution<'e> {
    pub(crate) config: &'e Config,
    pub(crate) client: Client,
    pub(crate) job: Payload,
    pub(crate) slot: usize,
    /// The runner is told to stop.
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

impl Execution<'_> {
    /// Runs the job and reports its end.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let record = Record::write(
            &self.config.folder.join("state"),
            self.job.id,
            &self.job.token,
        )?;
        let said = self.client.heartbeat(self.job.id, &self.job.token).await?;
        if said.aborts() {
            record.remove();
            return Ok(());
        }
        let masked = self
            .job
            .variables
            .iter()
            .filter(|variable| variable.masked)
            .filter_map(|variable| variable.value.clone());
        let trace = Trace::new(Masker::new(masked), self.job.features.trace_sections)?;
        let (wish, wishes) = watch::channel(Wish::GoOn);
        let done = Arc::new(Notify::new());
        if said.cancels() {
            wish.send_replace(Wish::Cancel);
        }
        let sender = Sender {
            client: self.client.clone(),
            id: self.job.id,
            token: self.job.token.clone(),
            trace: trace.clone(),
            wish,
            done: done.clone(),
        };
        let sending = tokio::spawn(sender.run());
        let outcome = tokio::select! {
            outcome = self.execute(&trace, wishes, &record) => match outcome {
                Ok(outcome) => outcome,
                Err(Error::Job(text)) => Outcome::failed("script_failure", text),
                Err(error) => Outcome::failed("runner_system_failure", error.to_string()),
            },
            () = self.stop.cancelled() => Outcome::failed("runner_system_failure", "the runner is stopping"),
        };
        kill_marked(&record.mark);
        let report = match &outcome {
            Outcome::Success => {
                trace.line("\x1b[32;1mJob succeeded\x1b[0;m");
                json!({"state": "success"})
            }
            Outcome::Failed {
                reason,
                exit_code,
                text,
            } => {
                trace.line(&format!("\x1b[31;1mERROR: Job failed: {text}\x1b[0;m"));
                json!({"state": "failed", "failure_reason": reason, "exit_code": exit_code})
            }
        };
        done.notify_one();
        let (sender, offset) = sending
            .await
            .map_err(|error| Error::Job(error.to_string()))?;
        sender.finish(offset, report).await?;
        record.remove();
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        let path = self
            .job
            .variables
            .iter()
            .find(|variable| variable.key == "CI_PROJECT_PATH");
        let path = path
            .and_then(|variable| variable.value.clone())
            .unwrap_or_default();
        let parts = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != "." && *part != "..");
        let short: String = self
            .config
            .token
            .split_once('-')
            .map_or(self.config.token.as_str(), |(_, rest)| rest)
            .chars()
            .take(9)
            .collect();
        let mut folder = self
            .config
            .folder
            .join("builds")
            .join(short)
            .join(self.slot.to_string());
        folder.extend(parts);
        folder
    }

    async fn execute(
        &self,
        trace: &Trace,
        mut wishes: watch::Receiver<Wish>,
        record: &Record,
    ) -> Result<Outcome, Error> {
        let began = Instant::now();
        let limit = Duration::from_secs(if self.job.runner_info.timeout == 0 {
            DEFAULT_TIMEOUT
        } else {
            self.job.runner_info.timeout
        });
        let folder = self.folder();
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        trace.line(&format!(
            "\x1b[0KRunning with footplate-runner {} on {}",
            env!("CARGO_PKG_VERSION"),
            self.config.name
        ));
        drop(trace.section("prepare_executor", "Preparing the \"shell\" executor"));
        self.tell_images(trace);
        let temporary = folder.with_file_name(format!(
            "{}.tmp",
            folder.file_name().unwrap_or_default().to_string_lossy()
        ));
        let mut environment =
            Environment::new(&self.job.variables, &self.own(&folder), &temporary)?;
        let left = || limit.saturating_sub(began.elapsed());
        let ended = {
            let _section = trace.section("get_sources", "Getting source from Git repository");
            let place = self.place(&folder, &environment, record, trace);
            if let Some(ended) = self
                .hook("pre_get_sources_script", &place, left(), &mut wishes)
                .await?
            {
                return Ok(Outcome::of(ended));
            }
            let ended = sources::fetch(&place, &self.job, &mut wishes).await?;
            if ended == Ended::Code(0) {
                self.hook("post_get_sources_script", &place, left(), &mut wishes)
                    .await?
                    .unwrap_or(ended)
            } else {
                ended
            }
        };
        if ended != Ended::Code(0) {
            return Ok(Outcome::of(ended));
        }
        if self
            .job
            .cache
            .as_ref()
            .is_some_and(|caches| !caches.is_empty())
        {
            let _section = trace.section("restore_cache", "Restoring cache");
            cache::restore(
                &self.config.folder.join("cache"),
                &self.job,
                &folder,
                &environment,
                trace,
            )
            .await;
        }
        if self
            .job
            .dependencies
            .as_ref()
            .is_some_and(|sources| !sources.is_empty())
        {
            let _section = trace.section("download_artifacts", "Downloading artifacts");
            artifacts::download(&self.client, &self.job, &folder, trace).await?;
        }
        let mut outcome = Outcome::Success;
        for step in self
            .job
            .steps
            .iter()
            .filter(|step| step.name != "after_script")
        {
            let _section = trace.section(
                "step_script",
                &format!("Executing \"step_{}\" stage of the job script", step.name),
            );
            let place = self.place(&folder, &environment, record, trace);
            let text = script(&step.script, &self.config.shell);
            outcome = Outcome::of(place.run(&text, left(), &mut wishes, Wish::GoOn).await?);
            if !outcome.is_success() {
                break;
            }
        }
        if *wishes.borrow() == Wish::Abort {
            return Ok(outcome);
        }
        let status = match &outcome {
            Outcome::Success => "success",
            Outcome::Failed {
                reason: "job_canceled",
                ..
            } => "canceled",
            Outcome::Failed { .. } => "failed",
        };
        environment.set("CI_JOB_STATUS", status);
        self.after(&folder, &environment, record, trace, &mut wishes)
            .await?;
        let success = outcome.is_success();
        if self
            .job
            .cache
            .as_ref()
            .is_some_and(|caches| !caches.is_empty())
        {
            let _section = trace.section("archive_cache", "Saving cache");
            cache::keep(
                &self.config.folder.join("cache"),
                &self.job,
                &folder,
                success,
                &environment,
                trace,
            )
            .await;
        }
        if self
            .job
            .artifacts
            .as_ref()
            .is_some_and(|specs| !specs.is_empty())
        {
            let _section = trace.section("upload_artifacts", "Uploading artifacts");
            let sent = artifacts::upload(
                &self.client,
                &self.job,
                &folder,
                success,
                &environment,
                trace,
            )
            .await;
            if let (Err(error), true) = (sent, success) {
                outcome = Outcome::failed("script_failure", error.to_string());
            }
        }
        let _ = std::fs::remove_dir_all(&temporary);
        Ok(outcome)
    }

    fn tell_images(&self, trace: &Trace) {
        if let Some(image) = &self.job.image {
            trace.line(&format!("\x1b[0;33mWARNING: the image {} is not used: this runner executes on the host's shell\x1b[0;m", image.name));
        }
        for service in self.job.services.iter().flatten() {
            trace.line(&format!("\x1b[0;33mWARNING: the service {} is not started: this runner executes on the host's shell\x1b[0;m", service.name));
        }
    }

    /// Variables that the runner itself sets (`runner-protocol.md §2.8`).
    fn own(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let short: String = self
            .config
            .token
            .split_once('-')
            .map_or(self.config.token.as_str(), |(_, rest)| rest)
            .chars()
            .take(9)
            .collect();
        vec![
            ("CI_PROJECT_DIR", folder.to_string_lossy().into_owned()),
            (
                "CI_BUILDS_DIR",
                self.config
                    .folder
                    .join("builds")
                    .to_string_lossy()
                    .into_owned(),
            ),
            ("CI_CONCURRENT_ID", self.slot.to_string()),
            ("CI_CONCURRENT_PROJECT_ID", self.slot.to_string()),
            ("CI_SERVER", "yes".to_owned()),
            ("CI_JOB_STATUS", "running".to_owned()),
            ("CI_JOB_TIMEOUT", self.job.runner_info.timeout.to_string()),
            ("CI_RUNNER_SHORT_TOKEN", short),
            ("CI_RUNNER_VERSION", env!("CARGO_PKG_VERSION").to_owned()),
            ("CI_RUNNER_REVISION", "built-in".to_owned()),
            (
                "CI_RUNNER_EXECUTABLE_ARCH",
                format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            ),
            ("CI_SHARED_ENVIRONMENT", "true".to_owned()),
        ]
    }

    fn place<'p>(
        &'p self,
        folder: &'p Path,
        environment: &'p Environment,
        record: &'p Record,
        trace: &'p Trace,
    ) -> Place<'p> {
        Place {
            shell: &self.config.shell,
            folder,
            environment,
            mark: &record.mark,
            trace,
        }
    }

    /// Runs a hook; how it ended unless it went well or is not there.
    async fn hook(
        &self,
        name: &str,
        place: &Place<'_>,
        limit: Duration,
        wishes: &mut watch::Receiver<Wish>,
    ) -> Result<Option<Ended>, Error> {
        let Some(hook) = self
            .job
            .hooks
            .iter()
            .flatten()
            .find(|hook| hook.name == name)
        else {
            return Ok(None);
        };
        let ended = place
            .run(
                &script(&hook.script, &self.config.shell),
                limit,
                wishes,
                Wish::GoOn,
            )
            .await?;
        Ok(Some(ended).filter(|ended| *ended != Ended::Code(0)))
    }

    /// `after_script` has a shell and a limit of its own and does not change the outcome.
    async fn after(
        &self,
        folder: &Path,
        environment: &Environment,
        record: &Record,
        trace: &Trace,
        wishes: &mut watch::Receiver<Wish>,
    ) -> Result<(), Error> {
        let Some(step) = self
            .job
            .steps
            .iter()
            .find(|step| step.name == "after_script")
        else {
            return Ok(());
        };
        let _section = trace.section("after_script", "Running after_script");
        let text = script(&step.script, &self.config.shell);
        let ended = self
            .place(folder, environment, record, trace)
            .run(&text, AFTER_SCRIPT, wishes, Wish::Cancel)
            .await?;
        if ended != Ended::Code(0) {
            trace.line(
                "\x1b[0;33mWARNING: after_script failed, but job will continue unaffected\x1b[0;m",
            );
        }
        Ok(())
    }
}
