//! What runners ask for (`runner-protocol.md`): register, take jobs, report, send and fetch files.

mod artifacts;
mod assign;
mod candidates;
mod claim;
mod dependencies;
mod desk;
mod division;
mod external_secrets;
mod greet;
mod handout;
mod material;
mod payload;
mod register;
mod report;
mod service;
mod table;
mod trace;

use std::time::Duration;

use footplate_model::{Job, JobId, Runner, Status, Timestamp};
use footplate_store::{
    Tx, jobs,
    queue::{self, Running},
    runners, token_hash,
};

pub use artifacts::{ArtifactUpload, Uploaded};
pub use assign::Offered;
pub(crate) use dependencies::artifact_sources;
pub(crate) use desk::Desk;
pub use greet::{JobRequest, RunnerInfo};
pub use payload::{Assignment, Dependency};
pub use register::{Registered, Registration, RunnerOwner};
pub use report::{Report, ReportOutcome};
pub(crate) use table::Table;
pub use trace::{TraceChunk, TraceOutcome};

use crate::{App, Error, Result};

/// Tokens longer than this are not looked up.
pub(crate) const TOKEN_LIMIT: usize = 512;

/// The runner of a token; 403 for one that is not valid any more (`runner-protocol.md §1.6`).
pub(crate) async fn runner_of(tx: &mut Tx<'_>, token: &str, now: Timestamp) -> Result<Runner> {
    if token.len() > TOKEN_LIMIT {
        return Err(Error::FORBIDDEN);
    }
    runners::find_by_token(tx, &token_hash(token))
        .await?
        .filter(|runner| runner.token_expires_at.is_none_or(|end| end > now))
        .ok_or(Error::FORBIDDEN)
}

/// A job that a token speaks for, or why it may not.
pub(crate) enum TokenJob {
    /// It executes, and this is its token.
    Executing(Box<Job>, Running),
    /// The token is not the job's, or dead. The status is told where the job is known.
    Refused(Option<Status>),
}

/// Finds a job by id and job token.
pub(crate) async fn job_of(tx: &mut Tx<'_>, id: JobId, token: &str) -> Result<TokenJob> {
    let job = jobs::find(tx, id).await?;
    let status = job.as_ref().map(|job| job.status);
    if token.len() > TOKEN_LIMIT {
        return Ok(TokenJob::Refused(status));
    }
    let running = queue::find_running_by_token(tx, &token_hash(token)).await?;
    Ok(match (job, running) {
        (Some(job), Some(running))
            if running.job_id == id && job.status.is_executing() && job.erased_at.is_none() =>
        {
            TokenJob::Executing(Box::new(job), running)
        }
        _ => TokenJob::Refused(status),
    })
}

/// Contact is written at most this often.
const CONTACT: Duration = Duration::from_secs(20);

/// The runner called for the job: it lives, and so does its runner. Asked for when [`App::contact_is_due`]; `false` when the job
/// was taken back from it meanwhile, because nobody had called for too long.
pub(crate) async fn note_contact(
    tx: &mut Tx<'_>,
    job: &Job,
    running: &Running,
    now: Timestamp,
) -> Result<bool> {
    if !queue::touch_running(tx, running, now).await? {
        return Ok(false);
    }
    if !running.acked {
        jobs::set_acked(tx, job.id, now).await?;
    }
    runners::touch(tx, running.runner_id, true, now).await?;
    if let Some(manager) = job.runner_manager_id {
        runners::touch_manager(tx, manager, now).await?;
    }
    Ok(true)
}

impl App {
    /// Whether contact with the runner of a job has to be written down: its first call, and then often enough that none of the
    /// spans after which it counts as lost can end while it calls.
    pub(crate) fn contact_is_due(&self, running: &Running, now: Timestamp) -> bool {
        let settings = self.settings();
        let every = CONTACT.min(settings.silent.min(settings.canceling) / 4);
        !running.acked || now.since(running.seen_at) >= every
    }

    /// Seconds until the runner should report again.
    pub fn update_interval(&self, job: JobId) -> u64 {
        if self.is_watched(job) { 3 } else { 10 }
    }
}
