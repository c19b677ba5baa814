//! `environment` (`ci-yaml.md §17`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json},
    durations,
    yaml::{Map, Node, Value},
};

const NAME: &str = "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, but it cannot start or end with '/'";

pub fn environment(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(name) | Value::Symbol(name) => {
            environment_name(check, at, node, name);
            Some(json!({"name": &**name, "action": "start"}))
        }
        Value::Map(map) => {
            mapping(check, at, node, map);
            Some(to_json(node))
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a hash or a string"),
            );
            None
        }
    }
}

fn environment_name(check: &mut Check, at: &str, node: &Node, name: &str) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    if name.starts_with('/') || name.ends_with('/') || !name.chars().all(allowed) {
        check.error(node.span, format!("{at} name {NAME}"));
    }
    if name.chars().count() > 255 {
        check.error(
            node.span,
            format!("{at} name is too long (maximum is 255 characters)"),
        );
    }
}

fn mapping(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(
        at,
        map,
        &[
            "name",
            "url",
            "action",
            "on_stop",
            "auto_stop_in",
            "kubernetes",
            "deployment_tier",
        ],
    );
    match given(map, "name") {
        None => check.error(node.span, format!("{at} name can't be blank")),
        Some(name) => {
            if let Some(text) = check.string(at, "name", name) {
                if text.is_empty() {
                    check.error(name.span, format!("{at} name can't be blank"));
                }
                environment_name(check, at, name, &text);
            }
        }
    }
    if let Some(url) = given(map, "url")
        && let Some(text) = check.string(at, "url", url)
        && text.chars().count() > 255
    {
        check.error(
            url.span,
            format!("{at} url is too long (maximum is 255 characters)"),
        );
    }
    if let Some(action) = given(map, "action")
        && let Some(word) = check.string(at, "action", action)
        && !["start", "stop", "prepare", "verify", "access"].contains(&word.as_str())
    {
        check.error(
            action.span,
            format!("{at} action should be start, stop, prepare, verify, or access"),
        );
    }
    if let Some(on_stop) = given(map, "on_stop") {
        check.string(at, "on stop", on_stop);
    }
    if let Some(kubernetes) = given(map, "kubernetes")
        && let Some(inner) = check.map(&format!("{at}:kubernetes"), kubernetes)
    {
        check.unknown_keys(
            &format!("{at}:kubernetes"),
            inner,
            &[
                "agent",
                "namespace",
                "flux_resource_path",
                "managed_resources",
                "dashboard",
            ],
        );
    }
    if let Some(tier) = given(map, "deployment_tier")
        && !tier.as_str().is_some_and(|word| {
            ["production", "staging", "testing", "development", "other"].contains(&word)
        })
    {
        check.error(tier.span, format!("{at} deployment tier must be one of production, staging, testing, development, other"));
    }
    if let Some(stop) = given(map, "auto_stop_in") {
        let fits = stop.as_str().is_some_and(|text| {
            text.contains('$') || text == "never" || matches!(durations::parse(text), Ok(Some(_)))
        });
        if !fits {
            check.error(stop.span, format!("{at} auto stop in should be a duration"));
        }
    }
}
