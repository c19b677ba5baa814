//! `only` and `except` (`ci-yaml.md §12`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, string_list},
    expr::Expr,
    patterns::{self, PatternError},
    yaml::{Map, Node, Value},
};

/// Checks and makes the short form long: `[main]` is `{refs: [main]}`.
pub fn policy(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Seq(_) => {
            refs(check, at, "config", node);
            Some(json!({"refs": to_json(node)}))
        }
        Value::Map(map) => {
            mapping(check, at, node, map);
            let kept = map.iter().filter(|entry| !entry.value.is_null());
            Some(Json::Object(
                kept.map(|entry| {
                    (
                        entry.key.as_str().unwrap_or_default().to_owned(),
                        to_json(&entry.value),
                    )
                })
                .collect(),
            ))
        }
        _ => {
            check.verbatim(
                node.span,
                format!("{at} has to be either an array of conditions or a hash"),
            );
            None
        }
    }
}

fn refs(check: &mut Check, at: &str, attribute: &str, node: &Node) {
    let fits = string_list(node).is_some_and(|list| {
        list.iter()
            .all(|item| !matches!(patterns::parse(item), Err(PatternError::Invalid(_))))
    });
    if !fits {
        check.error(node.span, format!("{at} {attribute} should be an array of strings or regular expressions using re2 syntax"));
    }
}

fn mapping(check: &mut Check, at: &str, node: &Node, map: &Map) {
    check.unknown_keys(at, map, &["refs", "kubernetes", "variables", "changes"]);
    if map.is_empty() {
        check.error(node.span, format!("{at} config can't be blank"));
    }
    if let Some(value) = given(map, "refs") {
        refs(check, at, "refs", value);
    }
    if let Some(value) = given(map, "kubernetes")
        && value.as_str() != Some("active")
    {
        check.unknown_word(
            value,
            format!(
                "{at} kubernetes unknown value: {}",
                crate::check::text(value)
            ),
            &["active"],
        );
    }
    if let Some(value) = given(map, "variables")
        && let Some(list) = check.strings(at, "variables", value)
        && list.iter().any(|item| Expr::parse(item).is_err())
    {
        check.error(
            value.span,
            format!("{at} variables invalid expression syntax"),
        );
    }
    if let Some(value) = given(map, "changes") {
        check.strings(at, "changes", value);
    }
}
