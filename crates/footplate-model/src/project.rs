//! Projects and what protects their refs.

use crate::{
    AccessLevel, NamespaceId, ProjectId, ProtectedRefId, Timestamp, UserId, Visibility,
    policy::BuildsAccess, words::words,
};

words! {
    /// How a job gets its sources by default.
    GitStrategy { Fetch = "fetch", Clone = "clone" }
}

words! {
    /// Who may give variables to a pipeline (`ci_pipeline_variables_minimum_override_role`).
    VariablesRole { NoOneAllowed = "no_one_allowed", Developer = "developer", Maintainer = "maintainer", Owner = "owner" }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Id.
    pub id: ProjectId,
    /// The group or personal namespace it is in.
    pub namespace_id: NamespaceId,
    /// Who made it.
    pub creator_id: Option<UserId>,
    /// Display name.
    pub name: String,
    /// Last part of the path.
    pub path: String,
    /// Whole path; unique without regard to case.
    pub full_path: String,
    /// Whole display name, `A / B`.
    pub full_name: String,
    /// Empty when there is none.
    pub description: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// The default branch; `None` while the repository is empty and none was asked for.
    pub default_branch: Option<String>,
    /// Read only.
    pub archived: bool,
    /// Topics.
    pub topics: Vec<String>,
    /// Settings.
    pub settings: ProjectSettings,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change of a setting.
    pub updated_at: Timestamp,
    /// Last push or pipeline.
    pub last_activity_at: Timestamp,
    /// Being deleted.
    pub deleting: bool,
}

impl Project {
    /// Path of the configuration in the repository.
    pub fn config_path(&self) -> &str {
        match self.settings.ci_config_path.as_deref() {
            None | Some("") => ".gitlab-ci.yml",
            Some(path) => path,
        }
    }
}

/// CI settings of a project (`rest-api.md §11.2`). Kept as one JSON column: none is ever searched by.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// Who may use CI.
    pub builds_access_level: BuildsAccess,
    /// Guests and strangers who see the project read jobs.
    pub public_jobs: bool,
    /// Instance runners serve it.
    pub shared_runners_enabled: bool,
    /// Group runners serve it.
    pub group_runners_enabled: bool,
    /// Path of the configuration; `None` and empty = `.gitlab-ci.yml`.
    pub ci_config_path: Option<String>,
    /// Seconds.
    pub build_timeout: i64,
    /// How jobs get their sources.
    pub build_git_strategy: GitStrategy,
    /// 0 = everything.
    pub ci_default_git_depth: i64,
    /// Caches of protected and other refs are apart. Always true in effect (DESIGN §10); kept for the API.
    pub ci_separated_caches: bool,
    /// The latest successful pipeline of a ref keeps its artifacts.
    pub keep_latest_artifact: bool,
    /// Retention of pipelines.
    pub ci_delete_pipelines_in_seconds: Option<i64>,
    /// Redundant pipelines are canceled.
    pub auto_cancel_pending_pipelines: bool,
    /// Outdated deployment jobs are dropped.
    pub ci_forward_deployment_enabled: bool,
    /// … except by retry.
    pub ci_forward_deployment_rollback_allowed: bool,
    /// Only `ci_pipeline_variables_minimum_override_role` may give variables.
    pub restrict_user_defined_variables: bool,
    /// … and this is that role.
    pub ci_pipeline_variables_minimum_override_role: VariablesRole,
    /// The outbound limit of job tokens (deprecated).
    pub ci_job_token_scope_enabled: bool,
    /// Job tokens of other projects need to be on the list.
    pub ci_inbound_job_token_scope_enabled: bool,
    /// Job tokens may push.
    pub ci_push_repository_for_job_token_allowed: bool,
    /// Counter behind cache keys after «clear runner caches».
    pub jobs_cache_index: Option<i64>,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            builds_access_level: BuildsAccess::Enabled,
            public_jobs: true,
            shared_runners_enabled: true,
            group_runners_enabled: true,
            ci_config_path: None,
            build_timeout: 3600,
            build_git_strategy: GitStrategy::Fetch,
            ci_default_git_depth: 20,
            ci_separated_caches: true,
            keep_latest_artifact: true,
            ci_delete_pipelines_in_seconds: None,
            auto_cancel_pending_pipelines: true,
            ci_forward_deployment_enabled: true,
            ci_forward_deployment_rollback_allowed: true,
            restrict_user_defined_variables: false,
            ci_pipeline_variables_minimum_override_role: VariablesRole::Developer,
            ci_job_token_scope_enabled: false,
            ci_inbound_job_token_scope_enabled: true,
            ci_push_repository_for_job_token_allowed: false,
            jobs_cache_index: None,
        }
    }
}

/// A protected branch or tag, by name or by a pattern with `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedRef {
    /// Id.
    pub id: ProtectedRefId,
    /// Its project.
    pub project_id: ProjectId,
    /// Branches or tags.
    pub tag: bool,
    /// Name or pattern.
    pub name: String,
    /// Who may push to the branch or create the tag.
    pub push_access_level: AccessLevel,
    /// Who may merge into the branch.
    pub merge_access_level: AccessLevel,
    /// Force pushes are let through.
    pub allow_force_push: bool,
    /// Creation.
    pub created_at: Timestamp,
}

impl ProtectedRef {
    /// Whether this entry protects the branch or tag of that name; `*` stands for any text.
    pub fn matches(&self, tag: bool, name: &str) -> bool {
        self.tag == tag && wildcard_matches(&self.name, name)
    }
}

/// Whether `text` is `pattern`, where `*` stands for any text.
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::wildcard_matches;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("main", "main", true),
            ("main", "main2", false),
            ("release/*", "release/1", true),
            ("*-stable", "1-stable", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(
                wildcard_matches(pattern, text),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
