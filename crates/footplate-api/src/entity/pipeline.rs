//! Pipelines (`rest-api.md §15.4`, `§7.5`, `§5.6`).

use footplate_app::{App, PipelineView};
use footplate_model::{GivenVariable, Pipeline, Status};
use serde_json::{Value as Json, json};

use super::{time, user};

/// `PipelineBasic`.
pub fn basic(app: &App, project_path: &str, pipeline: &Pipeline) -> Json {
    json!({
        "id": pipeline.id.0, "iid": pipeline.iid, "project_id": pipeline.project_id.0, "sha": pipeline.sha,
        "ref": pipeline.ref_name, "status": pipeline.status.as_str(), "source": pipeline.source.as_str(),
        "created_at": pipeline.created_at.to_string(), "updated_at": pipeline.updated_at.to_string(),
        "web_url": app.url(&format!("/{project_path}/-/pipelines/{}", pipeline.id)),
    })
}

/// In a list.
pub fn listed(app: &App, project_path: &str, pipeline: &Pipeline) -> Json {
    let mut shown = basic(app, project_path, pipeline);
    shown["name"] = json!(pipeline.name);
    shown
}

/// Alone.
pub fn single(app: &App, view: &PipelineView) -> Json {
    let pipeline = &view.pipeline;
    let mut shown = basic(app, &view.project_path, pipeline);
    let more = json!({
        "name": pipeline.name, "before_sha": pipeline.before_sha, "tag": pipeline.tag, "yaml_errors": pipeline.yaml_errors,
        "user": view.user.as_ref().map(|of| user::basic(app, of)), "started_at": time(pipeline.started_at),
        "finished_at": time(pipeline.finished_at), "committed_at": time(pipeline.committed_at), "duration": pipeline.duration,
        "queued_duration": view.queued_duration, "coverage": view.coverage.map(|value| format!("{value:.2}")),
        "detailed_status": detailed(view), "archived": false,
    });
    if let (Some(shown), Json::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    shown
}

/// Words of a status.
pub fn status_words(
    status: Status,
    warnings: bool,
) -> (&'static str, &'static str, &'static str, &'static str) {
    match status {
        Status::Created => ("status_created", "Created", "created", "created"),
        Status::WaitingForResource => (
            "status_pending",
            "Waiting",
            "waiting for resource",
            "waiting-for-resource",
        ),
        Status::WaitingForCallback => (
            "status_pending",
            "Waiting",
            "waiting for callback",
            "waiting-for-callback",
        ),
        Status::Preparing => ("status_preparing", "Preparing", "preparing", "preparing"),
        Status::Pending => ("status_pending", "Pending", "pending", "pending"),
        Status::Running => ("status_running", "Running", "running", "running"),
        Status::Success if warnings => (
            "status_warning",
            "Warning",
            "passed with warnings",
            "success-with-warnings",
        ),
        Status::Success => ("status_success", "Passed", "passed", "success"),
        Status::Failed => ("status_failed", "Failed", "failed", "failed"),
        Status::Canceling => ("status_canceled", "Canceling", "canceling", "canceling"),
        Status::Canceled => ("status_canceled", "Canceled", "canceled", "canceled"),
        Status::Skipped => ("status_skipped", "Skipped", "skipped", "skipped"),
        Status::Manual => (
            "status_manual",
            "Blocked",
            "waiting for manual action",
            "manual",
        ),
        Status::Scheduled => (
            "status_scheduled",
            "Delayed",
            "waiting for delayed job",
            "scheduled",
        ),
    }
}

fn detailed(view: &PipelineView) -> Json {
    let (icon, text, label, group) = status_words(view.pipeline.status, view.warnings);
    json!({
        "icon": icon, "text": text, "label": label, "group": group, "tooltip": label, "has_details": true,
        "details_path": format!("/{}/-/pipelines/{}", view.project_path, view.pipeline.id), "illustration": null,
        "favicon": format!("/assets/ci_favicons/favicon_{icon}.png"),
    })
}

/// A variable that was given with a pipeline.
pub fn variable(variable: &GivenVariable) -> Json {
    json!({
        "variable_type": variable.variable_type.as_str(), "key": variable.key, "value": variable.value, "raw": variable.raw,
    })
}
