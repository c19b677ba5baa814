//! `cache` (`ci-yaml.md §16`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, string_list},
    yaml::{Map, Node, Value},
};

const MAX_CACHES: usize = 4;

pub fn cache(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Seq(items) => {
            if items.len() > MAX_CACHES {
                check.error(
                    node.span,
                    format!("{at} config no more than {MAX_CACHES} caches can be created"),
                );
            }
            let mut list = Vec::new();
            for item in items.iter() {
                list.extend(one(check, at, item));
            }
            Some(Json::Array(list))
        }
        Value::Map(map) if map.is_empty() => Some(json!([])),
        _ => one(check, at, node).map(|cache| json!([cache])),
    }
}

fn one(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(
        at,
        map,
        &[
            "key",
            "untracked",
            "paths",
            "when",
            "policy",
            "unprotect",
            "fallback_keys",
        ],
    );
    let mut out = serde_json::Map::new();
    let key = match given(map, "key") {
        None => Some(json!("default")),
        Some(key) => cache_key(check, &format!("{at}:key"), key),
    };
    out.extend(key.map(|key| ("key".to_owned(), key)));
    for flag in ["untracked", "unprotect"] {
        if let Some(value) = given(map, flag) {
            check.boolean(&format!("{at}:{flag}"), "config", value);
            out.insert(flag.to_owned(), to_json(value));
        }
    }
    if let Some(paths) = given(map, "paths") {
        check.strings(&format!("{at}:paths"), "config", paths);
        out.insert("paths".to_owned(), to_json(paths));
    }
    out.entry("unprotect").or_insert(json!(false));
    let when = given(map, "when").map_or(Some("on_success".to_owned()), |when| {
        let text = check.string(at, "when", when)?;
        check
            .one_of(at, "when", when, &["on_success", "on_failure", "always"])
            .map(|_| text)
    });
    out.insert("when".to_owned(), json!(when));
    let policy = given(map, "policy").map_or(Some("pull-push".to_owned()), |policy| {
        let text = check.string(at, "policy", policy)?;
        if !["pull-push", "push", "pull"].contains(&text.as_str()) && !text.starts_with('$') {
            check.error(
                policy.span,
                format!("{at} policy should be a variable or one of: pull-push, push, pull"),
            );
        }
        Some(text)
    });
    out.insert("policy".to_owned(), json!(policy));
    let fallback = given(map, "fallback_keys").map_or_else(Vec::new, |keys| {
        let keys_list = check
            .strings(&format!("{at}:fallback_keys"), "config", keys)
            .unwrap_or_default();
        if keys_list.len() > 5 {
            check.error(
                keys.span,
                format!("{at}:fallback_keys config has to many entries (maximum 5)"),
            );
        }
        keys_list
    });
    out.insert("fallback_keys".to_owned(), json!(fallback));
    Some(Json::Object(out))
}

fn cache_key(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(key) | Value::Symbol(key) => {
            key_text(check, at, "config", node, key);
            Some(to_json(node))
        }
        Value::Map(map) => key_map(check, at, node, map),
        _ => {
            check.error(
                node.span,
                format!("{at} should be a hash, a string or a symbol"),
            );
            None
        }
    }
}

fn key_text(check: &mut Check, at: &str, attribute: &str, node: &Node, key: &str) {
    let lower = key.to_lowercase();
    if key.contains('/') || lower.contains("%2f") {
        check.error(
            node.span,
            format!("{at} {attribute} cannot contain the \"/\" character"),
        );
    }
    if [".", "..", "%2e", "%2e%2e"].contains(&lower.as_str()) {
        check.error(
            node.span,
            format!("{at} {attribute} cannot be \".\" or \"..\""),
        );
    }
}

fn key_map(check: &mut Check, at: &str, node: &Node, map: &Map) -> Option<Json> {
    check.unknown_keys(at, map, &["files", "files_commits", "prefix"]);
    let lists: Vec<&str> = ["files", "files_commits"]
        .into_iter()
        .filter(|key| given(map, key).is_some())
        .collect();
    match lists.as_slice() {
        [] => check.error(
            node.span,
            format!("{at} config missing required keys: files"),
        ),
        [one] => files(check, &format!("{at}:{one}"), given(map, one)?),
        _ => check.error(
            node.span,
            format!("{at} config must use exactly one of these keys: files, files_commits"),
        ),
    }
    if let Some(prefix) = given(map, "prefix") {
        match prefix.as_str() {
            Some(text) => key_text(check, &format!("{at}:prefix"), "config", prefix, text),
            None => check.error(
                prefix.span,
                format!("{at}:prefix config should be a string or symbol"),
            ),
        }
    }
    Some(to_json(node))
}

fn files(check: &mut Check, at: &str, node: &Node) {
    match string_list(node) {
        None => check.error(
            node.span,
            format!("{at} config should be an array of strings"),
        ),
        Some(list) if list.is_empty() => {
            check.error(node.span, format!("{at} config requires at least 1 item"));
        }
        Some(list) if list.len() > 2 => check.error(
            node.span,
            format!("{at} config has too many items (maximum is 2)"),
        ),
        Some(_) => {}
    }
}
