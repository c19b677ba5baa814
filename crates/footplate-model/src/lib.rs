//! What exists: ids, clock and timestamps, statuses, access levels, the policy table and plain structs.
//!
//! This crate owns the vocabulary that all others share. It knows no I/O, no SQL, no JSON shapes of the API
//! and no rules of movement; those live in `footplate-store`, `footplate-api` and `footplate-pipeline`.

mod agent;
mod ids;
mod job;
mod pipeline;
pub mod policy;
mod project;
mod runner;
mod slug;
mod status;
mod time;
mod user;
mod variable;
mod words;

pub use agent::*;
pub use ids::*;
pub use job::*;
pub use pipeline::*;
pub use project::*;
pub use runner::*;
pub use slug::{environment_slug, environment_tier, group_name, slugify};
pub use status::{JobStatus, Status};
pub use time::{Clock, SystemClock, Timestamp};
pub use user::*;
pub use variable::*;
pub use words::*;
