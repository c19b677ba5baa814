//! `variables` at the root, in jobs, rules and services (`ci-yaml.md §20.1`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, string_list, text},
    yaml::{Map, Node, Value},
};

/// A variable of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct YamlVariable {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// Set where `expand` was given: the opposite of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
    /// For the form of a manual run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Values to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
}

/// Text, or `{value, raw}` where `expand` was given.
pub fn to_json(list: &[YamlVariable]) -> Json {
    let one = |variable: &YamlVariable| match variable.raw {
        None => json!(variable.value),
        Some(raw) => json!({"value": variable.value, "raw": raw}),
    };
    Json::Object(
        list.iter()
            .map(|variable| (variable.key.clone(), one(variable)))
            .collect(),
    )
}

/// Root variables, which may have descriptions and options.
pub fn of_root(check: &mut Check, at: &str, node: &Node) -> Vec<YamlVariable> {
    read(
        check,
        at,
        node,
        &["value", "description", "expand", "options"],
    )
}

/// Variables of a job, rule or service.
pub fn of_job(check: &mut Check, at: &str, node: &Node) -> Vec<YamlVariable> {
    read(check, at, node, &["value", "expand"])
}

fn scalar(node: &Node) -> Option<String> {
    match node.value {
        Value::Str(_) | Value::Symbol(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
            Some(text(node))
        }
        Value::Null | Value::Binary(_) | Value::Seq(_) | Value::Map(_) | Value::Reference(_) => {
            None
        }
    }
}

fn read(check: &mut Check, at: &str, node: &Node, keys: &[&str]) -> Vec<YamlVariable> {
    let Some(map) = node.as_map() else {
        check.error(node.span, format!("{at} config should be a hash"));
        return Vec::new();
    };
    let mut list = Vec::new();
    for entry in map.iter() {
        let Some(key) = scalar(&entry.key) else {
            check.error(
                entry.key.span,
                format!("{at} config must be an alphanumeric string"),
            );
            continue;
        };
        let at = format!("{at}:{}", key.to_lowercase());
        match (&entry.value.value, scalar(&entry.value)) {
            (_, Some(value)) => list.push(YamlVariable {
                key,
                value,
                raw: None,
                description: None,
                options: None,
            }),
            (Value::Map(inner), None) => {
                list.extend(complex(check, &at, key, &entry.value, inner, keys));
            }
            _ => check.error(
                entry.value.span,
                format!("{at} config variable definition must be either a string or a hash"),
            ),
        }
    }
    list
}

fn complex(
    check: &mut Check,
    at: &str,
    key: String,
    node: &Node,
    map: &Map,
    keys: &[&str],
) -> Option<YamlVariable> {
    let invalid: Vec<String> = map
        .iter()
        .map(|entry| text(&entry.key))
        .filter(|name| !keys.contains(&name.as_str()))
        .collect();
    if !invalid.is_empty() {
        check.error(
            node.span,
            format!("{at} config uses invalid data keys: {}", invalid.join(", ")),
        );
        return None;
    }
    // A null is as good as absent, for every one of the keys.
    let given = |name: &str| map.get(name).filter(|node| !node.is_null());
    let mut fits = true;
    let mut text_of = |name: &str, otherwise: &str| {
        let node = given(name)?;
        let text = scalar(node);
        if text.is_none() {
            fits = false;
            check.error(node.span, format!("{at} config {name} {otherwise}"));
        }
        text
    };
    let value = text_of("value", "must be a scalar").unwrap_or_default();
    let description = text_of("description", "must be an alphanumeric string");
    let raw = given("expand")
        .and_then(|expand| check.boolean(at, "config expand", expand))
        .map(|expand| !expand);
    let options = given("options").map(|options| (options.span, string_list(options)));
    let options = match options {
        None => None,
        Some((_, Some(options))) => Some(options),
        Some((span, None)) => {
            check.error(
                span,
                format!("{at} config options should be an array of strings"),
            );
            return None;
        }
    };
    // Options are texts, so a number is never one of them.
    let written = given("value").and_then(Node::as_str);
    if options.as_ref().is_some_and(|options| {
        !options.is_empty()
            && !options
                .iter()
                .any(|option| Some(option.as_str()) == written)
    }) {
        check.error(
            node.span,
            format!("{at} config value must be present in options"),
        );
    }
    fits.then_some(YamlVariable {
        key,
        value,
        raw,
        description,
        options,
    })
}
