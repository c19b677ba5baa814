//! `!reference`: values placed from elsewhere in the merged configuration (`ci-yaml.md §5.5`).

use std::sync::Arc;

use crate::yaml::{Map, Node, Span, Value};

/// References inside referenced values.
const MAX_DEPTH: usize = 10;
/// Nodes that references may bring in, each time they are used.
const MAX_NODES: usize = 200_000;

/// Why a reference cannot be resolved, in GitLab's words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ReferenceError {
    /// GitLab's message.
    pub message: String,
    /// Where the tag stands.
    pub span: Span,
}

/// Resolves every reference of the root mapping.
///
/// # Errors
/// The first reference that cannot be resolved.
pub fn resolve(root: &Map) -> Result<Map, ReferenceError> {
    let mut resolved = Map::default();
    let mut budget = MAX_NODES;
    for entry in root.iter() {
        resolved.insert(
            entry.key.clone(),
            node(root, &entry.value, &mut Vec::new(), &mut budget)?,
        );
    }
    Ok(resolved)
}

/// Nodes of a tree, counted no further than to a limit.
fn count(value: &Node, limit: usize) -> usize {
    let mut total = 1;
    let mut add = |node: &Node| {
        if total < limit {
            total += count(node, limit - total);
        }
    };
    match &value.value {
        Value::Seq(items) => items.iter().for_each(&mut add),
        Value::Map(map) => map.iter().for_each(|entry| add(&entry.value)),
        Value::Reference(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Symbol(_)
        | Value::Binary(_) => {}
    }
    total
}

fn has_reference(value: &Node) -> bool {
    match &value.value {
        Value::Reference(_) => true,
        Value::Seq(items) => items.iter().any(has_reference),
        Value::Map(map) => map.iter().any(|entry| has_reference(&entry.value)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Symbol(_)
        | Value::Binary(_) => false,
    }
}

fn node(
    root: &Map,
    value: &Node,
    chain: &mut Vec<Vec<String>>,
    budget: &mut usize,
) -> Result<Node, ReferenceError> {
    if !has_reference(value) {
        return Ok(value.clone());
    }
    let resolved = match &value.value {
        Value::Reference(argument) => return follow(root, value.span, argument, chain, budget),
        Value::Seq(items) => Value::Seq(Arc::new(
            items
                .iter()
                .map(|item| node(root, item, chain, budget))
                .collect::<Result<_, _>>()?,
        )),
        Value::Map(map) => {
            let mut out = Map::default();
            for entry in map.iter() {
                out.insert(entry.key.clone(), node(root, &entry.value, chain, budget)?);
            }
            Value::Map(Arc::new(out))
        }
        other => other.clone(),
    };
    Ok(Node::new(resolved, value.span))
}

fn follow(
    root: &Map,
    span: Span,
    argument: &Node,
    chain: &mut Vec<Vec<String>>,
    budget: &mut usize,
) -> Result<Node, ReferenceError> {
    let fail = |what: &str| ReferenceError {
        message: format!("!reference {} {what}", inspect(argument)),
        span,
    };
    let path: Option<Vec<String>> = argument
        .as_seq()
        .filter(|items| !items.is_empty())
        .and_then(|items| {
            items
                .iter()
                .map(|item| {
                    matches!(item.value, Value::Str(_))
                        .then(|| item.as_str().map(str::to_owned))
                        .flatten()
                })
                .collect()
        });
    let path = path.ok_or_else(|| fail("is not valid"))?;
    if chain.contains(&path) {
        return Err(fail("is part of a circular chain"));
    }
    if chain.len() >= MAX_DEPTH {
        return Err(fail("is nested too deep"));
    }
    let mut target: Option<&Node> = None;
    for key in &path {
        let map = match target {
            None => Some(root),
            Some(node) => node.as_map(),
        };
        target = Some(
            map.and_then(|map| map.get(key))
                .ok_or_else(|| fail("could not be found"))?,
        );
    }
    let Some(target) = target else {
        return Err(fail("could not be found"));
    };
    let cost = count(target, *budget + 1);
    *budget = budget.checked_sub(cost).ok_or_else(|| ReferenceError {
        message: "The parsed YAML is too big".to_owned(),
        span,
    })?;
    chain.push(path);
    let resolved = node(root, target, chain, budget);
    chain.pop();
    resolved
}

/// As Ruby's `inspect` prints it.
fn inspect(node: &Node) -> String {
    match &node.value {
        Value::Null => "nil".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Str(text) if text.is_empty() => "[]".to_owned(),
        Value::Str(text) => format!("{text:?}"),
        Value::Symbol(text) => format!(":{text}"),
        Value::Binary(_) => "\"\"".to_owned(),
        Value::Seq(items) => format!(
            "[{}]",
            items.iter().map(inspect).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(map) => format!(
            "{{{}}}",
            map.iter()
                .map(|entry| format!("{}=>{}", inspect(&entry.key), inspect(&entry.value)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Value::Reference(argument) => inspect(argument),
    }
}
