//! `$[[ … ]]` in the parsed tree; a scalar of exactly one block keeps the input's type (`ci-yaml.md §3.4`).

use std::sync::Arc;

use super::{definition::shown, functions};
use crate::{
    variables::Variable,
    yaml::{Map, Node, Value},
};

const MAX_BLOCK: usize = 1024;
const MAX_NODE: usize = 1 << 20;
const MAX_FUNCTIONS: usize = 3;

/// Replaces every block of the tree by the values of inputs.
///
/// # Errors
/// GitLab's message for the first block that cannot be replaced.
pub fn interpolate(node: &Node, inputs: &Map, variables: &[Variable]) -> Result<Node, String> {
    let value = match &node.value {
        Value::Str(text) if text.contains("$[[") => return scalar(node, text, inputs, variables),
        Value::Seq(items) => Value::Seq(Arc::new(
            items
                .iter()
                .map(|item| interpolate(item, inputs, variables))
                .collect::<Result<_, _>>()?,
        )),
        Value::Map(map) => {
            let mut out = Map::default();
            for entry in map.iter() {
                let key = interpolate(&entry.key, inputs, variables)?;
                let key = if matches!(key.value, Value::Str(_) | Value::Symbol(_))
                    || key.span == entry.key.span && !is_block(&entry.key)
                {
                    key
                } else {
                    Node::new(Value::Str(shown(&key).into()), key.span)
                };
                out.insert(key, interpolate(&entry.value, inputs, variables)?);
            }
            Value::Map(Arc::new(out))
        }
        Value::Reference(argument) => {
            Value::Reference(Arc::new(interpolate(argument, inputs, variables)?))
        }
        other => other.clone(),
    };
    Ok(Node::new(value, node.span))
}

fn is_block(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.contains("$[["))
}

fn scalar(node: &Node, text: &str, inputs: &Map, variables: &[Variable]) -> Result<Node, String> {
    if text.len() > MAX_NODE {
        return Err("config node too large".to_owned());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("$[[") {
        let Some(length) = rest[start + 3..].find("]]") else {
            break;
        };
        let block = &rest[start + 3..start + 3 + length];
        let end = start + 3 + length + 2;
        // Filled in when the matrix of the job is known, or when the job is sent to a runner.
        if ["matrix.", "job."]
            .iter()
            .any(|later| block.trim_start().starts_with(later))
        {
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let value = evaluate(block, inputs, variables)?;
        if out.is_empty() && start == 0 && end == rest.len() {
            return Ok(Node::new(value.value, node.span));
        }
        out.push_str(&rest[..start]);
        out.push_str(&shown(&value));
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(Node::new(Value::Str(out.into()), node.span))
}

fn evaluate(block: &str, inputs: &Map, variables: &[Variable]) -> Result<Node, String> {
    if block.len() > MAX_BLOCK {
        return Err("interpolation block too large".to_owned());
    }
    let mut parts = block.split('|').map(str::trim);
    let access = parts.next().unwrap_or_default();
    let called: Vec<&str> = parts.collect();
    if called.len() > MAX_FUNCTIONS {
        return Err("too many functions in interpolation block".to_owned());
    }
    let unknown = |key: &str| format!("unknown interpolation key: `{key}`");
    let mut keys = access.split('.');
    match keys.next() {
        Some("inputs") => {}
        first => return Err(unknown(first.unwrap_or_default())),
    }
    let name = keys.next().unwrap_or_default();
    let value = inputs.get(name).ok_or_else(|| unknown(name))?;
    if let Some(deeper) = keys.next() {
        return Err(unknown(deeper));
    }
    functions::run(&called, value.clone(), variables)
        .map_err(|errors| errors.into_iter().next().unwrap_or_default())
}
