//! `cache` (`ci-yaml.md §16`).

use serde_json::{Value as Json, json};

use super::validate::length;
use crate::{
    check::{Check, flat, given, json as to_json, string_list},
    yaml::{Map, Node, Value},
};

const MAX_CACHES: usize = 4;
const MAX_FALLBACK_KEYS: usize = 5;
const MAX_KEY_FILES: usize = 2;
const KEYS: [&str; 7] = [
    "key",
    "untracked",
    "paths",
    "when",
    "policy",
    "unprotect",
    "fallback_keys",
];

pub fn cache(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    // The list has a name of its own; each of its items is the `cache`.
    let list = format!("{at}s");
    match &node.value {
        Value::Seq(items) if items.len() > MAX_CACHES => {
            check.error(
                node.span,
                format!("{list} config no more than {MAX_CACHES} caches can be created"),
            );
            None
        }
        Value::Map(map) if map.is_empty() => Some(json!([])),
        Value::Seq(_) | Value::Map(_) => {
            let caches = flat(node).into_iter();
            Some(caches.filter_map(|item| one(check, at, item)).collect())
        }
        _ => {
            check.error(
                node.span,
                format!("{list} config can only be a hash or an array"),
            );
            None
        }
    }
}

fn one(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    let faults = check.faults();
    check.unknown_keys(at, map, &KEYS);
    let when = given(map, "when").map_or(Some("on_success".to_owned()), |when| {
        check.one_of(at, "when", when, &["on_success", "on_failure", "always"])
    });
    let policy =
        given(map, "policy").map_or(Some("pull-push".to_owned()), |node| policy(check, at, node));
    let fallback = given(map, "fallback_keys");
    if let Some(keys) = fallback.filter(|keys| length(keys) > MAX_FALLBACK_KEYS) {
        check.error(
            keys.span,
            format!("{at} fallback keys has to many entries (maximum {MAX_FALLBACK_KEYS})"),
        );
    }
    if !check.sound_since(faults) {
        return None;
    }
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
    let fallback = fallback
        .and_then(|keys| check.strings(&format!("{at}:fallback_keys"), "config", keys))
        .unwrap_or_default();
    out.entry("unprotect").or_insert(json!(false));
    out.insert("when".to_owned(), json!(when));
    out.insert("policy".to_owned(), json!(policy));
    out.insert("fallback_keys".to_owned(), json!(fallback));
    Some(Json::Object(out))
}

/// Whatever contains one of the words or a variable passes, and blank text is the default.
fn policy(check: &mut Check, at: &str, node: &Node) -> Option<String> {
    if super::validate::is_blank(node) {
        return Some("pull-push".to_owned());
    }
    let found = check.string(at, "policy", node);
    let fits = |text: &str| text.contains("push") || text.contains("pull") || text.contains('$');
    if !found.as_deref().is_some_and(fits) {
        check.error(
            node.span,
            format!("{at} policy should be a variable or one of: pull-push, push, pull"),
        );
    }
    found
}

fn cache_key(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Str(key) | Value::Symbol(key) => {
            key_text(check, at, node, key);
            Some(to_json(node))
        }
        Value::Map(map) => key_map(check, at, node, map),
        _ => {
            check.verbatim(
                node.span,
                format!("{at} should be a hash, a string or a symbol"),
            );
            None
        }
    }
}

fn key_text(check: &mut Check, at: &str, node: &Node, key: &str) {
    let path = unescape(key);
    if path.contains(&b'/') {
        check.error(
            node.span,
            format!("{at} config cannot contain the \"/\" character"),
        );
    } else if path == b"." || path == b".." {
        check.error(node.span, format!("{at} config cannot be \".\" or \"..\""));
    }
}

/// `%2F` and the like as the bytes that they stand for.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    out
}

fn key_map(check: &mut Check, at: &str, node: &Node, map: &Map) -> Option<Json> {
    let faults = check.faults();
    check.unknown_keys(at, map, &["files", "files_commits", "prefix"]);
    match (map.get("files"), map.get("files_commits")) {
        (None, None) => check.required_keys(at, node.span, Some(map), &["files"]),
        (_, Some(_)) => check.one_of_keys(at, node.span, map, &["files", "files_commits"]),
        (Some(_), None) => {}
    }
    if !check.sound_since(faults) {
        return None;
    }
    let mut out = serde_json::Map::new();
    for list in ["files", "files_commits"] {
        if let Some(value) = given(map, list) {
            let paths = files(check, &format!("{at}:{list}"), value);
            out.insert(list.to_owned(), json!(paths));
        }
    }
    if let Some(prefix) = given(map, "prefix") {
        let at = format!("{at}:prefix");
        match prefix.as_str() {
            Some(text) => key_text(check, &at, prefix, text),
            None => check.error(
                prefix.span,
                format!("{at} config should be a string or symbol"),
            ),
        }
        out.insert("prefix".to_owned(), to_json(prefix));
    }
    Some(Json::Object(out))
}

/// Paths from the root of the repository, whether they begin with a slash or not.
fn files(check: &mut Check, at: &str, node: &Node) -> Vec<String> {
    let list = string_list(node);
    if list.is_none() {
        check.error(
            node.span,
            format!("{at} config should be an array of strings"),
        );
    }
    match length(node) {
        0 => check.error(node.span, format!("{at} config requires at least 1 item")),
        count if count > MAX_KEY_FILES => check.error(
            node.span,
            format!("{at} config has too many items (maximum is {MAX_KEY_FILES})"),
        ),
        _ => {}
    }
    list.unwrap_or_default()
        .iter()
        .map(|path| path.trim_start_matches('/').to_owned())
        .collect()
}
