//! Jobs and bridges (`rest-api.md §4.9`).

use std::{collections::HashMap, sync::Arc};

use footplate_app::{App, JobView};
use footplate_model::{ArtifactSummary, JobKind, Status};
use serde::Serialize;
use serde_json::{
    Value as Json,
    value::{RawValue, to_raw_value},
};

use super::{commit, pipeline, runner, seconds, time, user};

/// What many jobs of a list show in common is written once.
#[derive(Default)]
struct Parts(HashMap<(usize, &'static str), Box<RawValue>>);

impl Parts {
    fn write<T>(
        &mut self,
        kind: &'static str,
        of: Option<&Arc<T>>,
        shown: impl FnOnce(&T) -> Json,
    ) {
        if let Some(of) = of {
            self.0
                .entry((Arc::as_ptr(of) as usize, kind))
                .or_insert_with(|| to_raw_value(&shown(of)).unwrap_or_default());
        }
    }

    fn of<T>(&self, kind: &'static str, of: Option<&Arc<T>>) -> Option<&RawValue> {
        let key = (Arc::as_ptr(of?) as usize, kind);
        self.0.get(&key).map(AsRef::as_ref)
    }

    fn add(&mut self, app: &App, view: &JobView) {
        let (path, now) = (view.project.full_path.as_str(), view.now);
        self.write("user", view.user.as_ref(), |of| user::profile(app, of));
        self.write("commit", view.commit.as_ref(), |of| {
            commit::commit(app, path, of)
        });
        self.write("pipeline", Some(&view.pipeline), |of| {
            pipeline::basic(app, path, of)
        });
        self.write("runner", view.runner.as_ref(), |of| runner::runner(of, now));
        self.write("manager", view.manager.as_ref(), |of| {
            runner::manager(of, now)
        });
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    status: &'static str,
    stage: &'a str,
    name: &'a str,
    #[serde(rename = "ref")]
    ref_name: &'a str,
    tag: bool,
    coverage: Option<f64>,
    allow_failure: bool,
    created_at: String,
    started_at: Json,
    finished_at: Json,
    erased_at: Json,
    duration: Json,
    queued_duration: Json,
    user: Option<&'a RawValue>,
    commit: Option<&'a RawValue>,
    pipeline: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    web_url: String,
    project: InProject,
    // A bridge's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    downstream_pipeline: Option<Option<Json>>,
    // A script job's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts_file: Option<ArtifactsFile<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Vec<ShownArtifact<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<Option<&'a RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner_manager: Option<Option<&'a RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts_expire_at: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_list: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct InProject {
    ci_job_token_scope_enabled: bool,
}

#[derive(Serialize)]
struct ArtifactsFile<'a> {
    filename: &'a str,
    size: i64,
}

#[derive(Serialize)]
struct ShownArtifact<'a> {
    file_type: &'a str,
    size: i64,
    filename: &'a str,
    file_format: Option<&'a str>,
}

impl<'a> From<&'a ArtifactSummary> for ShownArtifact<'a> {
    fn from(artifact: &'a ArtifactSummary) -> Self {
        Self {
            file_type: &artifact.file_type,
            size: artifact.size,
            filename: &artifact.filename,
            file_format: artifact.file_format.as_deref(),
        }
    }
}

/// A script job or bridge, by its kind, as JSON text.
pub fn job(app: &App, view: &JobView) -> String {
    let mut parts = Parts::default();
    parts.add(app, view);
    text(&shown(app, &parts, view))
}

/// Jobs or bridges as a JSON list.
pub fn list(app: &App, views: &[JobView]) -> String {
    let mut parts = Parts::default();
    views.iter().for_each(|view| parts.add(app, view));
    let list: Vec<Shown<'_>> = views.iter().map(|view| shown(app, &parts, view)).collect();
    text(&list)
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        // Texts, numbers and parts that were written already: nothing in them can fail.
        tracing::error!(%error, "a job could not be written");
        "null".to_owned()
    })
}

fn shown<'a>(app: &App, parts: &'a Parts, view: &'a JobView) -> Shown<'a> {
    let (job, path) = (&view.job, view.project.full_path.as_str());
    let script = job.kind != JobKind::Bridge;
    let reason = job
        .failure_reason
        .map_or("unknown_failure", |reason| reason.as_str());
    Shown {
        id: job.id.0,
        status: job.status.as_str(),
        stage: &job.stage,
        name: &job.name,
        ref_name: &job.ref_name,
        tag: job.tag,
        coverage: job.coverage,
        allow_failure: job.allow_failure,
        created_at: job.created_at.to_string(),
        started_at: time(job.started_at),
        finished_at: time(job.finished_at),
        erased_at: time(job.erased_at),
        duration: seconds(job.duration(view.now)),
        queued_duration: seconds(job.queued_duration(view.now)),
        user: parts.of("user", view.user.as_ref()),
        commit: parts.of("commit", view.commit.as_ref()),
        pipeline: parts.of("pipeline", Some(&view.pipeline)),
        failure_reason: (job.status == Status::Failed).then_some(reason),
        web_url: app.url(&format!("/{path}/-/jobs/{}", job.id)),
        project: InProject {
            ci_job_token_scope_enabled: view.project.settings.ci_job_token_scope_enabled,
        },
        downstream_pipeline: (!script).then(|| {
            let downstream = view.downstream.as_ref();
            downstream.map(|(of, path)| pipeline::basic(app, path, of))
        }),
        artifacts_file: job
            .archive(view.now)
            .filter(|_| script)
            .map(|archive| ArtifactsFile {
                filename: &archive.filename,
                size: archive.size,
            }),
        artifacts: script.then(|| artifacts(view)),
        runner: script.then(|| parts.of("runner", view.runner.as_ref())),
        runner_manager: script.then(|| parts.of("manager", view.manager.as_ref())),
        artifacts_expire_at: script.then(|| time(job.artifacts_expire_at)),
        archived: script.then_some(false),
        tag_list: script.then(|| {
            let mut tags: Vec<&str> = job.tag_list.iter().map(String::as_str).collect();
            tags.sort_unstable();
            tags
        }),
    }
}

/// The files of a job; its trace is one of them once it has ended.
fn artifacts(view: &JobView) -> Vec<ShownArtifact<'_>> {
    let job = &view.job;
    let mut artifacts: Vec<ShownArtifact<'_>> =
        job.artifacts.iter().map(ShownArtifact::from).collect();
    let ended = job.has_trace && job.status.is_completed();
    if let Some(size) = job.trace_size.filter(|_| ended) {
        artifacts.push(ShownArtifact {
            file_type: "trace",
            size,
            filename: "job.log",
            file_format: Some("raw"),
        });
    }
    artifacts
}
