//! `inputs` of a job: values that may be changed when it is started by hand or retried (`ci-yaml.md §3.5`).

use serde_json::Value as Json;

use crate::{
    check::{Check, given, json, text},
    yaml::{Map, Node, Value},
};

const MAX_INPUTS: usize = 50;
const MAX_OPTIONS: usize = 50;
const TYPES: [&str; 4] = ["array", "boolean", "number", "string"];

pub fn inputs(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    if map.len() > MAX_INPUTS {
        check.error(
            node.span,
            format!("{at} config has too many inputs (maximum {MAX_INPUTS})"),
        );
    }
    let mut out = serde_json::Map::new();
    for entry in map.iter() {
        let name = text(&entry.key);
        definition(check, &format!("{at}:{name}"), entry.key.span, &entry.value);
        let mut value = json(&entry.value);
        if let Some(value) = value.as_object_mut() {
            let kind = value.entry("type").or_insert(Json::Null);
            if kind.is_null() {
                *kind = "string".into();
            }
        }
        out.insert(name, value);
    }
    Some(Json::Object(out))
}

fn definition(check: &mut Check, at: &str, span: crate::yaml::Span, node: &Node) {
    let empty = Map::default();
    let map = if node.is_null() {
        &empty
    } else {
        let Some(map) = check.map(at, node) else {
            return;
        };
        map
    };
    check.unknown_keys(
        at,
        map,
        &["default", "description", "options", "regex", "type"],
    );
    if given(map, "default").is_none() {
        check.error(span, format!("{at} must have a default value"));
    }
    if let Some(value) = given(map, "description")
        && !matches!(
            value.value,
            Value::Str(_) | Value::Symbol(_) | Value::Int(_)
        )
    {
        check.error(
            value.span,
            format!("{at} input description must be an alphanumeric string"),
        );
    }
    if let Some(value) = given(map, "regex") {
        check.string(at, "input regex", value);
    }
    if let Some(value) = given(map, "type")
        && !TYPES.contains(&text(value).as_str())
    {
        let kind = text(value);
        check.unknown_word(
            value,
            format!("{at} input type unknown value: {kind}"),
            &TYPES,
        );
    }
    if let Some(value) = given(map, "options") {
        options(check, at, value);
    }
}

fn options(check: &mut Check, at: &str, node: &Node) {
    let Some(items) = node.as_seq() else {
        check.error(node.span, format!("{at} input options should be a array"));
        return;
    };
    if items.len() > MAX_OPTIONS {
        check.error(
            node.span,
            format!("{at} config cannot define more than {MAX_OPTIONS} options"),
        );
    }
    if items.iter().any(Node::is_null) {
        check.error(
            node.span,
            format!("{at} config options array cannot contain null values"),
        );
    }
}
