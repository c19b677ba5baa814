//! What a compilation makes: the pipeline and its jobs, as the server stores them.

mod job;
mod options;
mod report;

use footplate_model::{OnJobFailure, OnNewCommit};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use job::{CompiledJob, CrossDependency, Instance, RootVariables, YamlVariable};
pub use options::{
    Access, ArtifactWhen, Artifacts, Cache, CacheKey, CoverageReport, Environment, Image,
    JobOptions, Names, Policy, Release, ReleaseLink, Retry, Service, Trigger, TriggerForward,
};
pub use report::{Diagnostic, Place, Severity};

use crate::why::Why;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A pipeline with jobs.
    Created,
    /// `workflow:rules` want none.
    Filtered,
    /// No job is left (`ci-yaml.md §22`).
    Empty,
}

impl Outcome {
    /// GitLab's message where there is no pipeline.
    pub const fn message(self) -> Option<&'static str> {
        match self {
            Self::Created => None,
            Self::Filtered => Some("Pipeline filtered out by workflow rules."),
            Self::Empty => Some(
                "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.",
            ),
        }
    }
}

/// A global variable, with what the form of a manual run shows (`ci-yaml.md §20.1`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalVariable {
    /// Value; `None` when only a description was given.
    pub value: Option<String>,
    /// Text beside the field.
    pub description: Option<String>,
    /// Values to choose from.
    pub options: Option<Vec<String>>,
    /// `expand: false`.
    pub raw: bool,
}

/// `workflow`, with what the matched rule changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Name of the pipeline; expanded when there is a pipeline.
    pub name: Option<String>,
    /// `auto_cancel:on_new_commit`.
    pub on_new_commit: Option<OnNewCommit>,
    /// `auto_cancel:on_job_failure`.
    pub on_job_failure: Option<OnJobFailure>,
    /// The rules after normalising; `None` when there are none.
    pub rules: Option<serde_json::Value>,
    /// Variables of the matched rule.
    pub variables: IndexMap<String, YamlVariable>,
}

/// A file that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedFile {
    /// `local`, `project`, `remote`, `template`, `component` or `artifact`.
    pub kind: String,
    /// Its location as it was written, expanded.
    pub location: String,
    /// Where it was included; `None` for the root file.
    pub place: Option<Place>,
}

/// A whole compiled configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompiledPipeline {
    /// What became of it.
    pub outcome: Outcome,
    /// All stages, `.pre` first and `.post` last.
    pub stages: Vec<String>,
    /// `workflow`.
    pub workflow: Workflow,
    /// Global variables.
    pub variables: IndexMap<String, GlobalVariable>,
    /// Jobs in order.
    pub jobs: Vec<CompiledJob>,
    /// Warnings; they do not stop anything.
    pub warnings: Vec<Diagnostic>,
    /// Every file, the root file first.
    pub includes: Vec<IncludedFile>,
    /// The configuration after includes, `extends` and references, in YAML.
    pub merged_yaml: String,
    /// One entry a visible job, also for those that are not in the pipeline, and one for the workflow.
    pub why: Vec<Why>,
}
