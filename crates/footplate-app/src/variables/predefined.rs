//! Predefined variables with GitLab's values (`pipeline-processing.md §19`), by the phase in which they exist.

use super::facts::{CommitFacts, PipelineFacts, ProjectFacts, ServerFacts, UserFacts};
use super::list::VariableList;
use crate::rules::slug::slugify;

const ZERO_SHA: &str = "0000000000000000000000000000000000000000";
/// `CI_COMMIT_MESSAGE` is cut here, in bytes.
const MESSAGE_LIMIT: usize = 100_000;
/// A title of so many characters makes the description the whole message.
const TITLE_LIMIT: usize = 100;

/// What does not depend on the pipeline: phase P, server and project.
pub fn project(server: &ServerFacts, project: &ProjectFacts) -> VariableList {
    let mut list = VariableList::default();
    list.public("CI", "true");
    list.public("GITLAB_CI", "true");
    server_variables(server, &mut list);
    project_variables(server, project, &mut list);
    api_variables(server, &mut list);
    list
}

fn server_variables(server: &ServerFacts, list: &mut VariableList) {
    let mut numbers = server.version.split(['.', '-']);
    list.public("CI_SERVER_FQDN", &server.fqdn());
    list.public("CI_SERVER_URL", &server.url);
    list.public("CI_SERVER_HOST", server.host());
    list.public("CI_SERVER_PORT", server.port());
    list.public("CI_SERVER_PROTOCOL", server.protocol());
    list.public("CI_SERVER_SHELL_SSH_HOST", server.host());
    list.public("CI_SERVER_SHELL_SSH_PORT", "22");
    list.public("CI_SERVER_NAME", "GitLab");
    list.public("CI_SERVER_VERSION", &server.version);
    for part in [
        "CI_SERVER_VERSION_MAJOR",
        "CI_SERVER_VERSION_MINOR",
        "CI_SERVER_VERSION_PATCH",
    ] {
        list.public(part, numbers.next().unwrap_or("0"));
    }
    list.public("CI_SERVER_REVISION", &server.revision);
}

fn api_variables(server: &ServerFacts, list: &mut VariableList) {
    list.public("CI_API_V4_URL", &format!("{}/api/v4", server.url));
    list.public("CI_API_GRAPHQL_URL", &format!("{}/api/graphql", server.url));
    list.public("CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com");
}

fn project_variables(server: &ServerFacts, project: &ProjectFacts, list: &mut VariableList) {
    let root = project.full_path.split('/').next().unwrap_or_default();
    // No feature needs a licence here.
    list.public("GITLAB_FEATURES", "");
    list.public("CI_PROJECT_ID", &project.id.to_string());
    list.public("CI_PROJECT_NAME", &project.path);
    list.public("CI_PROJECT_TITLE", &project.title);
    list.public("CI_PROJECT_DESCRIPTION", &project.description);
    list.public(
        "CI_PROJECT_TOPICS",
        &project
            .topics
            .iter()
            .take(20)
            .map(|topic| topic.to_lowercase())
            .collect::<Vec<_>>()
            .join(","),
    );
    list.public("CI_PROJECT_PATH", &project.full_path);
    list.public("CI_PROJECT_PATH_SLUG", &slugify(&project.full_path));
    list.public("CI_PROJECT_NAMESPACE", &project.namespace);
    list.public("CI_PROJECT_NAMESPACE_SLUG", &slugify(&project.namespace));
    list.public("CI_PROJECT_NAMESPACE_ID", &project.namespace_id.to_string());
    list.public("CI_PROJECT_ROOT_NAMESPACE", root);
    list.public(
        "CI_PROJECT_URL",
        &format!("{}/{}", server.url, project.full_path),
    );
    list.public("CI_PROJECT_VISIBILITY", project.visibility.as_str());
    list.public("CI_PROJECT_REPOSITORY_LANGUAGES", "");
    list.public("CI_DEFAULT_BRANCH", &project.default_branch);
    list.public("CI_DEFAULT_BRANCH_SLUG", &slugify(&project.default_branch));
    list.public("CI_CONFIG_PATH", &project.config_path);
}

/// What belongs to the pipeline and its commit: phase P, but for `CI_PIPELINE_IID`, which is there where the facts have it.
pub fn pipeline(
    server: &ServerFacts,
    project: &ProjectFacts,
    pipeline: &PipelineFacts,
    commit: &CommitFacts,
) -> VariableList {
    let mut list = numbered(pipeline);
    list.public("CI_PIPELINE_SOURCE", pipeline.source.as_str());
    list.public("CI_PIPELINE_CREATED_AT", &pipeline.created_at.iso_seconds());
    if let Some(name) = &pipeline.name {
        list.public("CI_PIPELINE_NAME", name);
    }
    list.public(
        "CI_CONFIG_REF_URI",
        &config_ref_uri(server, project, pipeline),
    );
    commit_variables(pipeline, commit, &mut list);
    if let Some((upstream_pipeline, upstream_project, upstream_job)) = pipeline.upstream {
        list.public("CI_UPSTREAM_PIPELINE_ID", &upstream_pipeline.to_string());
        list.public("CI_UPSTREAM_PROJECT_ID", &upstream_project.to_string());
        list.public("CI_UPSTREAM_JOB_ID", &upstream_job.to_string());
    }
    list
}

/// What a pipeline has when its configuration was read: phase L.
pub fn numbered(pipeline: &PipelineFacts) -> VariableList {
    let mut list = VariableList::default();
    if let Some(iid) = pipeline.iid {
        list.public("CI_PIPELINE_IID", &iid.to_string());
    }
    list
}

/// Which configuration at which ref a pipeline was made of, `HOST/PROJECT//PATH@REF`.
pub fn config_ref_uri(
    server: &ServerFacts,
    project: &ProjectFacts,
    pipeline: &PipelineFacts,
) -> String {
    let (host, path, file) = (server.fqdn(), &project.full_path, &project.config_path);
    format!("{host}/{path}//{file}@{}", pipeline.full_ref())
}

fn commit_variables(pipeline: &PipelineFacts, commit: &CommitFacts, list: &mut VariableList) {
    let before = if commit.before_sha.is_empty() {
        ZERO_SHA
    } else {
        &commit.before_sha
    };
    let (title, description) = parts(&commit.message);
    let truncated = commit.message.len() > MESSAGE_LIMIT;
    list.public("CI_COMMIT_SHA", &commit.sha);
    list.public(
        "CI_COMMIT_SHORT_SHA",
        commit.sha.get(..8).unwrap_or(&commit.sha),
    );
    list.public("CI_COMMIT_BEFORE_SHA", before);
    list.public("CI_COMMIT_REF_NAME", &pipeline.ref_name);
    list.public("CI_COMMIT_REF_SLUG", &slugify(&pipeline.ref_name));
    if !pipeline.tag {
        list.public("CI_COMMIT_BRANCH", &pipeline.ref_name);
    }
    list.raw("CI_COMMIT_MESSAGE", cut(&commit.message, MESSAGE_LIMIT));
    list.public("CI_COMMIT_MESSAGE_IS_TRUNCATED", word(truncated));
    list.raw("CI_COMMIT_TITLE", cut(title, MESSAGE_LIMIT));
    list.raw("CI_COMMIT_DESCRIPTION", cut(description, MESSAGE_LIMIT));
    list.public("CI_COMMIT_REF_PROTECTED", word(pipeline.protected));
    list.public("CI_COMMIT_TIMESTAMP", &commit.timestamp);
    list.raw("CI_COMMIT_AUTHOR", &commit.author);
    if let Some(login) = &commit.author_login {
        list.public("CI_COMMIT_USER_LOGIN", login);
    }
    if pipeline.tag {
        list.public("CI_COMMIT_TAG", &pipeline.ref_name);
        list.raw(
            "CI_COMMIT_TAG_MESSAGE",
            commit.tag_message.as_deref().unwrap_or_default(),
        );
    }
}

fn word(holds: bool) -> &'static str {
    if holds { "true" } else { "false" }
}

/// Title and description as GitLab takes a message apart: a long title makes the description the whole message, otherwise it is
/// what follows the first line, with its blank line and without the last newline.
fn parts(message: &str) -> (&str, &str) {
    let title = message.split(['\r', '\n']).next().unwrap_or_default();
    if title.chars().count() >= TITLE_LIMIT {
        return (title, message);
    }
    let rest = message.split_once('\n').map_or("", |(_, rest)| rest);
    let rest = rest.strip_suffix('\n').unwrap_or(rest);
    (title, rest.strip_suffix('\r').unwrap_or(rest))
}

/// The user of the pipeline, or of the job where somebody played or retried it: phase L.
pub fn user(user: &UserFacts) -> VariableList {
    let mut list = VariableList::default();
    list.public("GITLAB_USER_ID", &user.id.to_string());
    list.public("GITLAB_USER_EMAIL", &user.email);
    list.public("GITLAB_USER_LOGIN", &user.login);
    list.raw("GITLAB_USER_NAME", &user.name);
    list
}

/// The longest beginning of at most `limit` bytes that ends at a character.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_apart_as_gitlab_does() {
        assert_eq!(parts("Fix\n"), ("Fix", ""));
        assert_eq!(parts("Fix\n\nBecause.\n\n"), ("Fix", "\nBecause.\n"));
        assert_eq!(parts("Fix\r\nBecause.\r\n"), ("Fix", "Because."));
        let long = format!("{}\n\nrest", "x".repeat(100));
        assert_eq!(parts(&long), (&long[..100], long.as_str()));
        assert_eq!(parts(&long[1..]).1, "\nrest");
    }

    #[test]
    fn a_cut_ends_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
