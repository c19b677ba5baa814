//! What may happen to a pipeline, and the log of it.

use footplate_model::{FailureReason, Status, Timestamp, UserId};

use crate::{
    machine::step,
    snapshot::{JobKey, Snapshot},
};

/// Something that happened or was asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Event {
    /// Look at everything again: after creation, on the tick.
    Process,
    /// A runner took the job.
    Run(JobKey),
    /// The job was handed out, but its runner never called: it may be taken again.
    Requeue(JobKey),
    /// The job ended well.
    Succeed(JobKey),
    /// The job failed.
    Drop {
        /// The job.
        job: JobKey,
        /// Why.
        reason: FailureReason,
        /// As reported.
        exit_code: Option<i64>,
    },
    /// Cancel one job; `force` ends one that is canceling.
    Cancel {
        /// The job.
        job: JobKey,
        /// Do not wait for the runner.
        force: bool,
    },
    /// Cancel everything that can be.
    CancelPipeline,
    /// Start a manual or delayed job, or retry a finished one.
    Play {
        /// The job.
        job: JobKey,
        /// Who.
        user: UserId,
    },
    /// A delayed job waits for a person instead.
    Unschedule(JobKey),
    /// The time of a delayed job has come.
    Timer(JobKey),
    /// A new attempt of one job.
    Retry {
        /// The job.
        job: JobKey,
        /// Who.
        user: UserId,
    },
    /// New attempts of everything that failed or was canceled.
    RetryPipeline {
        /// Who.
        user: UserId,
    },
    /// The resource group is the job's.
    ResourceGranted(JobKey),
    /// The bridge's downstream pipeline was made.
    DownstreamCreated(JobKey),
    /// The downstream pipeline has this status now.
    DownstreamMoved {
        /// The bridge.
        job: JobKey,
        /// Status of its downstream.
        status: Status,
    },
    /// Something downstream is tried again.
    DownstreamReopened {
        /// The bridge.
        job: JobKey,
        /// Who did it.
        user: Option<UserId>,
    },
}

/// Why an event does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// No such job in this pipeline.
    #[error("no such job in this pipeline")]
    NoSuchJob,
    /// `rest-api.md §5.4`
    #[error("job is not retryable: status is {0}")]
    NotRetryable(Status),
    /// `rest-api.md §5.4`
    #[error("job is not playable: status is {0}")]
    NotPlayable(Status),
    /// The transition is not in the table of `pipeline-processing.md §6`.
    #[error("a job that is {from} cannot {event}")]
    Transition {
        /// The event's word.
        event: &'static str,
        /// Where the job is.
        from: Status,
    },
}

/// One line of a pipeline's event log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// Plays a log from a beginning; events that did not fit then do not fit now.
pub fn replay(mut snapshot: Snapshot, log: &[EventRecord]) -> Snapshot {
    for record in log {
        if let Ok(effects) = step(&snapshot, record.event.clone(), record.at) {
            effects.iter().for_each(|effect| snapshot.apply(effect));
        }
    }
    snapshot
}
