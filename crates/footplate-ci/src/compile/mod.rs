//! Steps from validated jobs to a pipeline: instances of parallel jobs, and the checks between jobs.

mod checks;
mod graph;
mod names;
mod settle;

pub use checks::check_jobs;
pub use names::{group_name, matrix_instances, matrix_name, numbered_name};
pub use settle::settle;
