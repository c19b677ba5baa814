//! Jobs: script jobs, bridges and external statuses in one table.

use crate::{
    ArtifactId, FailureReason, JobId, JobKind, PipelineId, ProjectId, RunnerId, RunnerManagerId,
    SchedulingType, Status, Timestamp, UserId, When, words::words,
};

words! {
    /// Where a job's timeout came from.
    TimeoutSource { Project = "project_timeout_source", Job = "job_timeout_source", Runner = "runner_timeout_source" }
}

/// One artifact, as the job row keeps it for lists.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ArtifactSummary {
    /// `archive`, `junit`, …
    pub file_type: String,
    /// Bytes.
    pub size: i64,
    /// Name of the file.
    pub filename: String,
    /// `zip`, `gzip`, `raw`.
    pub file_format: Option<String>,
}

/// A need of a job on another of its pipeline.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Need {
    /// Expanded name of the job.
    pub name: String,
    /// Its artifacts are wanted.
    pub artifacts: bool,
    /// It may be absent.
    pub optional: bool,
}

/// A job. What the compiler knows of it beyond these columns stands in its definition (JSON).
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Id in the sequence that all kinds share.
    pub id: JobId,
    /// Script job, bridge or external status.
    pub kind: JobKind,
    /// Its project.
    pub project_id: ProjectId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Expanded name.
    pub name: String,
    /// Name of its stage.
    pub stage: String,
    /// Position of its stage.
    pub stage_idx: i64,
    /// Status.
    pub status: Status,
    /// `when` after rules.
    pub when: When,
    /// A failure does not fail the pipeline.
    pub allow_failure: bool,
    /// Follows stages or needs.
    pub scheduling_type: SchedulingType,
    /// Needs inside the pipeline.
    pub needs: Vec<Need>,
    /// Branch or tag name.
    pub ref_name: String,
    /// The ref is a tag.
    pub tag: bool,
    /// The ref is protected.
    pub protected: bool,
    /// Who triggered this attempt.
    pub user_id: Option<UserId>,
    /// Runner tags, sorted.
    pub tag_list: Vec<String>,
    /// The row of its compiled definition, which retried attempts share.
    pub definition_id: i64,
    /// Seconds to wait of a delayed job.
    pub start_in: Option<i64>,
    /// Expanded name of the environment.
    pub environment: Option<String>,
    /// Expanded key of the resource group.
    pub resource_group: Option<String>,
    /// May be canceled by a newer pipeline.
    pub interruptible: bool,
    /// A newer attempt exists.
    pub retried: bool,
    /// The last pass has seen its status.
    pub processed: bool,
    /// A retried manual or delayed job starts without waiting again.
    pub enqueue_immediately: bool,
    /// Exit code that the runner reported.
    pub exit_code: Option<i64>,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// Coverage in percent.
    pub coverage: Option<f64>,
    /// Pattern for it, without slashes.
    pub coverage_regex: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Entering pending.
    pub queued_at: Option<Timestamp>,
    /// Entering running.
    pub started_at: Option<Timestamp>,
    /// Entering success, failed or canceled.
    pub finished_at: Option<Timestamp>,
    /// When a delayed job starts.
    pub scheduled_at: Option<Timestamp>,
    /// Erasure.
    pub erased_at: Option<Timestamp>,
    /// Who erased it.
    pub erased_by: Option<UserId>,
    /// The runner that has or had it.
    pub runner_id: Option<RunnerId>,
    /// Its machine.
    pub runner_manager_id: Option<RunnerManagerId>,
    /// Seconds; fixed at assignment.
    pub timeout: Option<i64>,
    /// Where the timeout came from.
    pub timeout_source: Option<TimeoutSource>,
    /// First authenticated call of the runner for this job.
    pub acked_at: Option<Timestamp>,
    /// The runner that has it reports `cancel_gracefully`.
    pub graceful_cancel: bool,
    /// Ran in debug mode.
    pub debug: bool,
    /// A trace exists.
    pub has_trace: bool,
    /// Bytes of a finished trace.
    pub trace_size: Option<i64>,
    /// Times the final report did not fit the trace (412 answered).
    pub trace_resends: i64,
    /// Artifacts for lists.
    pub artifacts: Vec<ArtifactSummary>,
    /// When they expire; `None` = never, kept or none.
    pub artifacts_expire_at: Option<Timestamp>,
    /// Minimum role for the archive, 0 = as the builds.
    pub artifacts_access: i64,
    /// The downstream pipeline of a bridge.
    pub downstream_pipeline_id: Option<PipelineId>,
    /// Messages of a downstream that could not be made.
    pub bridge_errors: Option<String>,
    /// URL of an external status.
    pub target_url: Option<String>,
    /// Description of an external status.
    pub description: Option<String>,
}

impl Job {
    /// Seconds from start to end, or to now (`rest-api.md §4.9`).
    pub fn duration(&self, now: Timestamp) -> Option<f64> {
        self.started_at
            .map(|start| self.finished_at.unwrap_or(now).seconds_since(start))
    }

    /// Seconds in the queue; stops at the end of a job that never started.
    pub fn queued_duration(&self, now: Timestamp) -> Option<f64> {
        self.queued_at.map(|queued| {
            self.started_at
                .or(self.finished_at)
                .unwrap_or(now)
                .seconds_since(queued)
        })
    }

    /// The archive, when it exists and has not expired.
    pub fn archive(&self, now: Timestamp) -> Option<&ArtifactSummary> {
        let expired = self.artifacts_expire_at.is_some_and(|end| end <= now);
        self.artifacts
            .iter()
            .find(|artifact| artifact.file_type == "archive")
            .filter(|_| !expired)
    }
}

/// A stored artifact file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Id.
    pub id: ArtifactId,
    /// Its job.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// `archive`, `junit`, …
    pub file_type: String,
    /// `zip`, `gzip`, `raw`.
    pub file_format: Option<String>,
    /// Name of the file.
    pub filename: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Where the bytes are.
    pub blob_key: String,
    /// When it goes; `None` = never.
    pub expire_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
}
