//! What is known before the text is read: the pipeline that is to be, its variables, limits.

use footplate_model::PipelineSource;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What the compilation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Lint without a pipeline: every visible job is there, whatever its `rules`, `only` or `except` say.
    Unfiltered,
    /// A pipeline: workflow, rules and policies are evaluated.
    #[default]
    Pipeline,
}

/// Where a variable comes from, low to high (`pipeline-processing.md §14`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableLevel {
    /// Predefined.
    Predefined,
    /// `variables` of the configuration: global, workflow rule, job, job rule.
    Yaml,
    /// The instance's.
    Instance,
    /// A group's.
    Group,
    /// The project's.
    Project,
    /// The pipeline's: request, trigger, web form, push option, forwarded from upstream.
    Pipeline,
    /// The schedule's.
    Schedule,
}

/// A variable that can be used while the configuration is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVariable {
    /// Name.
    pub key: String,
    /// Value as it was defined.
    pub value: String,
    /// Where it comes from.
    pub level: VariableLevel,
    /// Its value is replaced in messages, and `expand_vars` refuses it.
    pub masked: bool,
    /// Its value is not expanded.
    pub raw: bool,
    /// Its value is the content of a file.
    pub file: bool,
    /// Pattern of the environments it is for; `*` for all.
    pub environment_scope: String,
}

/// The pipeline whose bridge starts this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentPipeline {
    /// Its id.
    pub pipeline_id: i64,
    /// Id of its project.
    pub project_id: i64,
    /// Id of the bridge.
    pub job_id: i64,
}

/// Budgets (`ci-yaml.md §24`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of one parsed file, in bytes.
    pub yaml_bytes: usize,
    /// Nesting of one parsed file.
    pub yaml_depth: usize,
    /// Bytes of all files together.
    pub total_yaml_bytes: usize,
    /// Included files, duplicates counted.
    pub includes: usize,
    /// Needs of one job.
    pub needs: usize,
    /// Needs of one job on other projects.
    pub cross_project_needs: usize,
    /// Instances of one parallel job.
    pub parallel: usize,
    /// Characters of a name in `needs`.
    pub need_name: usize,
    /// Jobs of a pipeline; `None` is no limit.
    pub jobs: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            yaml_bytes: 2 * 1024 * 1024,
            yaml_depth: 100,
            total_yaml_bytes: 314_572_800,
            includes: 150,
            needs: 50,
            cross_project_needs: 5,
            parallel: 200,
            need_name: 255,
            jobs: None,
        }
    }
}

/// Everything a compilation depends on beside the text and the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// What it is for.
    pub mode: Mode,
    /// Branch or tag name.
    pub ref_name: String,
    /// Whether the ref is a tag.
    pub tag: bool,
    /// Commit the pipeline is for; local files are read there.
    pub sha: String,
    /// Why there is a pipeline.
    pub source: PipelineSource,
    /// Full path of the project; `None` when there is no project at all.
    pub project: Option<String>,
    /// Name of the configuration file, for places in messages.
    pub config_path: String,
    /// Variables usable at configuration time, low precedence first.
    pub variables: Vec<ConfigVariable>,
    /// Changed paths, where they are known already; `None` makes `changes` ask or hold.
    pub changed_paths: Option<Vec<String>>,
    /// Inputs for the root file's `spec:inputs`.
    pub inputs: IndexMap<String, serde_json::Value>,
    /// The pipeline is a child: includes of artifacts are allowed.
    pub child: bool,
    /// Who starts it, for child and multi-project pipelines.
    pub parent: Option<ParentPipeline>,
    /// A cluster is connected: `only: kubernetes: active`.
    pub kubernetes_active: bool,
    /// Whether the built-in templates answer `include: template` before anyone is asked.
    pub builtin_templates: bool,
    /// Budgets.
    pub limits: Limits,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            mode: Mode::Pipeline,
            ref_name: "main".to_owned(),
            tag: false,
            sha: String::new(),
            source: PipelineSource::Push,
            project: None,
            config_path: ".gitlab-ci.yml".to_owned(),
            variables: Vec::new(),
            changed_paths: None,
            inputs: IndexMap::new(),
            child: false,
            parent: None,
            kubernetes_active: false,
            builtin_templates: true,
            limits: Limits::default(),
        }
    }
}
