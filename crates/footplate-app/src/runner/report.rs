//! A runner reports how a job stands (`runner-protocol.md §4.6`).

use footplate_model::{FailureReason, JobId, Status};
use footplate_pipeline::Event;
use footplate_store::{Tx, jobs};

use super::{TokenJob, job_of, note_contact};
use crate::{
    App, Error, Result,
    movement::{happen_to, key, load},
};

/// So often a trace is asked for again.
const RESENDS: i64 = 2;

/// What a runner reports.
#[derive(Debug, Clone)]
pub struct Report {
    /// Job token.
    pub token: String,
    /// `running`, `success`, `failed`, `pending`.
    pub state: String,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// As the script left it.
    pub exit_code: Option<i64>,
    /// `crc32:` and 8 hex digits, over the whole trace.
    pub checksum: Option<String>,
    /// Bytes of the whole trace.
    pub bytesize: Option<u64>,
}

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// Taken; the job has this status now.
    Taken(Status),
    /// The trace is not what the runner wrote: send it again (412).
    SendAgain(Status),
    /// The token does not speak for an executing job (403).
    Refused(Option<Status>),
}

enum Checked {
    Fine,
    Resend(Status),
    Refused(Option<Status>),
}

impl App {
    /// Takes a report.
    ///
    /// # Errors
    /// 400 for a state that is none.
    pub async fn report_job(&self, id: JobId, report: Report) -> Result<ReportOutcome> {
        match report.state.as_str() {
            "running" | "pending" => self.heartbeat(id, report).await,
            "success" | "failed" => {
                match self.check_trace(id, &report).await? {
                    Checked::Fine => {}
                    Checked::Resend(status) => return Ok(ReportOutcome::SendAgain(status)),
                    Checked::Refused(status) => return Ok(ReportOutcome::Refused(status)),
                }
                self.end(id, report).await
            }
            _ => Err(Error::Parameter(
                "state does not have a valid value".to_owned(),
            )),
        }
    }

    async fn heartbeat(&self, id: JobId, report: Report) -> Result<ReportOutcome> {
        let now = self.now();
        let token = report.token.clone();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| job_of(tx, id, &token).await)
            .await?;
        let (job, running) = match found {
            TokenJob::Executing(job, running) => (job, running),
            TokenJob::Refused(status) => return Ok(ReportOutcome::Refused(status)),
        };
        let status = job.status;
        if !self.contact_is_due(&running, now) {
            return Ok(ReportOutcome::Taken(status));
        }
        let still = self
            .db()
            .write(async move |tx: &mut Tx<'_>| note_contact(tx, &job, &running, now).await)
            .await?;
        Ok(match still {
            true => ReportOutcome::Taken(status),
            false => ReportOutcome::Refused(None),
        })
    }

    /// Whether all bytes of the trace are here. What is missing is asked for at most twice.
    async fn check_trace(&self, id: JobId, report: &Report) -> Result<Checked> {
        let wanted = report.checksum.as_deref().and_then(crc);
        if wanted.is_none() && report.bytesize.is_none() {
            return Ok(Checked::Fine);
        }
        let state = self.traces().state(id).await?;
        let (size, crc32) = state.map_or((0, 0), |state| (state.size, state.crc32));
        let whole = report.bytesize.is_none_or(|bytes| bytes <= size)
            && wanted.is_none_or(|wanted| wanted == crc32);
        if whole {
            return Ok(Checked::Fine);
        }
        let token = report.token.clone();
        let asked = self
            .db()
            .write(
                async move |tx: &mut Tx<'_>| match job_of(tx, id, &token).await? {
                    TokenJob::Executing(job, _) if job.trace_resends < RESENDS => {
                        jobs::count_trace_resend(tx, id).await?;
                        Ok(Checked::Resend(job.status))
                    }
                    TokenJob::Executing(..) => Ok(Checked::Fine),
                    TokenJob::Refused(status) => Ok::<_, Error>(Checked::Refused(status)),
                },
            )
            .await?;
        match asked {
            Checked::Resend(_) => self.traces().reset(id).await?,
            Checked::Fine => {
                tracing::warn!(job = %id, "a trace does not have the checksum that its runner reports");
            }
            Checked::Refused(_) => {}
        }
        Ok(asked)
    }

    async fn end(&self, id: JobId, report: Report) -> Result<ReportOutcome> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = match job_of(tx, id, &report.token).await? {
                    TokenJob::Executing(job, _) => job,
                    TokenJob::Refused(status) => return Ok(ReportOutcome::Refused(status)),
                };
                let Some(loaded) = load(tx, job.pipeline_id).await? else {
                    return Ok(ReportOutcome::Refused(None));
                };
                // Behind the lock: another report may have been first.
                let status = loaded.job(id).map(|job| job.status);
                if !status.is_some_and(Status::is_executing) {
                    return Ok(ReportOutcome::Refused(status));
                }
                let event = if report.state == "success" {
                    Event::Succeed(key(id))
                } else {
                    let reason = match report.failure_reason.as_deref() {
                        None | Some("") => FailureReason::ScriptFailure,
                        Some(word) => {
                            FailureReason::parse(word).unwrap_or(FailureReason::UnknownFailure)
                        }
                    };
                    let exit_code = report.exit_code.map(|code| code.clamp(0, 32_767));
                    Event::Drop {
                        job: key(id),
                        reason,
                        exit_code,
                    }
                };
                happen_to(tx, &loaded, event, now).await?.done()?;
                let status = jobs::find(tx, id).await?.map(|job| job.status);
                Ok::<_, Error>(ReportOutcome::Taken(status.unwrap_or(Status::Failed)))
            })
            .await
    }
}

/// The number behind `crc32:`.
fn crc(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("crc32:")?, 16).ok()
}
