//! How a job runs: scripts, tags, retry, timeout, tokens, steps (`ci-yaml.md §8`, `§19`).

use serde_json::Value as Json;

use crate::{
    check::{Check, given, json as to_json, text},
    yaml::{Node, Value},
};

const MONTH: f64 = 2_592_000.0;

pub fn script(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check.script(at, node).map(Json::from)
}

pub fn hooks(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    let faults = check.faults();
    check.unknown_keys(at, map, &["pre_get_sources_script"]);
    if !check.sound_since(faults) {
        return None;
    }
    let mut out = serde_json::Map::new();
    if let Some(lines) = given(map, "pre_get_sources_script") {
        let lines = check.script(&format!("{at}:pre_get_sources_script"), lines)?;
        out.insert("pre_get_sources_script".to_owned(), lines.into());
    }
    Some(Json::Object(out))
}

pub fn tags(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let mut list = Vec::new();
    let fits = node
        .as_seq()
        .is_some_and(|items| crate::check::flatten(items, 1, &mut list));
    if !fits {
        check.error(
            node.span,
            format!("{at} config should be an array of strings"),
        );
        return None;
    }
    if list.len() >= 50 {
        check.error(
            node.span,
            format!("{at} config must be less than the limit of 50 tags"),
        );
        return None;
    }
    Some(list.into())
}

pub fn timeout(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check
        .duration(at, "config", node, Some(MONTH))
        .map(|seconds| Json::from(seconds as i64))
}

pub fn interruptible(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check.boolean(at, "config", node).map(Json::from)
}

pub fn id_tokens(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    for entry in map.iter() {
        let at = format!("{at}:{}", text(&entry.key));
        let token = entry.value.as_map();
        check.required_keys(&at, entry.key.span, token, &["aud"]);
        if let Some(token) = token {
            check.unknown_keys(&at, token, &["aud"]);
        }
        let nothing = Node::new(Value::Null, entry.key.span);
        let aud = token.and_then(|token| token.get("aud"));
        check.string_or_strings(&at, "aud", aud.unwrap_or(&nothing));
    }
    Some(to_json(node))
}

pub fn identity(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check
        .one_of(at, "config", node, &["google_cloud"])
        .map(Json::from)
}

/// Directory that a Pages job publishes.
pub fn publish(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check.string(at, "config", node).map(Json::from)
}

pub fn pages(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Bool(_) => {}
        Value::Map(map) => {
            check.unknown_keys(at, map, &["publish", "path_prefix", "expire_in"]);
            for (key, attribute) in [("publish", "publish"), ("path_prefix", "path prefix")] {
                if let Some(value) = given(map, key) {
                    check.string(at, attribute, value);
                }
            }
            if let Some(value) = given(map, "expire_in") {
                super::artifacts::lasting(check, at, value);
            }
        }
        _ => check.error(
            node.span,
            format!("{at} config should be a hash or a boolean value"),
        ),
    }
    Some(to_json(node))
}

pub fn dast_configuration(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &["site_profile", "scanner_profile"]);
    for (key, attribute) in [
        ("site_profile", "site profile"),
        ("scanner_profile", "scanner profile"),
    ] {
        if let Some(value) = given(map, key) {
            check.string(at, attribute, value);
        }
    }
    Some(to_json(node))
}
