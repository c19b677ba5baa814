//! Keywords: each checks its part of the tree and gives it back in normal form, as JSON.

pub mod artifacts;
pub mod cache;
pub mod environment;
pub mod execution;
pub mod image;
pub mod needs;
pub mod only;
pub mod parallel;
pub mod release;
pub mod rules;
pub mod trigger;
pub mod variables;
pub mod workflow;

use serde_json::Value as Json;

use crate::{check::Check, yaml::Node};

/// Checks a keyword at a location; `None` after a fault.
pub type Keyword = fn(&mut Check, &str, &Node) -> Option<Json>;

/// Keywords whose normal form depends on nothing but their own value: in a job, or in `default`.
pub const PLAIN: [(&str, Keyword); 22] = [
    ("before_script", execution::script),
    ("script", execution::script),
    ("after_script", execution::script),
    ("hooks", execution::hooks),
    ("image", image::image),
    ("services", image::services),
    ("tags", execution::tags),
    ("cache", cache::cache),
    ("artifacts", artifacts::artifacts),
    ("retry", execution::retry),
    ("timeout", execution::timeout),
    ("interruptible", execution::interruptible),
    ("environment", environment::environment),
    ("release", release::release),
    ("id_tokens", execution::id_tokens),
    ("secrets", execution::secrets),
    ("identity", execution::identity),
    ("run", execution::run),
    ("pages", execution::pages),
    ("dast_configuration", execution::dast_configuration),
    ("trigger", trigger::trigger),
    ("inputs", execution::inputs),
];

/// The check of a plain keyword.
pub fn plain(name: &str) -> Option<Keyword> {
    PLAIN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, check)| *check)
}
