//! Health and figures (`rest-api.md §13`).

use axum::{extract::State, response::Response};
use footplate_app::{App, Readiness};
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

/// `GET /-/readiness`: the database and the disk take what is written; 503 with the reason while they do not.
pub async fn readiness(State(app): State<App>) -> Response {
    let found = app.readiness().await;
    let check = |fault: Option<&str>| match fault {
        None => json!([{"status": "ok"}]),
        Some(reason) => json!([{"status": "failed", "message": reason}]),
    };
    let ready = found == Readiness::default();
    let (code, status) = match ready {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let body = json!({
        "status": status, "master_check": [{"status": "ok"}], "db_check": check(found.database), "disk_check": check(found.disk),
    });
    answer(code, &body)
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
