//! `trigger` (`ci-yaml.md §18`).

use serde_json::{Value as Json, json};

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
    for item in flat(node) {
        match &item.value {
            Value::Str(_) | Value::Symbol(_) => {}
            Value::Map(map) => include_item(check, at, item, map),
            _ => check.error(
                item.span,
                format!("{at} config should be a hash or a string"),
            ),
        }
    }
}

fn include_item(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(
        at,
        map,
        &[
            "local",
            "remote",
            "template",
            "component",
            "artifact",
            "job",
            "project",
            "file",
            "ref",
            "inputs",
            "integrity",
        ],
    );
    if given(map, "project").is_some() && given(map, "file").is_none() {
        check.error(
            node.span,
            format!("{at} config must specify the file where to fetch the config from"),
        );
    }
    if given(map, "artifact").is_some() && given(map, "job").is_none() {
        check.error(
            node.span,
            format!("{at} config must specify the job where to fetch the artifact from"),
        );
    }
    if [
        "local",
        "remote",
        "template",
        "component",
        "artifact",
        "project",
    ]
    .iter()
    .all(|key| given(map, key).is_none())
    {
        check.error(
            node.span,
            format!("{at} config must specify the file where to fetch the config from"),
        );
    }
}
