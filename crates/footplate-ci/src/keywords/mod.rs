//! Keywords: each checks its part of the tree and gives it back in normal form, as JSON.

pub mod artifacts;
pub mod cache;
pub mod environment;
pub mod execution;
pub mod image;
pub mod job_inputs;
pub mod needs;
pub mod only;
pub mod parallel;
pub mod release;
pub mod retry;
mod rule_paths;
pub mod rules;
mod schema;
pub mod secrets;
pub mod steps;
pub mod trigger;
mod validate;
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
    ("retry", retry::retry),
    ("timeout", execution::timeout),
    ("interruptible", execution::interruptible),
    ("environment", environment::environment),
    ("release", release::release),
    ("id_tokens", execution::id_tokens),
    ("secrets", secrets::secrets),
    ("identity", execution::identity),
    ("publish", execution::publish),
    ("pages", execution::pages),
    ("dast_configuration", execution::dast_configuration),
    ("trigger", trigger::trigger),
    ("inputs", job_inputs::inputs),
];

/// The check of a plain keyword.
pub fn plain(name: &str) -> Option<Keyword> {
    PLAIN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, check)| *check)
}

/// The fault of an entry at the root that is neither a keyword nor a job, with its name as Rails writes an attribute.
pub fn unmatched(name: &str) -> String {
    let spaced = name.replace(['.', '_'], " ").to_lowercase();
    let plain = spaced.trim_start();
    let plain = plain.strip_suffix(" id").unwrap_or(plain);
    let letters = !plain.is_empty()
        && plain
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_whitespace());
    let name = if letters {
        plain.replace(' ', "_")
    } else {
        plain.to_owned()
    };
    format!("jobs {name} config should implement the script:, run:, or trigger: keyword")
}
