//! What can be done: one use case a file, named by its verb.
//!
//! This crate is the only one that joins store, git, blob, compiler and engine. A use case takes a proof of permission
//! ([`ProjectAccess`]) where it needs one, decides by pure code, and does what was decided in one transaction. What
//! reaches beyond one pipeline becomes a task. It is asked nothing in HTTP, and knows nothing of JSON shapes.

mod access;
mod actor;
mod agents;
mod app;
mod authenticate;
mod background;
mod ci_variables;
mod config_files;
mod create_pipeline;
pub mod definition;
pub mod egress;
mod error;
mod git_push;
mod job_artifacts;
mod job_view;
mod jobs;
mod lint_config;
mod memory;
mod movement;
mod pipelines;
mod projects;
mod readiness;
mod repository;
mod resources;
pub mod rules;
pub mod runner;
pub mod secrets;
mod settle_job;
mod setup;
mod signing_key;
mod simulate;
mod sweep;
mod users;
pub mod variables;

pub use access::{
    GroupAccess, ProjectAccess, ProjectRef, Proves, can, load_job, load_pipeline, ref_locked,
    ref_protected,
};
pub use actor::{Actor, JobActor, UserActor};
pub use agents::{AgentView, AllowedAgents};
pub use app::{App, Parts, Settings};
pub use authenticate::Credential;
pub use ci_variables::NewVariable;
pub use create_pipeline::Creation;
pub use error::{Error, Result, Unauthorized};
pub use git_push::{Begun, GitAccess};
pub use job_artifacts::{ArchiveFile, Download};
pub use job_view::JobView;
pub use jobs::{PipelineJobs, Trace};
pub use lint_config::{Conditions, LintRequest, LintResult, LintedFile, LintedJob};
pub use pipelines::{NewPipeline, PipelineView};
pub use projects::{NewGroup, NewProject, projects_filter};
pub use readiness::Readiness;
pub use repository::NewCommit;
pub use setup::{FirstStart, Setup};
pub use simulate::{Assumed, Simulation};
pub use users::{NewToken, NewUser};
pub(crate) use variables::material::pipeline_variables;

/// Filters of pipeline lists.
pub mod pipeline_filter {
    pub use footplate_store::pipelines::{Filter, Order};
}

/// Filters of group lists.
pub mod group_filter {
    pub use footplate_store::namespaces::Filter;
}

/// Repositories, for those who present them.
pub mod git {
    pub use footplate_git::{
        Action, Branch, ByteStream, Change, Commit, Encoding, RequestBody, Service, Sha, Signature,
        Tag,
    };
}
