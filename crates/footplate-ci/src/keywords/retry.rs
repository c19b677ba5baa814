//! `retry` (`ci-yaml.md §8.8`).

use footplate_model::FailureReason;
use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, text},
    yaml::{Map, Node, Value},
};

/// Every failure reason, and `always`.
fn reasons() -> Vec<&'static str> {
    let all = FailureReason::ALL.iter().map(|reason| reason.as_str());
    all.chain(["always"]).collect()
}

pub fn retry(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Int(max) => {
            let max = max.get();
            bounds(check, at, "config", node, max);
            Some(json!({"max": i64::try_from(max).ok()}))
        }
        Value::Map(map) => Some(mapping(check, at, map)),
        _ => {
            check.verbatim(
                node.span,
                format!("{at} config has to be either an integer or a hash"),
            );
            None
        }
    }
}

fn bounds(check: &mut Check, at: &str, attribute: &str, node: &Node, max: i128) {
    if max < 0 {
        check.error(
            node.span,
            format!("{at} {attribute} must be greater than or equal to 0"),
        );
    }
    if max > 2 {
        check.error(
            node.span,
            format!("{at} {attribute} must be less than or equal to 2"),
        );
    }
}

/// A number, be it written as text.
fn max(check: &mut Check, at: &str, node: &Node) -> Option<i64> {
    let written = text(node);
    match written.trim().parse::<i128>() {
        Ok(number) => {
            bounds(check, at, "max", node, number);
            i64::try_from(number).ok()
        }
        Err(_) => {
            let message = if written.trim().parse::<f64>().is_ok() {
                "must be an integer"
            } else {
                "is not a number"
            };
            check.error(node.span, format!("{at} max {message}"));
            None
        }
    }
}

fn mapping(check: &mut Check, at: &str, map: &Map) -> Json {
    check.unknown_keys(at, map, &["max", "when", "exit_codes"]);
    let mut out = serde_json::Map::new();
    let mut set = |key: &str, value: Option<Json>| {
        out.extend(value.map(|value| (key.to_owned(), value)));
    };
    if let Some(node) = given(map, "max") {
        set("max", max(check, at, node).map(Json::from));
    }
    if let Some(node) = given(map, "when") {
        set("when", when(check, at, node).map(Json::from));
    }
    if let Some(node) = given(map, "exit_codes") {
        set(
            "exit_codes",
            check.integers(at, "exit codes", node).map(Json::from),
        );
    }
    Json::Object(out)
}

fn when(check: &mut Check, at: &str, node: &Node) -> Option<Vec<String>> {
    let known = reasons();
    let found = check.string_or_strings(at, "when", node);
    if let Some(items) = node.as_seq() {
        check.unknown_words(at, "when", items, &known);
    } else if node.as_str().is_some_and(|word| !known.contains(&word)) {
        check.unknown_word(
            node,
            format!("{at} when is not included in the list"),
            &known,
        );
    }
    found
}
