//! Whole servers, asked over HTTP, git and the runner protocol, on both engines.

mod agents;
mod events;
mod faults;
mod foreign_runner;
mod git;
mod includes;
mod jobs;
mod kill;
mod lint;
mod messages;
mod official_runner;
mod pages;
mod pipeline_states;
mod runner_protocol;
mod simulate;
mod variables;
