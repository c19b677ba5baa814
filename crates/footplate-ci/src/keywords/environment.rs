//! `environment` (`ci-yaml.md §17`).

use serde_json::{Value as Json, json};

use super::{
    schema::{self, Schema, field, required},
    validate::is_blank,
};
use crate::{
    check::{Check, given, json as to_json, text},
    durations, variables,
    yaml::{Map, Node, Value},
};

const NAME: &str = "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, but it cannot start or end with '/'";
const KEYS: [&str; 7] = [
    "name",
    "url",
    "action",
    "on_stop",
    "auto_stop_in",
    "kubernetes",
    "deployment_tier",
];
const ACTIONS: [&str; 5] = ["start", "stop", "prepare", "verify", "access"];
const TIERS: [&str; 5] = ["production", "staging", "testing", "development", "other"];
const KUBERNETES: [&str; 5] = [
    "namespace",
    "agent",
    "flux_resource_path",
    "managed_resources",
    "dashboard",
];

const MANAGED_RESOURCES: Schema = Schema::Fields(&[field("enabled", Schema::Flag)]);
const DASHBOARD: Schema = Schema::Fields(&[
    required("namespace", Schema::Length(1, 63)),
    field("flux_resource_path", Schema::Length(1, 255)),
]);

pub fn environment(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(name) | Value::Symbol(name) => {
            environment_name(check, at, node, Some(node));
            Some(json!({"name": &**name, "action": "start"}))
        }
        Value::Map(map) => {
            let faults = check.faults();
            environment_name(check, at, node, given(map, "name"));
            mapping(check, at, map);
            if let Some(kubernetes_map) = kubernetes_field(check, at, map)
                && check.sound_since(faults)
            {
                kubernetes(check, &format!("{at}:kubernetes"), node, kubernetes_map);
            }
            Some(to_json(node))
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a hash or a string"),
            );
            environment_name(check, at, node, None);
            None
        }
    }
}

/// The name before variables are filled in; its length counts when they are.
fn environment_name(check: &mut Check, at: &str, node: &Node, name: Option<&Node>) {
    check.present(at, "name", node.span, name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    let fits = name.and_then(Node::as_str).is_some_and(|name| {
        !name.is_empty()
            && !name.starts_with('/')
            && !name.ends_with('/')
            && name.chars().all(allowed)
    });
    if !fits {
        let span = name.map_or(node.span, |name| name.span);
        check.error(span, format!("{at} name {NAME}"));
    }
}

fn mapping(check: &mut Check, at: &str, map: &Map) {
    check.unknown_keys(at, map, &KEYS);
    if let Some(url) = given(map, "url") {
        check.string(at, "url", url);
        check.at_most(at, "url", url, 255);
    }
    if let Some(action) = given(map, "action") {
        let message = "should be start, stop, prepare, verify, or access";
        check.word(at, "action", action, &ACTIONS, message);
    }
    if let Some(tier) = given(map, "deployment_tier") {
        let message = format!("must be one of {}", TIERS.join(", "));
        check.word(at, "deployment tier", tier, &TIERS, &message);
    }
    if let Some(on_stop) = given(map, "on_stop") {
        check.string(at, "on stop", on_stop);
    }
    if let Some(stop) = given(map, "auto_stop_in") {
        let lasts = |text: &str| {
            text.eq_ignore_ascii_case("never") || matches!(durations::parse(text), Ok(Some(_)))
        };
        let filled_later = variables::references(&text(stop)).next().is_some();
        if !filled_later && !stop.as_str().is_some_and(lasts) {
            check.error(stop.span, format!("{at} auto stop in should be a duration"));
        }
    }
}

fn kubernetes_field<'m>(check: &mut Check, at: &str, map: &'m Map) -> Option<&'m Map> {
    check.map_field(at, "kubernetes", given(map, "kubernetes")?)
}

fn kubernetes(check: &mut Check, at: &str, node: &Node, map: &Map) {
    if map.is_empty() {
        check.error(node.span, format!("{at} config can't be blank"));
    }
    check.unknown_keys(at, map, &KUBERNETES);
    let filled = |key: &str| given(map, key).filter(|node| !is_blank(node));
    for (key, attribute) in [
        ("namespace", "namespace"),
        ("agent", "agent"),
        ("flux_resource_path", "flux resource path"),
    ] {
        if let Some(value) = given(map, key) {
            check.string(at, attribute, value);
        }
    }
    if filled("flux_resource_path").is_some() {
        check.present(at, "namespace", node.span, given(map, "namespace"));
    }
    let managed = given(map, "managed_resources");
    let enabled = managed
        .and_then(Node::as_map)
        .and_then(|managed| managed.get("enabled"))
        .is_some_and(|enabled| matches!(enabled.value, Value::Bool(true)));
    if filled("flux_resource_path").is_some() || filled("dashboard").is_some() || enabled {
        check.present(at, "agent", node.span, given(map, "agent"));
    }
    if let Some(managed) = managed {
        schema::check(
            check,
            &format!("{at} managed resources"),
            managed,
            &MANAGED_RESOURCES,
        );
    }
    let Some(dashboard) = filled("dashboard") else {
        return;
    };
    schema::check(check, &format!("{at} dashboard"), dashboard, &DASHBOARD);
    let in_dashboard = |key: &str| {
        let value = dashboard
            .as_map()
            .and_then(|dashboard| given(dashboard, key));
        value.is_some_and(|value| !is_blank(value))
    };
    for (key, attribute) in [
        ("namespace", "namespace"),
        ("flux_resource_path", "flux resource path"),
    ] {
        if filled(key).is_some() && in_dashboard(key) {
            check.error(
                node.span,
                format!("{at} {attribute} cannot be specified when dashboard.{key} is set"),
            );
        }
    }
}
