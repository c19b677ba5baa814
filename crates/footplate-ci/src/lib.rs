//! What the YAML means: text in, a compiled pipeline or diagnostics out, with the why of every decision.
//!
//! Pure: files are asked for, never fetched. What is here so far is the ground it stands on: YAML as Psych reads it, `extends`
//! and `!reference`, expressions, expansion of variables, path patterns, durations and regular expressions as GitLab has them.

pub mod durations;
pub mod expr;
pub mod extends;
pub mod globs;
pub mod inputs;
pub mod paths;
pub mod patterns;
pub mod reference;
pub mod variables;
pub mod yaml;
