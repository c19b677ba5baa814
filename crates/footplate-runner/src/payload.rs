//! A job as the server sends it (`runner-protocol.md §2.5`), as far as it is used.

use serde::Deserialize;

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Payload {
    pub(crate) id: i64,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) allow_git_fetch: bool,
    pub(crate) job_info: JobInfo,
    pub(crate) git_info: GitInfo,
    #[serde(default)]
    pub(crate) runner_info: RunnerInfo,
    #[serde(default)]
    pub(crate) variables: Vec<Variable>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) hooks: Option<Vec<Hook>>,
    #[serde(default)]
    pub(crate) image: Option<Image>,
    #[serde(default)]
    pub(crate) services: Option<Vec<Image>>,
    #[serde(default)]
    pub(crate) artifacts: Option<Vec<ArtifactSpec>>,
    #[serde(default)]
    pub(crate) cache: Option<Vec<CacheSpec>>,
    #[serde(default)]
    pub(crate) dependencies: Option<Vec<Dependency>>,
    #[serde(default)]
    pub(crate) features: Features,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobInfo {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) project_id: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GitInfo {
    pub(crate) repo_url: String,
    #[serde(rename = "ref")]
    pub(crate) ref_name: String,
    pub(crate) sha: String,
    #[serde(default)]
    pub(crate) refspecs: Vec<String>,
    #[serde(default)]
    pub(crate) depth: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RunnerInfo {
    #[serde(default)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Variable {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: Option<String>,
    #[serde(default)]
    pub(crate) file: bool,
    #[serde(default)]
    pub(crate) masked: bool,
    #[serde(default)]
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) script: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Hook {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) script: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Image {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ArtifactSpec {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) untracked: bool,
    #[serde(default)]
    pub(crate) paths: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) exclude: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) when: Option<String>,
    #[serde(default)]
    pub(crate) expire_in: Option<String>,
    #[serde(default)]
    pub(crate) artifact_type: Option<String>,
    #[serde(default)]
    pub(crate) artifact_format: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct CacheSpec {
    #[serde(default)]
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) untracked: bool,
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) paths: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) when: Option<String>,
    #[serde(default)]
    pub(crate) fallback_keys: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) artifacts_file: Option<ArtifactsFile>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArtifactsFile {
    #[serde(default)]
    pub(crate) filename: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Features {
    #[serde(default)]
    pub(crate) trace_sections: bool,
}
