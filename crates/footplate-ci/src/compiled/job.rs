//! A compiled job: what decides about it, and what it does.

use footplate_model::{JobKind, Need, SchedulingType, When};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{JobOptions, Place};

/// A value of `variables`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct YamlVariable {
    /// Text.
    pub value: String,
    /// Whether `expand` was written, and what it makes of the value: `Some(true)` is `expand: false`.
    pub raw: Option<bool>,
}

impl YamlVariable {
    /// Whether references in the value stay text.
    pub fn is_raw(&self) -> bool {
        self.raw == Some(true)
    }
}

/// `inherit:variables`: which global variables the job sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RootVariables {
    /// All or none.
    All(bool),
    /// The named ones.
    Named(Vec<String>),
}

/// An instance of a parallel job (`ci-yaml.md §14`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its number, from 1.
    pub index: usize,
    /// How many there are.
    pub total: usize,
    /// The matrix values of this instance; empty for `parallel: N`.
    pub matrix: IndexMap<String, String>,
}

/// A need on another project or pipeline (`ci-yaml.md §13.1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossDependency {
    /// Project; may hold variables.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub project: Option<String>,
    /// Ref of that project; may hold variables.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub ref_name: Option<String>,
    /// Pipeline id, or a variable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pipeline: Option<String>,
    /// Job; `None` for a status bridge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<String>,
    /// Whether its artifacts are downloaded.
    pub artifacts: bool,
}

/// One job of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompiledJob {
    /// Build or bridge.
    pub kind: JobKind,
    /// Name with the suffix of its instance.
    pub name: String,
    /// Name before `parallel` was expanded.
    pub base_name: String,
    /// Name under which pages group it.
    pub group_name: String,
    /// Stage.
    pub stage: String,
    /// Number of the stage; `.pre` is 0.
    pub stage_idx: usize,
    /// When it runs, after rules.
    pub when: When,
    /// Delay in seconds.
    pub start_in: Option<u64>,
    /// Delay as it was written.
    pub start_in_text: Option<String>,
    /// Whether its failure stops nothing.
    pub allow_failure: bool,
    /// Exit codes that are allowed to fail.
    pub allow_failure_exit_codes: Option<Vec<i64>>,
    /// By stage or by needs.
    pub scheduling_type: SchedulingType,
    /// Needs in this pipeline; `None` when not given, which is not the same as none.
    pub needs: Option<Vec<Need>>,
    /// Needs given by rules, each list for its own check.
    pub rule_needs: Vec<Vec<Need>>,
    /// Needs on other projects and pipelines.
    pub cross_dependencies: Vec<CrossDependency>,
    /// Jobs whose artifacts are wanted; `None` when not given.
    pub dependencies: Option<Vec<String>>,
    /// Tags a runner must have.
    pub tags: Vec<String>,
    /// Whether a newer pipeline may cancel it; `None` when not given.
    pub interruptible: Option<bool>,
    /// Resource group as written.
    pub resource_group: Option<String>,
    /// Resource group with its variables expanded, where that can be done before the job exists.
    pub resource_group_expanded: Option<String>,
    /// Environment's name with its variables expanded, where that can be done before the job exists.
    pub environment_expanded: Option<String>,
    /// Coverage pattern without its slashes.
    pub coverage_regex: Option<String>,
    /// `timeout` in seconds.
    pub timeout: Option<u64>,
    /// Which instance of a parallel job it is.
    pub instance: Option<Instance>,
    /// Its own variables, with matrix values and those of the matched rule.
    pub variables: IndexMap<String, YamlVariable>,
    /// Variables of the matched rule alone.
    pub rule_variables: IndexMap<String, YamlVariable>,
    /// Which global variables it sees.
    pub root_variables_inheritance: RootVariables,
    /// What it does.
    pub options: JobOptions,
    /// `only` after normalising.
    pub only: Option<serde_json::Value>,
    /// `except` after normalising.
    pub except: Option<serde_json::Value>,
    /// `rules` after normalising.
    pub rules: Option<serde_json::Value>,
    /// Where the job is written.
    pub place: Option<Place>,
}
