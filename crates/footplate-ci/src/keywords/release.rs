//! `release` (`ci-yaml.md §19`).

use serde_json::Value as Json;

use super::validate::is_blank;
use crate::{
    check::{Check, given, json},
    yaml::{Map, Node},
};

const KEYS: [&str; 8] = [
    "tag_name",
    "tag_message",
    "name",
    "description",
    "ref",
    "released_at",
    "milestones",
    "assets",
];

pub fn release(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    let faults = check.faults();
    check.unknown_keys(at, map, &KEYS);
    check.needed_string(at, "tag name", node.span, given(map, "tag_name"));
    check.needed_string(at, "description", node.span, given(map, "description"));
    let filled = |key: &str| given(map, key).filter(|value| !is_blank(value));
    if let Some(value) = filled("tag_message") {
        check.string(at, "tag message", value);
    }
    if let Some(value) = filled("milestones") {
        check.string_or_strings(at, "milestones", value);
    }
    if let Some(value) = given(map, "released_at")
        && !value.as_str().is_some_and(is_datetime)
    {
        check.error(
            value.span,
            format!("{at} released at must be a valid datetime"),
        );
    }
    if let Some(value) = given(map, "ref")
        && !value.as_str().is_some_and(is_ref)
    {
        check.error(value.span, format!("{at} ref must be a valid ref"));
    }
    if let Some(value) = given(map, "assets").filter(|_| check.sound_since(faults)) {
        assets(check, &format!("{at}:assets"), value);
    }
    Some(json(node))
}

/// ISO 8601; a variable is filled in by the runner.
fn is_datetime(text: &str) -> bool {
    text.contains('$') || footplate_model::Timestamp::parse(text).is_some()
}

/// What git lets be the name of a ref, variables included.
fn is_ref(text: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text != "HEAD"
        && ["refs/heads/", "refs/remotes/", "-"]
            .iter()
            .all(|prefix| !text.starts_with(prefix))
        && text.split('/').all(fits)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text
            .chars()
            .any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

fn assets(check: &mut Check, at: &str, node: &Node) {
    let Some(map) = check.map(at, node) else {
        return;
    };
    let faults = check.faults();
    check.unknown_keys(at, map, &["links"]);
    let links = given(map, "links");
    let items = links.and_then(Node::as_seq);
    if !items.is_some_and(|items| items.iter().all(|item| item.as_map().is_some())) {
        let span = links.map_or(node.span, |links| links.span);
        check.error(span, format!("{at} links should be an array of hashes"));
    }
    check.present(at, "links", node.span, links);
    if !check.sound_since(faults) {
        return;
    }
    for item in items.into_iter().flatten() {
        if let Some(map) = item.as_map() {
            link(check, &format!("{at}:links:link"), item, map);
        }
    }
}

fn link(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(at, map, &["name", "url", "filepath", "link_type"]);
    for key in ["name", "url"] {
        check.needed_string(at, key, node.span, given(map, key));
    }
    if let Some(value) = given(map, "filepath") {
        check.string(at, "filepath", value);
    }
    if let Some(value) = given(map, "link_type") {
        check.one_of(
            at,
            "link type",
            value,
            &["runbook", "package", "image", "other"],
        );
    }
}
