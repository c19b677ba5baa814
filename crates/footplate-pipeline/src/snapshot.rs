//! A pipeline as the engine sees it.

use footplate_model::{
    FailureReason, JobId, JobKind, OnJobFailure, SchedulingType, Status, Timestamp,
    TriggerStrategy, UserId, When,
};

use crate::effect::Effect;

/// A job's name inside a snapshot: its id, or a number for one that is not stored yet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum JobKey {
    /// Stored.
    Stored(JobId),
    /// Made in this step; the application gives it an id.
    New(u32),
}

/// `retry` of a job after defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RetryPolicy {
    /// At most so many further attempts.
    pub max: i64,
    /// Failure reasons, or `always`.
    pub when: Vec<String>,
    /// Exit codes.
    pub exit_codes: Vec<i64>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobState {
    /// Its key.
    pub key: JobKey,
    /// Script job, bridge or external status.
    pub kind: JobKind,
    /// Expanded name.
    pub name: String,
    /// Position of its stage.
    pub stage: i64,
    /// Status.
    pub status: Status,
    /// `when` after rules.
    pub when: When,
    /// Seconds to wait of a delayed job.
    pub start_in: Option<i64>,
    /// A failure does not count.
    pub allow_failure: bool,
    /// Only these exit codes are allowed to fail; `None` = no such list.
    pub allow_failure_exit_codes: Option<Vec<i64>>,
    /// Follows stages or needs.
    pub scheduling: SchedulingType,
    /// Names of needed jobs.
    pub needs: Vec<String>,
    /// A newer attempt exists.
    pub retried: bool,
    /// The last pass has seen its status.
    pub processed: bool,
    /// Starts without waiting again.
    pub enqueue_immediately: bool,
    /// `retry`.
    pub retry: RetryPolicy,
    /// As reported.
    pub exit_code: Option<i64>,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// Expanded key of its resource group.
    pub resource_group: Option<String>,
    /// May be canceled by a newer pipeline.
    pub interruptible: bool,
    /// Its runner lets it end by itself when canceled.
    pub graceful_cancel: bool,
    /// `trigger:strategy` of a bridge.
    pub strategy: Option<TriggerStrategy>,
    /// A bridge's downstream pipeline was made.
    pub has_downstream: bool,
    /// Who triggered this attempt.
    pub user: Option<UserId>,
    /// Entering pending.
    pub queued_at: Option<Timestamp>,
    /// Entering running.
    pub started_at: Option<Timestamp>,
    /// Entering success, failed or canceled.
    pub finished_at: Option<Timestamp>,
    /// When a delayed job starts.
    pub scheduled_at: Option<Timestamp>,
}

/// One stage that has jobs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StageState {
    /// Position.
    pub position: i64,
    /// As the last pass wrote it.
    pub status: Status,
}

/// The pipeline itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PipelineState {
    /// Composite of its jobs.
    pub status: Status,
    /// First time running.
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Option<Timestamp>,
    /// Whole seconds in which at least one job ran.
    pub duration: Option<i64>,
    /// `workflow:auto_cancel:on_job_failure`.
    pub on_job_failure: OnJobFailure,
    /// A bridge started it.
    pub has_upstream: bool,
}

/// Everything that a step looks at: all jobs, retried attempts included.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// The pipeline.
    pub pipeline: PipelineState,
    /// Its stages in order.
    pub stages: Vec<StageState>,
    /// Its jobs in the order of their ids.
    pub jobs: Vec<JobState>,
}

impl Snapshot {
    /// Does to the snapshot what the application does to the rows.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::UpdateJob(job) => {
                if let Some(known) = self.jobs.iter_mut().find(|known| known.key == job.key) {
                    known.clone_from(job);
                }
            }
            Effect::InsertJob { job, .. } => self.jobs.push(job.clone()),
            Effect::SetStage { position, status } => {
                if let Some(stage) = self
                    .stages
                    .iter_mut()
                    .find(|stage| stage.position == *position)
                {
                    stage.status = *status;
                }
            }
            Effect::SetPipeline(pipeline) => self.pipeline = pipeline.clone(),
            Effect::Offer(_)
            | Effect::Withdraw(_)
            | Effect::RequestResource(_)
            | Effect::ReleaseResource(_)
            | Effect::StartBridge(_)
            | Effect::CancelDownstream(_)
            | Effect::JobEnded(_)
            | Effect::SetTimer { .. }
            | Effect::TellUpstream(_)
            | Effect::ReopenUpstream { .. } => {}
        }
    }

    /// Jobs that are not retried.
    pub fn latest(&self) -> impl Iterator<Item = &JobState> {
        self.jobs.iter().filter(|job| !job.retried)
    }

    /// The job with this key.
    pub fn job(&self, key: JobKey) -> Option<&JobState> {
        self.jobs.iter().find(|job| job.key == key)
    }
}
