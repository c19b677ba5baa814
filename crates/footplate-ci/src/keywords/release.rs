//! `release` (`ci-yaml.md §19`).

use serde_json::Value as Json;

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
    check.unknown_keys(at, map, &KEYS);
    for (key, attribute) in [("tag_name", "tag name"), ("description", "description")] {
        if given(map, key).is_none_or(|value| value.as_str() == Some("")) {
            check.error(node.span, format!("{at} {attribute} can't be blank"));
        }
    }
    for (key, attribute) in [
        ("tag_name", "tag name"),
        ("tag_message", "tag message"),
        ("name", "name"),
        ("description", "description"),
    ] {
        if let Some(value) = given(map, key) {
            check.string(at, attribute, value);
        }
    }
    if let Some(value) = given(map, "ref")
        && !value.as_str().is_some_and(is_ref)
    {
        check.error(value.span, format!("{at} ref must be a valid ref"));
    }
    if let Some(value) = given(map, "released_at")
        && !value.as_str().is_some_and(|text| {
            text.contains('$') || footplate_model::Timestamp::parse(text).is_some()
        })
    {
        check.error(
            value.span,
            format!("{at} released at must be a valid datetime"),
        );
    }
    if let Some(value) = given(map, "milestones") {
        check.string_or_strings(at, "milestones", value);
    }
    if let Some(assets) = given(map, "assets") {
        links(check, &format!("{at}:assets"), assets);
    }
    Some(json(node))
}

/// What git lets be the name of a ref, variables included.
fn is_ref(text: &str) -> bool {
    !text.is_empty()
        && !text.contains("..")
        && !text.ends_with(['.', '/'])
        && !text.starts_with('-')
        && !text
            .chars()
            .any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

fn links(check: &mut Check, at: &str, assets: &Node) {
    let Some(map) = check.map(at, assets) else {
        return;
    };
    check.unknown_keys(at, map, &["links"]);
    let Some(list) = given(map, "links") else {
        check.error(assets.span, format!("{at} links can't be blank"));
        return;
    };
    let at = format!("{at}:links");
    let Some(items) = list.as_seq() else {
        check.error(
            list.span,
            format!("{at} config should be an array of hashes"),
        );
        return;
    };
    if items.is_empty() {
        check.error(list.span, format!("{at} config can't be blank"));
    }
    for item in items {
        match item.as_map() {
            Some(link_map) => link(check, &format!("{at}:link"), item, link_map),
            None => check.error(
                item.span,
                format!("{at} config should be an array of hashes"),
            ),
        }
    }
}

fn link(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(at, map, &["name", "url", "filepath", "link_type"]);
    for key in ["name", "url"] {
        match given(map, key) {
            None => check.error(node.span, format!("{at} {key} can't be blank")),
            Some(value) => {
                check.string(at, key, value);
            }
        }
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
