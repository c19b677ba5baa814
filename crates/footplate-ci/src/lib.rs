//! What the YAML means: text in, a compiled pipeline or diagnostics out, with the why of every decision.
//!
//! Owns the CI language: the facts a compilation starts from ([`Context`]), what it asks for ([`Request`]), what it makes
//! ([`CompiledPipeline`]) and why. Pure: files are asked for, never fetched; how jobs move later is `footplate-pipeline`'s.

pub mod compile;
pub mod compiled;
mod compiler;
mod context;
pub mod include;
pub mod why;

pub use compiled::{
    CompiledJob, CompiledPipeline, Diagnostic, JobOptions, Outcome, Place, Severity,
};
pub use compiler::{Answer, FileRequest, Refusal, Repository, Request};
pub use context::{ConfigVariable, Context, Limits, Mode, ParentPipeline, VariableLevel};
pub use why::Why;
