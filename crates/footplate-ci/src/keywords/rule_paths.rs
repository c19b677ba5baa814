//! `changes` and `exists` of a rule (`ci-yaml.md §11`).

use serde_json::{Map as JsonMap, Value as Json, json};

use super::validate::length;
use crate::{
    check::{Check, given},
    yaml::{Map, Node, Value},
};

const MAX_PATTERNS: usize = 50;
const MAX_REGEXP: usize = 255;

/// `changes` or `exists`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathRule {
    /// Globs.
    pub paths: Option<Vec<String>>,
    /// One pattern.
    pub regexp: Option<String>,
    /// Other project.
    pub project: Option<String>,
    /// Its ref.
    pub git_ref: Option<String>,
    /// `compare_to` of `changes`.
    pub compare_to: Option<String>,
}

impl PathRule {
    /// Its patterns as they were written.
    pub fn written(&self) -> Vec<String> {
        let paths = self.paths.iter().flatten().cloned();
        paths
            .chain(self.regexp.iter().map(|regexp| format!("/{regexp}/")))
            .collect()
    }
}

/// The long form of both.
pub(super) fn long_paths(rule: &PathRule) -> Json {
    let mut out = JsonMap::new();
    for (key, value) in [
        ("paths", rule.paths.as_ref().map(|paths| json!(paths))),
        ("regexp", rule.regexp.as_ref().map(|text| json!(text))),
        ("project", rule.project.as_ref().map(|text| json!(text))),
        ("ref", rule.git_ref.as_ref().map(|text| json!(text))),
        (
            "compare_to",
            rule.compare_to.as_ref().map(|text| json!(text)),
        ),
    ] {
        out.extend(value.map(|value| (key.to_owned(), value)));
    }
    Json::Object(out)
}

fn path_list(check: &mut Check, at: &str, attribute: &str, node: &Node) -> Option<Vec<String>> {
    let list = check.strings(at, attribute, node);
    if length(node) > MAX_PATTERNS {
        check.error(
            node.span,
            format!("{at} {attribute} has too many entries (maximum {MAX_PATTERNS})"),
        );
    }
    list
}

/// Reads `changes`.
pub(super) fn changes(check: &mut Check, at: &str, node: &Node) -> Option<PathRule> {
    match &node.value {
        Value::Seq(_) => Some(PathRule {
            paths: path_list(check, at, "config", node),
            ..PathRule::default()
        }),
        Value::Map(map) => {
            check.unknown_keys(at, map, &["paths", "regexp", "compare_to"]);
            let mut rule = path_map(check, at, node, map);
            if let Some(null) = map.get("paths").filter(|paths| paths.is_null()) {
                check.error(
                    null.span,
                    format!("{at} paths should be an array of strings"),
                );
            }
            rule.compare_to =
                given(map, "compare_to").and_then(|value| check.string(at, "compare to", value));
            Some(rule)
        }
        _ => {
            check.verbatim(node.span, format!("{at} should be an array or a hash"));
            None
        }
    }
}

/// Reads `exists`.
pub(super) fn exists(check: &mut Check, at: &str, node: &Node) -> Option<PathRule> {
    match &node.value {
        Value::Str(path) | Value::Symbol(path) => Some(PathRule {
            paths: Some(vec![path.to_string()]),
            ..PathRule::default()
        }),
        Value::Seq(_) => Some(PathRule {
            paths: path_list(check, at, "config", node),
            ..PathRule::default()
        }),
        Value::Map(map) if map.is_empty() => Some(PathRule {
            paths: Some(Vec::new()),
            ..PathRule::default()
        }),
        Value::Map(map) => Some(exists_map(check, at, node, map)),
        _ => {
            check.verbatim(
                node.span,
                format!("{at} should be a string, an array of strings, or a hash"),
            );
            None
        }
    }
}

fn exists_map(check: &mut Check, at: &str, node: &Node, map: &Map) -> PathRule {
    check.unknown_keys(at, map, &["paths", "regexp", "project", "ref"]);
    let mut rule = path_map(check, at, node, map);
    if map.get("paths").is_some_and(Node::is_null) {
        rule.paths = Some(Vec::new());
    }
    if given(map, "ref").is_some() {
        check.required_keys(at, node.span, Some(map), &["project"]);
    }
    rule.project = given(map, "project").and_then(|value| check.string(at, "project", value));
    rule.git_ref = given(map, "ref").and_then(|value| check.string(at, "ref", value));
    rule
}

fn path_map(check: &mut Check, at: &str, node: &Node, map: &Map) -> PathRule {
    check.one_of_keys(at, node.span, map, &["paths", "regexp"]);
    let mut rule = PathRule {
        paths: given(map, "paths").and_then(|paths| path_list(check, at, "paths", paths)),
        ..PathRule::default()
    };
    if let Some(value) = given(map, "regexp")
        && let Some(pattern) = check.string(at, "regexp", value)
    {
        check.at_most(at, "regexp", value, MAX_REGEXP);
        if !balanced(&pattern) {
            check.error(value.span, format!("{at} regexp is invalid"));
        }
        rule.regexp = Some(pattern);
    }
    rule
}

/// Brackets and parentheses close; what Ruby alone knows is left to the evaluation.
fn balanced(pattern: &str) -> bool {
    let (mut groups, mut in_set, mut escaped) = (0_i32, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set = true,
            ']' => in_set = false,
            '(' if !in_set => groups += 1,
            ')' if !in_set => groups -= 1,
            _ => {}
        }
        if groups < 0 {
            return false;
        }
    }
    groups == 0 && !in_set && !escaped
}
