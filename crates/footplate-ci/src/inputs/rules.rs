//! `rules` of an input: options and default by condition (`ci-yaml.md §3.2`).

use super::{fault::Fault, shown::shown};
use crate::{
    expr::Expr,
    yaml::{Map, Node, Value},
};

/// Options of one input.
pub(super) const MAX_OPTIONS: usize = 50;

/// What applies to an input.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chosen<'d> {
    /// Values to choose from.
    pub options: Option<&'d [Node]>,
    /// The value where none is given; a null means none at all.
    pub default: Option<&'d Node>,
}

/// The first rule that holds; one without `if` always does.
pub(super) fn choose(rules: &[Node], lookup: impl Fn(&str) -> Option<String>) -> Chosen<'_> {
    let holds = |map: &Map| match map.get("if").and_then(Node::as_str) {
        None => true,
        Some(condition) => {
            Expr::parse_with_inputs(condition).is_ok_and(|expr| expr.evaluate(&lookup).truthful())
        }
    };
    rules
        .iter()
        .filter_map(Node::as_map)
        .find(|map| holds(map))
        .map(|map| Chosen {
            options: map.get("options").and_then(Node::as_seq),
            default: map.get("default"),
        })
        .unwrap_or_default()
}

/// What is wrong with `rules` as they are written.
pub(super) fn faults(at: &str, node: &Node) -> Vec<Fault> {
    let Some(items) = node.as_seq() else {
        let message = format!("{at} config should be an array");
        return vec![Fault::at(node.span, message)];
    };
    items
        .iter()
        .flat_map(|item| rule(&format!("{at}:rule"), item))
        .collect()
}

fn rule(at: &str, node: &Node) -> Vec<Fault> {
    let fault = |message: String| vec![Fault::at(node.span, format!("{at} {message}"))];
    let map = match &node.value {
        Value::Map(map) if !map.is_empty() => map,
        Value::Map(_) | Value::Null => return fault("config can't be blank".to_owned()),
        _ => return fault("config should be a hash".to_owned()),
    };
    let unknown: Vec<String> = map
        .iter()
        .map(|entry| shown(&entry.key))
        .filter(|key| !["if", "options", "default"].contains(&key.as_str()))
        .collect();
    if !unknown.is_empty() {
        return fault(format!(
            "config contains unknown keys: {}",
            unknown.join(", ")
        ));
    }
    let condition = map.get("if").filter(|condition| !condition.is_null());
    if condition.is_some_and(|condition| {
        condition
            .as_str()
            .is_none_or(|text| Expr::parse_with_inputs(text).is_err())
    }) {
        return fault("if invalid expression syntax".to_owned());
    }
    let options = map.get("options").filter(|options| !options.is_null());
    let Some(options) = options.map_or(Some(&[][..]), Node::as_seq) else {
        return fault("options should be an array".to_owned());
    };
    if options.len() > MAX_OPTIONS {
        return fault(format!(
            "config cannot define more than {MAX_OPTIONS} options"
        ));
    }
    let Some(default) = map.get("default") else {
        return fault(
            "rule must define 'options' with at least one value and a 'default'".to_owned(),
        );
    };
    let listed = options.iter().any(|one| shown(one) == shown(default));
    if options.is_empty() || default.is_null() || listed {
        return Vec::new();
    }
    fault(format!(
        "default '{}' must be one of the options",
        shown(default)
    ))
}
