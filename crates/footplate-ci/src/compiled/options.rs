//! What a job does: kept as JSON with the job, read again for the runner's payload (`runner-protocol.md §2.5`).
//!
//! Words and keys are those of the configuration, so that the JSON is readable beside it.

use footplate_model::TriggerStrategy;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::YamlVariable;

/// One text or several, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// `image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// Name; variables are expanded by the runner.
    pub name: String,
    /// Entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Pull policies, tried in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<Vec<String>>,
    /// `docker` and `kubernetes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_opts: Option<Value>,
    /// Ports, for web terminals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Value>,
}

/// An item of `services`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// What it shares with `image`.
    pub image: Image,
    /// Alias; several are separated by comma or space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Variables for the service only.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, YamlVariable>,
}

/// When artifacts are kept, or a cache is saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactWhen {
    /// The job succeeded.
    #[default]
    OnSuccess,
    /// The job failed.
    OnFailure,
    /// Either.
    Always,
}

/// Who may download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everyone who sees the pipeline.
    All,
    /// Developers and up.
    Developer,
    /// Maintainers and up.
    Maintainer,
    /// Nobody.
    None,
}

/// `artifacts:reports:coverage_report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// `cobertura` or `jacoco`.
    pub coverage_format: String,
    /// Glob.
    pub path: String,
}

/// `artifacts` (`ci-yaml.md §15`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifacts {
    /// Globs from the project's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Globs that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// Every file Git does not track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untracked: Option<bool>,
    /// Name of the archive without its ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When; `None` is on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<ArtifactWhen>,
    /// Duration as written, or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_in: Option<String>,
    /// Name in merge requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose_as: Option<String>,
    /// `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// `access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Report type to globs.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub reports: IndexMap<String, Vec<String>>,
    /// `reports:coverage_report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage_report: Option<CoverageReport>,
}

/// What a cache is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CacheKey {
    /// Text; the runner expands it.
    Text(String),
    /// By the last commits or the contents of files.
    Files {
        /// `files`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        files: Option<Vec<String>>,
        /// `files_commits`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        files_commits: Option<Vec<String>>,
        /// `prefix`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        prefix: Option<String>,
    },
}

/// Text that is one of `pull-push`, `pull`, `push`, or a variable.
pub type Policy = String;

/// An entry of `cache`, all defaults filled in (`ci-yaml.md §16`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// The key as it was written.
    pub key: CacheKey,
    /// The key with digests of files, before the server's suffixes; `None` until the files are known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved_key: Option<String>,
    /// Globs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paths: Option<Vec<String>>,
    /// Every file Git does not track.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub untracked: Option<bool>,
    /// Shared between protected and unprotected refs.
    pub unprotect: bool,
    /// When it is saved.
    pub when: ArtifactWhen,
    /// What is done with it.
    pub policy: Policy,
    /// Keys tried after the key.
    pub fallback_keys: Vec<String>,
}

/// `retry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// How often, 0 to 2; `None` gives no retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u8>,
    /// After which failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<String>>,
    /// After which exit codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_codes: Option<Vec<i64>>,
}

/// `environment` (`ci-yaml.md §17`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Name as written.
    pub name: String,
    /// Address as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `start`, `prepare`, `stop`, `verify` or `access`; `None` is `start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Job that stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_stop: Option<String>,
    /// Duration as written, may hold variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop_in: Option<String>,
    /// `deployment_tier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_tier: Option<String>,
    /// `kubernetes`, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Value>,
}

/// A link of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLink {
    /// Name.
    pub name: String,
    /// Address.
    pub url: String,
    /// Path below the release's own address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filepath: Option<String>,
    /// `runbook`, `package`, `image` or `other`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link_type: Option<String>,
}

/// `release`; becomes a step after the script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// Tag.
    pub tag_name: String,
    /// Text, or a file's path.
    pub description: String,
    /// Message of a new tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_message: Option<String>,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where a new tag points.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub ref_name: Option<String>,
    /// ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<String>,
    /// Titles of milestones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<String>>,
    /// `assets:links`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ReleaseLink>,
}

/// `trigger:forward`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TriggerForward {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaml_variables: Option<bool>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_variables: Option<bool>,
}

/// `trigger` (`ci-yaml.md §18`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// Project; may hold variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Branch; may hold variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Configuration of the child, as an `include` of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Value>,
    /// How the bridge follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<TriggerStrategy>,
    /// What goes along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<TriggerForward>,
    /// Inputs of the downstream's root file.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, Value>,
}

/// What a job does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobOptions {
    /// Commands; `None` for `run` and bridges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Vec<String>>,
    /// Commands before, in the same shell; `Some([])` cancelled the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_script: Option<Vec<String>>,
    /// Commands after, in a shell of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_script: Option<Vec<String>>,
    /// Hook to commands.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub hooks: IndexMap<String, Vec<String>>,
    /// Steps, as they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Value>,
    /// Image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
    /// Caches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Cache>,
    /// Retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Downstream pipeline, for bridges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Variable to audience of its token.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub id_tokens: IndexMap<String, Names>,
    /// Variable to where its secret is; passed to the runner.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: IndexMap<String, Value>,
    /// `identity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// `pages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<Value>,
    /// `publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// Text shown before a manual job starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_confirmation: Option<String>,
    /// `dast_configuration`, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dast_configuration: Option<Value>,
    /// Definitions of job inputs, as they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<JobOptions> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn nothing_is_written_for_what_was_not_given_and_all_is_read_again() {
        let empty = JobOptions::default();
        assert_eq!(serde_json::to_string(&empty).ok().as_deref(), Some("{}"));
        assert_eq!(read("{}"), Some(empty));
    }

    #[test]
    fn an_empty_list_is_not_the_same_as_none() {
        let cancelled = JobOptions {
            before_script: Some(Vec::new()),
            ..JobOptions::default()
        };
        let text = serde_json::to_string(&cancelled).unwrap_or_default();
        assert_eq!(text, r#"{"before_script":[]}"#);
        assert_eq!(read(&text), Some(cancelled));
    }

    #[test]
    fn both_forms_of_a_cache_key_are_kept() {
        for key in [
            CacheKey::Text("$CI_COMMIT_REF_SLUG".to_owned()),
            CacheKey::Files {
                files: Some(vec!["Cargo.lock".to_owned()]),
                files_commits: None,
                prefix: Some("debug".to_owned()),
            },
        ] {
            let text = serde_json::to_string(&key).unwrap_or_default();
            assert_eq!(serde_json::from_str::<CacheKey>(&text).ok(), Some(key));
        }
    }
}
