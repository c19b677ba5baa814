//! Pipelines and their stages.

use crate::{
    JobId, OnJobFailure, OnNewCommit, PipelineFailureReason, PipelineId, PipelineSource, ProjectId,
    StageId, Status, Timestamp, UserId, VariableType,
};

/// A pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Id in the instance.
    pub id: PipelineId,
    /// Number in the project.
    pub iid: i64,
    /// Its project.
    pub project_id: ProjectId,
    /// Branch or tag name, without `refs/`.
    pub ref_name: String,
    /// The ref is a tag.
    pub tag: bool,
    /// The commit.
    pub sha: String,
    /// The previous head of the ref; 40 zeros where there is none.
    pub before_sha: String,
    /// Where it came from.
    pub source: PipelineSource,
    /// Who made it.
    pub user_id: Option<UserId>,
    /// The composite of its jobs.
    pub status: Status,
    /// The ref is protected.
    pub protected: bool,
    /// `workflow:name`.
    pub name: Option<String>,
    /// Messages of a configuration that could not be used.
    pub yaml_errors: Option<String>,
    /// Why it has no jobs.
    pub failure_reason: Option<PipelineFailureReason>,
    /// `workflow:auto_cancel:on_job_failure`.
    pub on_job_failure: OnJobFailure,
    /// `workflow:auto_cancel:on_new_commit`.
    pub on_new_commit: OnNewCommit,
    /// The bridge that started it.
    pub source_job_id: Option<JobId>,
    /// The pipeline of that bridge, when it is in the same project (child pipeline).
    pub parent_id: Option<PipelineId>,
    /// Levels below the root parent; 0 for ordinary pipelines.
    pub depth: i64,
    /// The newer pipeline that made this one redundant.
    pub auto_canceled_by: Option<PipelineId>,
    /// When the commit was made.
    pub committed_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// First time running.
    pub started_at: Option<Timestamp>,
    /// Success, failed or canceled.
    pub finished_at: Option<Timestamp>,
    /// Seconds in which at least one job ran.
    pub duration: Option<i64>,
    /// Counts writers; locking is writing it (DESIGN §4).
    pub lock_version: i64,
}

/// A variable given with a pipeline or played job; never print its value.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GivenVariable {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// Environment or file.
    pub variable_type: VariableType,
    /// Not expanded.
    #[serde(default)]
    pub raw: bool,
}

impl std::fmt::Debug for GivenVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenVariable")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A stage of a pipeline that has jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Id.
    pub id: StageId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Index in the configuration's list, `.pre` = 0.
    pub position: i64,
    /// Name.
    pub name: String,
    /// As the last processing pass wrote it.
    pub status: Status,
}
