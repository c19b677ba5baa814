//! Jobs and bridges (`rest-api.md §4.9`).

use footplate_app::{App, JobView};
use footplate_model::{JobKind, Status};
use serde_json::{Map, Value as Json, json};

use super::{commit, pipeline, runner, seconds, time, user};

/// A script job or bridge, by its kind.
pub fn job(app: &App, view: &JobView) -> Json {
    let mut shown = common(app, view);
    match view.job.kind {
        JobKind::Bridge => {
            let downstream = view
                .downstream
                .as_ref()
                .map(|(of, path)| pipeline::basic(app, path, of));
            shown.insert("downstream_pipeline".to_owned(), json!(downstream));
        }
        JobKind::Build | JobKind::External => script_only(view, &mut shown),
    }
    Json::Object(shown)
}

fn common(app: &App, view: &JobView) -> Map<String, Json> {
    let (job, path) = (&view.job, view.project.full_path.as_str());
    let mut shown = Map::new();
    let mut set = |name: &str, value: Json| {
        shown.insert(name.to_owned(), value);
    };
    set("id", json!(job.id.0));
    set("status", json!(job.status.as_str()));
    set("stage", json!(job.stage));
    set("name", json!(job.name));
    set("ref", json!(job.ref_name));
    set("tag", json!(job.tag));
    set("coverage", json!(job.coverage));
    set("allow_failure", json!(job.allow_failure));
    set("created_at", json!(job.created_at.to_string()));
    set("started_at", time(job.started_at));
    set("finished_at", time(job.finished_at));
    set("erased_at", time(job.erased_at));
    set("duration", seconds(job.duration(view.now)));
    set("queued_duration", seconds(job.queued_duration(view.now)));
    set(
        "user",
        json!(view.user.as_ref().map(|of| user::profile(app, of))),
    );
    set(
        "commit",
        json!(view.commit.as_ref().map(|of| commit::commit(app, path, of))),
    );
    set("pipeline", pipeline::basic(app, path, &view.pipeline));
    if job.status == Status::Failed {
        let reason = job
            .failure_reason
            .map_or("unknown_failure", |reason| reason.as_str());
        set("failure_reason", json!(reason));
    }
    set(
        "web_url",
        json!(app.url(&format!("/{path}/-/jobs/{}", job.id))),
    );
    set(
        "project",
        json!({"ci_job_token_scope_enabled": view.project.settings.ci_job_token_scope_enabled}),
    );
    shown
}

fn script_only(view: &JobView, shown: &mut Map<String, Json>) {
    let job = &view.job;
    if let Some(archive) = job.archive(view.now) {
        let file = json!({"filename": archive.filename, "size": archive.size});
        shown.insert("artifacts_file".to_owned(), file);
    }
    let mut artifacts: Vec<Json> = job
        .artifacts
        .iter()
        .map(|artifact| {
            json!({"file_type": artifact.file_type, "size": artifact.size, "filename": artifact.filename, "file_format": artifact.file_format})
        })
        .collect();
    if let Some(size) = job
        .trace_size
        .filter(|_| job.has_trace && job.status.is_completed())
    {
        artifacts.push(json!({"file_type": "trace", "size": size, "filename": "job.log", "file_format": "raw"}));
    }
    let mut tags = job.tag_list.clone();
    tags.sort_unstable();
    let mut set = |name: &str, value: Json| {
        shown.insert(name.to_owned(), value);
    };
    set("artifacts", Json::Array(artifacts));
    set(
        "runner",
        json!(view.runner.as_ref().map(|of| runner::runner(of, view.now))),
    );
    set(
        "runner_manager",
        json!(
            view.manager
                .as_ref()
                .map(|of| runner::manager(of, view.now))
        ),
    );
    set("artifacts_expire_at", time(job.artifacts_expire_at));
    set("archived", json!(false));
    set("tag_list", json!(tags));
}
