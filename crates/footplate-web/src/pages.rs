//! The routes of pages, at GitLab's paths.

use axum::Router;
use footplate_app::App;

/// Pages as a router.
pub fn pages() -> Router<App> {
    Router::new()
}
