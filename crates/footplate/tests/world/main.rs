//! Whole servers, asked over HTTP, git and the runner protocol, on both engines.

mod agents;
mod git;
mod includes;
mod jobs;
mod kill;
mod lint;
mod pages;
mod pipeline_states;
mod runner_protocol;
mod simulate;
mod variables;
