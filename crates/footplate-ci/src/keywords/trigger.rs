//! `trigger` (`ci-yaml.md §18`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json},
    yaml::{Map, Node, Value},
};

const MAX_INCLUDES: usize = 3;

pub fn trigger(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(project) if project.is_empty() => {
            check.error(node.span, format!("{at} config can't be blank"));
            None
        }
        Value::Str(project) | Value::Symbol(project) => Some(json!({"project": &**project})),
        Value::Map(map) if map.get("include").is_some() => {
            check.unknown_keys(at, map, &["strategy", "include", "forward", "inputs"]);
            include(check, &format!("{at}:include"), map.get("include")?);
            common(check, at, map);
            Some(to_json(node))
        }
        Value::Map(map) => {
            check.unknown_keys(
                at,
                map,
                &["project", "branch", "strategy", "forward", "inputs"],
            );
            match given(map, "project") {
                None => check.error(node.span, format!("{at} project can't be blank")),
                Some(project) if project.as_str() == Some("") => {
                    check.error(project.span, format!("{at} project can't be blank"));
                }
                Some(project) => {
                    check.string(at, "project", project);
                }
            }
            if let Some(branch) = given(map, "branch") {
                check.string(at, "branch", branch);
            }
            common(check, at, map);
            Some(to_json(node))
        }
        _ => {
            check.error(
                node.span,
                format!(
                    "{} trigger has to be either a string or a hash",
                    at.strip_suffix(":trigger").unwrap_or(at)
                ),
            );
            None
        }
    }
}

fn common(check: &mut Check, at: &str, map: &Map) {
    if let Some(strategy) = given(map, "strategy")
        && !strategy
            .as_str()
            .is_some_and(|word| ["depend", "mirror"].contains(&word))
    {
        check.error(
            strategy.span,
            format!("{at} strategy should be one of: depend, mirror"),
        );
    }
    if let Some(inputs) = given(map, "inputs")
        && inputs.as_map().is_none()
    {
        check.error(inputs.span, format!("{at} inputs should be a hash"));
    }
    if let Some(forward) = given(map, "forward") {
        let at = format!("{at}:forward");
        if let Some(inner) = check.map(&at, forward) {
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
    }
}

fn include(check: &mut Check, at: &str, node: &Node) {
    let items = node.as_seq().unwrap_or_else(|| std::slice::from_ref(node));
    if items.len() > MAX_INCLUDES {
        check.error(
            node.span,
            format!("{at} config is too long (maximum is {MAX_INCLUDES})"),
        );
    }
    for item in items {
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
