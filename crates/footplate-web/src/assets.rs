//! Embedded files.

use axum::response::{IntoResponse, Response};

/// The style sheet of the plain pages.
pub(crate) async fn plain() -> Response {
    let headers = [
        ("content-type", "text/css; charset=utf-8"),
        ("cache-control", "max-age=300"),
    ];
    (headers, include_str!("../assets/plain.css")).into_response()
}
