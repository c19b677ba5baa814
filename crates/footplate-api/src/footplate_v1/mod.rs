//! What is Footplate's alone, below `/api/footplate/v1`: no client of GitLab's asks for it.

mod ci_schema;
mod simulate;
mod why;

use axum::{
    Router,
    routing::{get, post},
};
use footplate_app::App;

/// Routes below `/api/footplate/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/projects/{id}/pipelines/{pipeline_id}/why", get(why::show))
        .route("/projects/{id}/simulate", post(simulate::simulate))
        .route("/ci-schema.json", get(ci_schema::show))
}
