//! What a step decided, as data.

use footplate_model::{Status, Timestamp, UserId};

use crate::snapshot::{JobKey, JobState, PipelineState};

/// Something that the application has to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Effect {
    /// Write a job's new state.
    UpdateJob(JobState),
    /// Make a new attempt of a job, a copy of it with this state.
    InsertJob {
        /// The attempt before.
        from: JobKey,
        /// The new one.
        job: JobState,
    },
    /// Write a stage's status.
    SetStage {
        /// Position of the stage.
        position: i64,
        /// Its status.
        status: Status,
    },
    /// Write the pipeline's state.
    SetPipeline(PipelineState),
    /// A script job became pending: runners may take it.
    Offer(JobKey),
    /// A script job is no longer pending.
    Withdraw(JobKey),
    /// A job waits for its resource group.
    RequestResource(JobKey),
    /// A job with a resource group is complete.
    ReleaseResource(JobKey),
    /// A bridge became pending: make its downstream pipeline.
    StartBridge(JobKey),
    /// A bridge was canceled: cancel its downstream pipeline.
    CancelDownstream(JobKey),
    /// A job is no longer executing: its token dies, its trace is complete.
    JobEnded(JobKey),
    /// A delayed job wants to start at this time.
    SetTimer {
        /// The job.
        job: JobKey,
        /// When.
        at: Timestamp,
    },
    /// The bridge that started this pipeline has to hear its status.
    TellUpstream(Status),
    /// Something is tried again here: a bridge that waits for this pipeline opens again.
    ReopenUpstream {
        /// Who did it.
        user: Option<UserId>,
    },
}

impl Effect {
    /// The same for jobs by other keys: those of a pipeline whose jobs got their ids after it was decided.
    #[must_use]
    pub fn with_keys(self, other: impl Fn(JobKey) -> JobKey) -> Self {
        let with_key = |job: JobState| JobState {
            key: other(job.key),
            ..job
        };
        match self {
            Self::UpdateJob(job) => Self::UpdateJob(with_key(job)),
            Self::InsertJob { from, job } => Self::InsertJob {
                from: other(from),
                job: with_key(job),
            },
            Self::Offer(job) => Self::Offer(other(job)),
            Self::Withdraw(job) => Self::Withdraw(other(job)),
            Self::RequestResource(job) => Self::RequestResource(other(job)),
            Self::ReleaseResource(job) => Self::ReleaseResource(other(job)),
            Self::StartBridge(job) => Self::StartBridge(other(job)),
            Self::CancelDownstream(job) => Self::CancelDownstream(other(job)),
            Self::JobEnded(job) => Self::JobEnded(other(job)),
            Self::SetTimer { job, at } => Self::SetTimer {
                job: other(job),
                at,
            },
            Self::SetStage { .. }
            | Self::SetPipeline(_)
            | Self::TellUpstream(_)
            | Self::ReopenUpstream { .. } => self,
        }
    }
}
