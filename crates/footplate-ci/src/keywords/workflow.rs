//! `workflow` (`ci-yaml.md §6.2`).

use serde_json::{Value as Json, json};

use super::rules::{Kind, Rule, rules};
use crate::{
    check::{Check, given, json as to_json},
    yaml::{Node, Span},
};

/// The workflow of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Workflow {
    /// Where it stands.
    pub span: Span,
    /// `name`, unexpanded.
    pub name: Option<String>,
    /// `rules`; `None` when there are none.
    pub rules: Option<Vec<Rule>>,
    /// `auto_cancel`, as JSON.
    pub auto_cancel: Option<Json>,
}

impl Workflow {
    /// In normal form.
    pub fn json(&self) -> Json {
        let rules = self
            .rules
            .as_ref()
            .map(|rules| rules.iter().map(Rule::json).collect::<Vec<_>>());
        json!({"name": self.name, "rules": rules, "auto_cancel": self.auto_cancel})
    }
}

/// Reads `workflow`.
pub fn workflow(check: &mut Check, node: &Node) -> Workflow {
    let at = "workflow";
    let Some(map) = check.map(at, node) else {
        return Workflow::default();
    };
    check.unknown_keys(at, map, &["rules", "name", "auto_cancel"]);
    let name = given(map, "name").and_then(|name| check.string(at, "name", name));
    if let Some(name) = &name {
        if name.is_empty() {
            check.error(
                node.span,
                "workflow name is too short (minimum is 1 character)",
            );
        } else if name.chars().count() > 255 {
            check.error(
                node.span,
                "workflow name is too long (maximum is 255 characters)",
            );
        }
    }
    Workflow {
        span: node.span,
        name,
        rules: given(map, "rules")
            .and_then(|value| rules(check, "workflow:rules", value, Kind::Workflow)),
        auto_cancel: given(map, "auto_cancel")
            .and_then(|value| auto_cancel(check, "workflow:auto_cancel", value)),
    }
}

/// Reads `auto_cancel` of the workflow or one of its rules.
pub fn auto_cancel(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &["on_new_commit", "on_job_failure"]);
    for (key, attribute, words) in [
        (
            "on_new_commit",
            "on new commit",
            &["conservative", "interruptible", "none"][..],
        ),
        ("on_job_failure", "on job failure", &["none", "all"][..]),
    ] {
        let Some(value) = given(map, key) else {
            continue;
        };
        check.string(at, attribute, value);
        if !value.as_str().is_some_and(|word| words.contains(&word)) {
            check.error(
                value.span,
                format!("{at} {attribute} must be one of: {}", words.join(", ")),
            );
        }
    }
    Some(to_json(node))
}
