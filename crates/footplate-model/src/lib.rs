//! What exists: ids, clock and timestamps, statuses, access levels, the policy table and plain structs.
//!
//! This crate owns the vocabulary that all others share. It knows no I/O, no SQL, no JSON shapes of the API
//! and no rules of movement; those live in `footplate-store`, `footplate-api` and `footplate-pipeline`.

mod ids;
pub mod policy;
mod status;
mod time;
mod words;

pub use ids::*;
pub use status::{JobStatus, Status};
pub use time::{Clock, SystemClock, Timestamp};
pub use words::*;
