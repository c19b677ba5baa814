//! Inputs that come with a pipeline.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::yaml::{Map, Node, Span, Value};

/// The inputs of a pipeline as a mapping.
pub fn inputs_from_json(inputs: &serde_json::Map<String, Json>) -> Map {
    fn node(value: &Json) -> Node {
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => number.as_i64().map_or_else(
                || Value::Float(number.as_f64().unwrap_or_default()),
                |number| Value::Int(number.into()),
            ),
            Json::String(text) => Value::Str(text.as_str().into()),
            Json::Array(items) => Value::Seq(items.iter().map(node).collect()),
            Json::Object(map) => Value::Map(Arc::new(inputs_from_json(map))),
        };
        Node::new(value, Span::default())
    }
    let mut map = Map::default();
    for (key, value) in inputs {
        map.insert(
            Node::new(Value::Str(key.as_str().into()), Span::default()),
            node(value),
        );
    }
    map
}
