//! A runner sends a piece of a trace (`runner-protocol.md §4.2`, `§4.3`).

use std::sync::Arc;

use bytes::Bytes;
use footplate_blob::{Appended, Secrets};
use footplate_model::{FailureReason, Job, JobId, Status};
use footplate_pipeline::Event;
use footplate_store::{Topic, Tx, jobs, projects, queue::Running};

use super::{TokenJob, job_of, note_contact};
use crate::{
    App, Error, Result,
    movement::key,
    variables::secrets::{Around, Protected, fitting},
};

/// A piece of a trace.
#[derive(Debug, Clone)]
pub struct TraceChunk {
    /// Job token.
    pub token: String,
    /// Where its first byte belongs.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Bytes,
    /// The job shows its secrets.
    pub debug: bool,
}

/// The answer to a piece of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOutcome {
    /// Kept; bytes in all.
    Kept(Status, u64),
    /// It does not begin where the trace ends (416); bytes in all.
    Elsewhere(Status, u64),
    /// Not any more (403).
    Refused(Option<Status>),
}

impl App {
    /// Appends a piece to a trace. Nothing is written to the database but now and then the contact.
    ///
    /// # Errors
    /// Failures of the disk.
    pub async fn receive_trace(&self, id: JobId, chunk: TraceChunk) -> Result<TraceOutcome> {
        let token = chunk.token.clone();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| job_of(tx, id, &token).await)
            .await?;
        let (job, running) = match found {
            TokenJob::Executing(job, running) => (job, running),
            TokenJob::Refused(status) => return Ok(TraceOutcome::Refused(status)),
        };
        let status = job.status;
        let debug = chunk.debug && chunk.offset == 0;
        let first = !job.has_trace || (debug && !job.debug);
        let due = first || self.contact_is_due(&running, self.now());
        if due && !self.note_trace(*job, running, debug).await? {
            return Ok(TraceOutcome::Refused(None));
        }
        // Runners mask values of variables; what only the server knows is masked here.
        let secrets = self.secrets_of(id, &chunk.token).await?;
        let limit = self.settings().trace_limit;
        let appended = self
            .traces()
            .append(id, chunk.offset, chunk.bytes, &secrets, limit)
            .await?;
        match appended {
            Appended::Stored { size } => {
                self.db().wake(Topic::Job(id));
                Ok(TraceOutcome::Kept(status, size))
            }
            Appended::Refused { size } => Ok(TraceOutcome::Elsewhere(status, size)),
            Appended::TooLarge { .. } => {
                self.fail_too_large(id).await?;
                Ok(TraceOutcome::Refused(Some(Status::Failed)))
            }
        }
    }

    /// What must not be seen in a job's trace: its token and the values of masked variables of its project and groups.
    async fn secrets_of(&self, id: JobId, token: &str) -> Result<Arc<Secrets>> {
        if let Some(known) = self.known_secrets(id) {
            return Ok(known);
        }
        let (keys, token) = (self.keys().clone(), token.to_owned());
        let values = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let mut values = vec![token.clone()];
                let Some(job) = jobs::find(tx, id).await? else {
                    return Ok(values);
                };
                if let Some(project) = projects::find(tx, job.project_id).await? {
                    let around = Around::read(tx, &keys, &project).await?;
                    let all = around.secrets(Protected::on(job.protected));
                    let list = fitting(all, job.environment.as_deref());
                    values.extend(
                        list.0
                            .into_iter()
                            .filter(|variable| variable.masked)
                            .map(|variable| variable.value),
                    );
                }
                Ok::<_, Error>(values)
            })
            .await?;
        Ok(self.remember_secrets(id, Secrets::new(values)))
    }

    /// `false` when the job was taken back from its runner meanwhile.
    async fn note_trace(&self, job: Job, running: Running, debug: bool) -> Result<bool> {
        let now = self.now();
        let due = self.contact_is_due(&running, now);
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if due && !note_contact(tx, &job, &running, now).await? {
                    return Ok(false);
                }
                if !job.has_trace || debug {
                    jobs::set_has_trace(tx, job.id, debug).await?;
                }
                Ok(true)
            })
            .await
    }

    async fn fail_too_large(&self, id: JobId) -> Result<()> {
        let Some(job) = self.find_job(id).await? else {
            return Ok(());
        };
        let event = Event::Drop {
            job: key(id),
            reason: FailureReason::TraceSizeExceeded,
            exit_code: None,
        };
        self.move_pipeline(job.pipeline_id, event).await?;
        Ok::<_, Error>(())
    }
}
