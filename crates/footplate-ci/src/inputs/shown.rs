//! A value as text, the way Ruby writes it into a text.

use crate::yaml::{Node, Value};

/// As Ruby's `to_s`: lists and mappings in a form like JSON.
pub(crate) fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Str(text) | Value::Symbol(text) => text.to_string(),
        Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Seq(_) | Value::Map(_) | Value::Reference(_) => json(node),
    }
}

fn json(node: &Node) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Str(value) | Value::Symbol(value) => text(value),
        Value::Seq(items) => format!(
            "[{}]",
            items.iter().map(json).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(map) => {
            format!(
                "{{{}}}",
                map.iter()
                    .map(|entry| format!("{}: {}", text(&shown(&entry.key)), json(&entry.value)))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        Value::Reference(argument) => json(argument),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Binary(_) => shown(node),
    }
}
