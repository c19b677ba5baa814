//! Health and figures (`rest-api.md §13`).

use axum::{extract::State, response::Response};
use footplate_app::App;
use http::StatusCode;
use serde_json::json;

use crate::error::{Answer, answer, raw};

/// `GET /-/health`
pub async fn health() -> Response {
    raw(StatusCode::OK, "text/plain", "GitLab OK")
}

/// `GET /-/liveness`
pub async fn liveness() -> Response {
    answer(StatusCode::OK, &json!({"status": "ok"}))
}

/// `GET /-/readiness`: the database answers.
pub async fn readiness(State(app): State<App>) -> Answer {
    app.queue_size().await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"status": "ok", "master_check": [{"status": "ok"}]}),
    ))
}

/// `GET /-/metrics`, as Prometheus reads them.
pub async fn metrics(State(app): State<App>) -> Answer {
    let (pending, running) = app.queue_size().await?;
    let text = format!(
        "# HELP footplate_jobs_pending Jobs that wait for a runner.\n# TYPE footplate_jobs_pending gauge\nfootplate_jobs_pending {pending}\n\
         # HELP footplate_jobs_running Jobs that runners execute.\n# TYPE footplate_jobs_running gauge\nfootplate_jobs_running {running}\n"
    );
    Ok(raw(StatusCode::OK, "text/plain; version=0.0.4", text))
}
