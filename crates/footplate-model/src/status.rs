//! The one list of statuses, shared by jobs, stages and pipelines (`pipeline-processing.md §3`).

use crate::words::words;

words! {
    /// A status of a job, stage or pipeline. The integers are GitLab's.
    Status {
        Created = "created",
        Pending = "pending",
        Running = "running",
        Success = "success",
        Failed = "failed",
        Canceled = "canceled",
        Skipped = "skipped",
        Manual = "manual",
        Scheduled = "scheduled",
        Preparing = "preparing",
        WaitingForResource = "waiting_for_resource",
        WaitingForCallback = "waiting_for_callback",
        Canceling = "canceling",
    }
}

/// The status of a job.
pub type JobStatus = Status;

impl Status {
    /// waiting_for_resource, preparing, waiting_for_callback, pending or running.
    pub fn is_active(self) -> bool {
        match self {
            Self::WaitingForResource
            | Self::Preparing
            | Self::WaitingForCallback
            | Self::Pending
            | Self::Running => true,
            Self::Created
            | Self::Success
            | Self::Failed
            | Self::Canceled
            | Self::Skipped
            | Self::Manual
            | Self::Scheduled
            | Self::Canceling => false,
        }
    }

    /// running or canceling: a runner has it and its job token works.
    pub fn is_executing(self) -> bool {
        matches!(self, Self::Running | Self::Canceling)
    }

    /// running, success or failed.
    pub fn is_started(self) -> bool {
        matches!(self, Self::Running | Self::Success | Self::Failed)
    }

    /// success, failed, canceled or skipped.
    pub fn is_completed(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Failed | Self::Canceled | Self::Skipped
        )
    }

    /// manual or scheduled.
    pub fn is_blocked(self) -> bool {
        matches!(self, Self::Manual | Self::Scheduled)
    }

    /// completed or blocked.
    pub fn is_stopped(self) -> bool {
        self.is_completed() || self.is_blocked()
    }

    /// Everything except completed and blocked.
    pub fn is_alive(self) -> bool {
        !self.is_stopped()
    }

    /// alive or scheduled, but not canceling.
    pub fn is_cancelable(self) -> bool {
        (self.is_alive() || self == Self::Scheduled) && self != Self::Canceling
    }
}
