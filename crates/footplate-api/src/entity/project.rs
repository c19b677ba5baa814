//! Projects, groups and members (`rest-api.md §11.2`, `§11.3`).

use footplate_app::App;
use footplate_model::{
    Member, Namespace, Project, ProtectedRef, Timestamp, User, Visibility, policy::BuildsAccess,
};
use serde_json::{Value as Json, json};

use super::user;

/// A project's identity, as other objects name it.
pub fn identity(project: &Project) -> Json {
    json!({
        "id": project.id.0, "description": project.description, "name": project.name,
        "name_with_namespace": project.full_name, "path": project.path, "path_with_namespace": project.full_path,
        "created_at": project.created_at.to_string(),
    })
}

/// A project.
pub fn project(app: &App, project: &Project) -> Json {
    let mut shown = identity(project);
    let url = app.url(&format!("/{}", project.full_path));
    let settings = &project.settings;
    let (namespace_path, namespace_name) = (
        parent(&project.full_path, "/"),
        parent(&project.full_name, " / "),
    );
    let builds = match settings.builds_access_level {
        BuildsAccess::Disabled => "disabled",
        BuildsAccess::Private => "private",
        BuildsAccess::Enabled => "enabled",
    };
    let more = json!({
        "default_branch": project.default_branch, "tag_list": project.topics, "topics": project.topics,
        "ssh_url_to_repo": "", "http_url_to_repo": format!("{url}.git"), "web_url": url, "readme_url": null,
        "forks_count": 0, "avatar_url": null, "star_count": 0, "last_activity_at": project.last_activity_at.to_string(),
        "namespace": {
            "id": project.namespace_id.0, "name": namespace_name, "path": namespace_path.rsplit('/').next().unwrap_or_default(),
            "kind": if project.creator_id.is_some() && !namespace_path.contains('/') { "user" } else { "group" },
            "full_path": namespace_path, "parent_id": null, "avatar_url": null, "web_url": app.url(&format!("/{namespace_path}")),
        },
        "empty_repo": project.default_branch.is_none(), "archived": project.archived, "visibility": project.visibility.as_str(),
        "resolve_outdated_diff_discussions": false, "issues_enabled": false, "merge_requests_enabled": false, "wiki_enabled": false,
    });
    let ci = json!({
        "jobs_enabled": builds != "disabled", "snippets_enabled": false, "container_registry_enabled": false,
        "builds_access_level": builds, "creator_id": project.creator_id.map(|id| id.0), "import_status": "none",
        "open_issues_count": 0, "public_jobs": settings.public_jobs, "ci_config_path": settings.ci_config_path,
        "build_timeout": settings.build_timeout, "build_git_strategy": settings.build_git_strategy.as_str(),
        "ci_default_git_depth": settings.ci_default_git_depth, "ci_separated_caches": settings.ci_separated_caches,
        "ci_job_token_scope_enabled": settings.ci_job_token_scope_enabled,
        "ci_forward_deployment_enabled": settings.ci_forward_deployment_enabled,
        "ci_forward_deployment_rollback_allowed": settings.ci_forward_deployment_rollback_allowed,
        "ci_push_repository_for_job_token_allowed": settings.ci_push_repository_for_job_token_allowed,
        "ci_pipeline_variables_minimum_override_role": settings.ci_pipeline_variables_minimum_override_role.as_str(),
        "restrict_user_defined_variables": settings.restrict_user_defined_variables,
        "keep_latest_artifact": settings.keep_latest_artifact, "shared_runners_enabled": settings.shared_runners_enabled,
        "group_runners_enabled": settings.group_runners_enabled,
        "auto_cancel_pending_pipelines": if settings.auto_cancel_pending_pipelines { "enabled" } else { "disabled" },
        "shared_with_groups": [], "marked_for_deletion_at": null,
    });
    if let (Some(shown), Json::Object(more), Json::Object(ci)) = (shown.as_object_mut(), more, ci) {
        shown.extend(more);
        shown.extend(ci);
    }
    shown
}

fn parent<'t>(text: &'t str, between: &str) -> &'t str {
    text.rsplit_once(between).map_or("", |(above, _)| above)
}

/// A group.
pub fn group(app: &App, group: &Namespace) -> Json {
    json!({
        "id": group.id.0, "web_url": app.url(&format!("/groups/{}", group.full_path)), "name": group.name, "path": group.path,
        "description": group.description, "visibility": group.visibility.as_str(), "full_name": group.full_name,
        "full_path": group.full_path, "created_at": group.created_at.to_string(), "parent_id": group.parent_id.map(|id| id.0),
        "avatar_url": null, "request_access_enabled": true, "shared_runners_setting": "enabled", "projects": [], "shared_projects": [],
    })
}

/// A member.
pub fn member(app: &App, member: &Member, of: &User) -> Json {
    let mut shown = user::basic(app, of);
    shown["access_level"] = json!(member.access_level.0);
    shown["created_at"] = json!(member.created_at.to_string());
    shown["expires_at"] = json!(member.expires_at.map(Timestamp::date));
    shown["membership_state"] = json!("active");
    shown
}

/// A protected branch or tag.
pub fn protected(entry: &ProtectedRef) -> Json {
    let level = |id: i64, level: footplate_model::AccessLevel| json!([{"id": id, "access_level": level.0, "access_level_description": level.description(), "user_id": null, "group_id": null}]);
    if entry.tag {
        return json!({"name": entry.name, "create_access_levels": level(entry.id.0, entry.push_access_level)});
    }
    json!({
        "id": entry.id.0, "name": entry.name, "push_access_levels": level(entry.id.0, entry.push_access_level),
        "merge_access_levels": level(entry.id.0, entry.merge_access_level), "allow_force_push": entry.allow_force_push,
        "code_owner_approval_required": false, "inherited": false,
    })
}

/// The word of a visibility.
pub fn visibility(text: &str) -> Option<Visibility> {
    Visibility::parse(text)
}
