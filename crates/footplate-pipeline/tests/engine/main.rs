//! The engine by its worked examples, by GitLab's tables, and by properties.

mod bridges;
mod examples;
mod harness;
mod properties;
mod rules;
