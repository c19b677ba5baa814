//! What the YAML means: text in, a compiled configuration or diagnostics out, with the why of every decision.
//!
//! Pure: files are asked for ([`Request`]), never fetched. [`Compiler`] reads a text as Psych does, includes, merges, extends and
//! places references, checks every keyword, expands `parallel`, checks jobs against each other and evaluates rules for a pipeline.

mod ask;
mod check;
mod compiler;
mod config;
mod diagnostic;
pub mod durations;
mod expand;
pub mod expr;
pub mod extends;
mod facts;
pub mod globs;
mod include;
pub mod inputs;
mod job;
pub mod keywords;
mod links;
pub mod lint;
mod notes;
pub mod paths;
pub mod patterns;
mod pipeline;
pub mod reference;
mod scope;
mod shared;
mod suggest;
pub mod templates;
pub mod variables;
pub mod why;
pub mod yaml;

pub use ask::{Answer, Answers, ComponentFile, Origin, Request};
pub use check::{Check, json};
pub use compiler::{Compiled, Compiler, Source, Step};
pub use config::Config;
pub use diagnostic::{Diagnostic, SourceFile};
pub use expand::Instance;
pub use facts::facts;
pub use include::inputs_from_json;
pub use job::{Inherit, Job, Keywords};
pub use pipeline::{Chosen, Context, Evaluated, Outcome};
pub use scope::{JobScope, Later, PipelineScope, ScopedVariable, fill};
pub use suggest::did_you_mean;
pub use why::{Level, PipelineWhy, Why};
