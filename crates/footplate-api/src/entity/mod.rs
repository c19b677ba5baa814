//! What clients read: the only place of JSON shapes (`rest-api.md §4.9`, `§15`).

pub mod agent;
pub mod assignment;
pub mod commit;
pub mod job;
pub mod lint;
pub mod pipeline;
pub mod project;
pub mod runner;
mod steps;
pub mod user;

use footplate_model::Timestamp;
use serde_json::Value as Json;

/// A time as GitLab writes it, or null.
pub fn time(at: Option<Timestamp>) -> Json {
    at.map_or(Json::Null, |at| Json::from(at.to_string()))
}

/// Seconds with microseconds, as a number.
pub fn seconds(duration: Option<f64>) -> Json {
    duration.map_or(Json::Null, |seconds| {
        Json::from((seconds * 1e6).round() / 1e6)
    })
}
