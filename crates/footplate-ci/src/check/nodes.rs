//! What keywords take from nodes without a check.

use serde_json::Value as Json;

use crate::yaml::{Map, Node, Value};

/// Lists within lists of texts, up to ten levels.
pub fn flatten(items: &[Node], depth: usize, lines: &mut Vec<String>) -> bool {
    items
        .iter()
        .all(|item| match (item.as_str(), item.as_seq()) {
            (Some(line), _) => {
                lines.push(line.to_owned());
                true
            }
            (None, Some(inner)) => depth < 10 && flatten(inner, depth + 1, lines),
            (None, None) => false,
        })
}

/// A list of texts.
pub fn string_list(node: &Node) -> Option<Vec<String>> {
    node.as_seq()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// A scalar as text.
pub fn text(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Seq(_) | Value::Map(_) | Value::Reference(_) | Value::Binary(_) => {
            String::new()
        }
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Str(text) | Value::Symbol(text) => text.to_string(),
    }
}

/// A tree as JSON, in the order of its keys.
pub fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Binary(_) => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => {
            i64::try_from(number.get()).map_or_else(|_| Json::from(number.get() as f64), Json::from)
        }
        Value::Float(number) => Json::from(*number),
        Value::Str(text) | Value::Symbol(text) => Json::from(&**text),
        Value::Seq(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|entry| (text(&entry.key), json(&entry.value)))
                .collect(),
        ),
        Value::Reference(argument) => json(argument),
    }
}

/// Every item of lists within lists, as Ruby's `flatten` gives them; anything else is a list of itself.
pub fn flat(node: &Node) -> Vec<&Node> {
    match node.as_seq() {
        Some(items) => items.iter().flat_map(flat).collect(),
        None => vec![node],
    }
}

/// A field that is there and not null.
pub fn given<'m>(map: &'m Map, key: &str) -> Option<&'m Node> {
    map.get(key).filter(|node| !node.is_null())
}
