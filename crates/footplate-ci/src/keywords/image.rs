//! `image` and `services` (`ci-yaml.md §8.4`).

use serde_json::{Map as JsonMap, Value as Json, json};

use super::{
    schema::{self, Schema, field},
    validate::is_blank,
    variables,
};
use crate::{
    check::{Check, flat, given, json as to_json},
    yaml::{Map, Node, Value},
};

const POLICIES: [&str; 3] = ["always", "never", "if-not-present"];
const OF_IMAGES: [&str; 6] = [
    "docker",
    "kubernetes",
    "name",
    "entrypoint",
    "ports",
    "pull_policy",
];
const OF_SERVICES: [&str; 9] = [
    "command",
    "alias",
    "variables",
    "docker",
    "kubernetes",
    "name",
    "entrypoint",
    "ports",
    "pull_policy",
];

const EXECUTOR_OPTIONS: Schema = Schema::Fields(&[
    field(
        "docker",
        Schema::Fields(&[
            field("platform", Schema::Length(1, 64)),
            field("user", Schema::Length(1, 255)),
        ]),
    ),
    field(
        "kubernetes",
        Schema::Fields(&[field("user", Schema::LengthOrInteger(1, 255))]),
    ),
]);

pub fn image(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    container(check, at, node, &OF_IMAGES)
}

pub fn services(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    if node.as_seq().is_none() {
        check.error(node.span, format!("{at} config should be a array"));
        return None;
    }
    let at = format!("{at}:service");
    let items = flat(node).into_iter();
    Some(
        items
            .filter_map(|item| container(check, &at, item, &OF_SERVICES))
            .collect(),
    )
}

fn container(check: &mut Check, at: &str, node: &Node, allowed: &[&str]) -> Option<Json> {
    match &node.value {
        Value::Str(name) | Value::Symbol(name) => {
            check.present(at, "name", node.span, Some(node));
            Some(json!({"name": &**name}))
        }
        Value::Map(map) => mapping(check, at, node, map, allowed).map(Json::Object),
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a hash or a string"),
            );
            check.needed_string(at, "name", node.span, None);
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
) -> Option<JsonMap<String, Json>> {
    let faults = check.faults();
    check.unknown_keys(at, map, allowed);
    if map.get("ports").is_some() {
        // Ports are for web terminals alone.
        check.error(
            node.span,
            format!("{at} config contains disallowed keys: ports"),
        );
    }
    let mut out = JsonMap::new();
    let mut set = |key: &str, value: Option<Json>| {
        out.extend(value.map(|value| (key.to_owned(), value)));
    };
    set(
        "name",
        check
            .needed_string(at, "name", node.span, given(map, "name"))
            .map(Json::from),
    );
    if let Some(value) = given(map, "entrypoint") {
        set(
            "entrypoint",
            check.strings(at, "entrypoint", value).map(Json::from),
        );
    }
    if allowed == OF_SERVICES {
        if let Some(value) = given(map, "command") {
            set("command", command(check, at, value));
        }
        if let Some(value) = given(map, "alias") {
            set("alias", check.string(at, "alias", value).map(Json::from));
        }
    }
    set("executor_opts", executor_options(check, at, map));
    if !check.sound_since(faults) {
        return None;
    }
    if let Some(value) = given(map, "variables") {
        let list = variables::of_job(check, &format!("{at}:variables"), value);
        set("variables", Some(variables::to_json(&list)));
    }
    if let Some(value) = given(map, "pull_policy") {
        set(
            "pull_policy",
            pull_policy(check, &format!("{at}:pull_policy"), value),
        );
    }
    Some(out)
}

/// One text is taken too, as the list of itself.
fn command(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match node.as_str() {
        Some(one) => Some(json!([one])),
        None => check.strings(at, "command", node).map(Json::from),
    }
}

fn pull_policy(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let policies = check.string_or_strings(at, "config", node);
    if let Some(items) = node.as_seq() {
        if is_blank(node) {
            check.error(node.span, format!("{at} config can't be blank"));
        }
        check.unknown_words(at, "config", items, &POLICIES);
    } else if node.as_str().is_some_and(|word| !POLICIES.contains(&word)) {
        check.unknown_word(
            node,
            format!("{at} config is not included in the list"),
            &POLICIES,
        );
    }
    policies.map(Json::from)
}

/// `docker` and `kubernetes`, for the runner's executor of that name.
fn executor_options(check: &mut Check, at: &str, map: &Map) -> Option<Json> {
    let mut options = Map::default();
    for entry in map.iter().filter(|entry| !entry.value.is_null()) {
        if matches!(entry.key.as_str(), Some("docker" | "kubernetes")) {
            options.insert(entry.key.clone(), entry.value.clone());
        }
    }
    if options.is_empty() {
        return None;
    }
    let span = map
        .iter()
        .next()
        .map_or_else(Default::default, |entry| entry.key.span);
    let node = Node::new(Value::Map(std::sync::Arc::new(options)), span);
    schema::check(
        check,
        &format!("{at} executor opts"),
        &node,
        &EXECUTOR_OPTIONS,
    );
    Some(to_json(&node))
}
