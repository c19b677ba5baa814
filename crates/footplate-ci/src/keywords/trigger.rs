//! `trigger` (`ci-yaml.md §18`).

use serde_json::{Value as Json, json};

use super::validate::is_blank;
use crate::{
    check::{Check, flat, given, json as to_json},
    yaml::{Map, Node, Value},
};

const MAX_INCLUDES: usize = 3;

pub fn trigger(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(project) | Value::Symbol(project) => {
            check.present(at, "config", node.span, Some(node));
            Some(json!({"project": &**project}))
        }
        Value::Map(map) if map.get("include").is_some() => same_project(check, at, node, map),
        Value::Map(map) => other_project(check, at, node, map),
        _ => {
            let owner = at.strip_suffix(":trigger").unwrap_or(at);
            check.verbatim(
                node.span,
                format!("{owner} trigger has to be either a string or a hash"),
            );
            None
        }
    }
}

/// A child pipeline.
fn same_project(check: &mut Check, at: &str, node: &Node, map: &Map) -> Option<Json> {
    let faults = check.faults();
    check.unknown_keys(at, map, &["strategy", "include", "forward", "inputs"]);
    common(check, at, map);
    if !check.sound_since(faults) {
        return None;
    }
    if let Some(files) = given(map, "include") {
        include(check, &format!("{at}:include"), files);
    }
    forward(check, at, map);
    Some(without_nulls(node))
}

/// A pipeline of another project.
fn other_project(check: &mut Check, at: &str, node: &Node, map: &Map) -> Option<Json> {
    let faults = check.faults();
    check.present(at, "config", node.span, Some(node));
    check.unknown_keys(
        at,
        map,
        &["project", "branch", "strategy", "forward", "inputs"],
    );
    check.needed_string(at, "project", node.span, given(map, "project"));
    if let Some(branch) = given(map, "branch") {
        check.string(at, "branch", branch);
    }
    common(check, at, map);
    if !check.sound_since(faults) {
        return None;
    }
    forward(check, at, map);
    Some(without_nulls(node))
}

fn without_nulls(node: &Node) -> Json {
    let mut out = to_json(node);
    if let Some(map) = out.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    out
}

fn common(check: &mut Check, at: &str, map: &Map) {
    if let Some(strategy) = given(map, "strategy") {
        check.one_of(at, "strategy", strategy, &["depend", "mirror"]);
    }
    if let Some(inputs) = given(map, "inputs") {
        check.map_field(at, "inputs", inputs);
    }
}

fn forward(check: &mut Check, at: &str, map: &Map) {
    let Some(node) = given(map, "forward") else {
        return;
    };
    let at = format!("{at}:forward");
    let Some(inner) = check.map(&at, node) else {
        return;
    };
    check.unknown_keys(&at, inner, &["yaml_variables", "pipeline_variables"]);
    for (key, attribute) in [
        ("yaml_variables", "yaml variables"),
        ("pipeline_variables", "pipeline variables"),
    ] {
        if let Some(value) = given(inner, key) {
            check.boolean(&at, attribute, value);
        }
    }
}

fn include(check: &mut Check, at: &str, node: &Node) {
    if let Some(items) = node.as_seq().filter(|items| items.len() > MAX_INCLUDES) {
        check.error(
            items[MAX_INCLUDES].span,
            format!("{at} config is too long (maximum is {MAX_INCLUDES})"),
        );
        return;
    }
    let at = format!("{at}:include");
    for item in flat(node) {
        match &item.value {
            Value::Str(_) | Value::Symbol(_) => {}
            Value::Map(map) => include_item(check, &at, item, map),
            _ => check.error(
                item.span,
                format!("{at} config should be a hash or a string"),
            ),
        }
    }
}

const INCLUDE_KEYS: [&str; 12] = [
    "local",
    "file",
    "remote",
    "project",
    "ref",
    "integrity",
    "template",
    "component",
    "artifact",
    "inputs",
    "job",
    "rules",
];

fn include_item(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(at, map, &INCLUDE_KEYS);
    let filled = |key: &str| given(map, key).is_some_and(|value| !is_blank(value));
    let mut fail = |message: &str| check.error(node.span, format!("{at} config {message}"));
    if given(map, "artifact").is_some() && !filled("job") {
        fail("must specify the job where to fetch the artifact from");
    }
    if given(map, "project").is_some() && !filled("file") {
        fail("must specify the file where to fetch the config from");
    }
    if let Some(integrity) = given(map, "integrity") {
        if !filled("remote") {
            fail("integrity can only be specified for remote includes");
        }
        match integrity
            .as_str()
            .and_then(|text| text.strip_prefix("sha256-"))
        {
            None => fail("integrity hash must start with 'sha256-'"),
            Some(hash) if !is_base64(hash) => fail("integrity hash must be base64 encoded"),
            Some(_) => {}
        }
    }
    if let Some(rules) = given(map, "rules") {
        let hashes = |items: &[Node]| items.iter().all(|item| item.as_map().is_some());
        if !rules.as_seq().is_some_and(hashes) {
            check.error(
                rules.span,
                format!("{at} rules should be an array of hashes"),
            );
        }
    }
}

/// Base64 in its strict form: whole groups of four, padding only at the end.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
