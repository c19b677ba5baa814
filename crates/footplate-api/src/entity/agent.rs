//! Agents for Kubernetes (`rest-api.md §4.8`).

use footplate_app::{AgentView, AllowedAgents, App};
use footplate_model::{AccessLevel, AgentToken};
use serde_json::{Value as Json, json};

use super::{project::identity, time, user};

/// An agent of a project.
pub fn agent(view: &AgentView) -> Json {
    json!({
        "id": view.agent.id.0, "name": view.agent.name, "config_project": identity(&view.project),
        "created_at": view.agent.created_at.to_string(), "created_by_user_id": view.agent.created_by_user_id.map(|id| id.0),
    })
}

/// A token in a list; the single one also says when it was used last.
pub fn token(token: &AgentToken) -> Json {
    json!({
        "id": token.id.0, "name": token.name, "description": token.description, "agent_id": token.agent_id.0,
        "status": if token.revoked { "revoked" } else { "active" }, "created_at": token.created_at.to_string(),
        "created_by_user_id": token.created_by_user_id.map(|id| id.0),
    })
}

/// One token, with its text when it was just made.
pub fn single_token(one: &AgentToken, text: Option<&str>) -> Json {
    let mut shown = token(one);
    shown["last_used_at"] = time(one.last_used_at);
    if let Some(text) = text {
        shown["token"] = Json::from(text);
    }
    shown
}

/// The agents that a job may use.
pub fn allowed(app: &App, allowed: &AllowedAgents) -> Json {
    let agents: Vec<Json> = allowed
        .agents
        .iter()
        .map(|view| {
            let mut shown =
                json!({"id": view.agent.id.0, "config_project": identity(&view.project)});
            if !view.configuration.is_empty() {
                shown["configuration"] = Json::Object(view.configuration.clone());
            }
            shown
        })
        .collect();
    let mut by = user::basic(app, &allowed.user);
    if let Some(by) = by.as_object_mut() {
        by.retain(|key, _| key != "public_email" && key != "locked");
    }
    by["roles_in_project"] = roles(allowed.level).into();
    let groups: Vec<Json> = allowed
        .groups
        .iter()
        .map(|id| json!({"id": id.0}))
        .collect();
    let job = &allowed.job;
    let mut shown = json!({
        "allowed_agents": agents, "job": {"id": job.id.0}, "pipeline": {"id": job.pipeline_id.0},
        "project": {"id": job.project_id.0, "groups": groups}, "user": by,
    });
    if let Some((tier, slug)) = &allowed.environment {
        shown["environment"] = json!({"tier": tier, "slug": slug});
    }
    shown
}

/// Every role at or below a level.
fn roles(level: AccessLevel) -> Vec<&'static str> {
    [
        (AccessLevel::GUEST, "guest"),
        (AccessLevel::REPORTER, "reporter"),
        (AccessLevel::DEVELOPER, "developer"),
        (AccessLevel::MAINTAINER, "maintainer"),
        (AccessLevel::OWNER, "owner"),
    ]
    .into_iter()
    .filter(|(needed, _)| level >= *needed)
    .map(|(_, name)| name)
    .collect()
}
