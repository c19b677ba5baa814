//! `image` and `services` (`ci-yaml.md §8.4`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, text},
    keywords::variables,
    yaml::{Map, Node, Value},
};

const POLICIES: [&str; 3] = ["always", "never", "if-not-present"];

pub fn image(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    container(
        check,
        at,
        node,
        &[
            "name",
            "entrypoint",
            "ports",
            "pull_policy",
            "docker",
            "kubernetes",
        ],
    )
}

pub fn services(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let Some(items) = node.as_seq() else {
        check.error(node.span, format!("{at} config should be a array"));
        return None;
    };
    let allowed = [
        "name",
        "entrypoint",
        "command",
        "alias",
        "ports",
        "variables",
        "pull_policy",
        "docker",
        "kubernetes",
    ];
    let mut list = Vec::new();
    for item in items {
        list.extend(container(check, &format!("{at}:service"), item, &allowed));
    }
    Some(Json::Array(list))
}

fn container(check: &mut Check, at: &str, node: &Node, allowed: &[&str]) -> Option<Json> {
    match &node.value {
        Value::Str(name) | Value::Symbol(name) => Some(json!({"name": &**name})),
        Value::Map(map) => Some(Json::Object(mapping(check, at, node, map, allowed))),
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a hash or a string"),
            );
            None
        }
    }
}

fn mapping(
    check: &mut Check,
    at: &str,
    node: &Node,
    map: &Map,
    allowed: &[&str],
) -> serde_json::Map<String, Json> {
    check.unknown_keys(at, map, allowed);
    let mut out = serde_json::Map::new();
    match given(map, "name") {
        Some(name) => {
            out.extend(
                check
                    .string(at, "name", name)
                    .map(|name| ("name".to_owned(), name.into())),
            );
        }
        None => check.error(node.span, format!("{at} name should be a string")),
    }
    if let Some(ports) = given(map, "ports") {
        check.error(
            ports.span,
            format!("{at} config contains disallowed keys: ports"),
        );
    }
    if let Some(value) = given(map, "entrypoint") {
        out.extend(
            check
                .strings(at, "entrypoint", value)
                .map(|value| ("entrypoint".to_owned(), value.into())),
        );
    }
    if let Some(value) = given(map, "command") {
        out.extend(
            check
                .string_or_strings(at, "command", value)
                .map(|value| ("command".to_owned(), value.into())),
        );
    }
    if let Some(value) = given(map, "alias") {
        out.extend(
            check
                .string(at, "alias", value)
                .map(|value| ("alias".to_owned(), value.into())),
        );
    }
    if let Some(value) = given(map, "variables") {
        let list = variables::of_job(check, &format!("{at}:variables"), value);
        out.insert("variables".to_owned(), variables::to_json(&list));
    }
    if let Some(value) = given(map, "pull_policy") {
        let policies = check
            .string_or_strings(&format!("{at}:pull_policy"), "config", value)
            .unwrap_or_default();
        let unknown: Vec<&str> = policies
            .iter()
            .map(String::as_str)
            .filter(|policy| !POLICIES.contains(policy))
            .collect();
        if !unknown.is_empty() {
            check.error(
                value.span,
                format!(
                    "{at}:pull_policy config contains unknown values: {}",
                    unknown.join(", ")
                ),
            );
        }
        out.insert("pull_policy".to_owned(), policies.into());
    }
    let options = executor_options(check, at, map);
    if !options.is_empty() {
        out.insert("executor_opts".to_owned(), Json::Object(options));
    }
    out
}

/// `docker` and `kubernetes`; their faults are worded by a JSON schema.
fn executor_options(check: &mut Check, at: &str, map: &Map) -> serde_json::Map<String, Json> {
    let mut options = serde_json::Map::new();
    for (executor, known) in [
        ("docker", &["platform", "user"][..]),
        ("kubernetes", &["user"][..]),
    ] {
        let Some(node) = given(map, executor) else {
            continue;
        };
        let Some(inner) = node.as_map() else {
            check.error(
                node.span,
                format!("{at} executor opts value at `/{executor}` is not an object"),
            );
            continue;
        };
        for entry in inner.iter() {
            let key = text(&entry.key);
            let number_fits =
                executor == "kubernetes" && matches!(entry.value.value, Value::Int(_));
            if !known.contains(&key.as_str()) {
                check.error(entry.key.span, format!("{at} executor opts object property at `/{executor}/{key}` is a disallowed additional property"));
            } else if entry.value.as_str().is_none() && !number_fits {
                check.error(
                    entry.value.span,
                    format!("{at} executor opts value at `/{executor}/{key}` is not a string"),
                );
            }
        }
        options.insert(executor.to_owned(), to_json(node));
    }
    options
}
