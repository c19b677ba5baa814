//! `extends`: jobs laid over the jobs they name (`ci-yaml.md §5.4`).

use std::{collections::HashMap, sync::Arc};

use crate::yaml::{Map, Node, Value};

/// Ancestors in a chain.
const MAX_DEPTH: usize = 10;

/// Why a chain cannot be resolved, in GitLab's words, with the place of the `extends`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ExtendsError {
    /// GitLab's message.
    pub message: String,
    /// Where.
    pub span: crate::yaml::Span,
}

/// Resolves every entry of the root mapping.
///
/// # Errors
/// The first chain that cannot be resolved.
pub fn resolve(root: &Map) -> Result<Map, ExtendsError> {
    let mut done: HashMap<String, Node> = HashMap::new();
    let mut resolved = Map::default();
    for entry in root.iter() {
        let value = match (entry.key.as_str(), entry.value.as_map()) {
            (Some(name), Some(_)) => {
                resolve_entry(root, name, &entry.value, &mut Vec::new(), &mut done)?
            }
            _ => entry.value.clone(),
        };
        resolved.insert(entry.key.clone(), value);
    }
    Ok(resolved)
}

fn resolve_entry(
    root: &Map,
    name: &str,
    node: &Node,
    chain: &mut Vec<String>,
    done: &mut HashMap<String, Node>,
) -> Result<Node, ExtendsError> {
    let Some(extends) = node
        .as_map()
        .and_then(|map| map.get("extends"))
        .filter(|extends| !extends.is_null())
    else {
        return Ok(node.clone());
    };
    if let Some(known) = done.get(name) {
        return Ok(known.clone());
    }
    let fail = |message: String| ExtendsError {
        message,
        span: extends.span,
    };
    if chain.iter().any(|ancestor| ancestor == name) {
        return Err(fail(format!(
            "{name}: circular dependency detected in `extends`"
        )));
    }
    if chain.len() > MAX_DEPTH {
        return Err(fail(format!("{name}: nesting too deep in `extends`")));
    }
    let Some(bases) = base_names(extends) else {
        // Left to the job's own check, which words it as for any other keyword.
        return Err(fail(format!(
            "jobs:{name}:extends should be an array of strings or a string"
        )));
    };
    let unknown: Vec<&str> = bases
        .iter()
        .copied()
        .filter(|base| root.get(base).is_none())
        .collect();
    if !unknown.is_empty() {
        return Err(fail(format!(
            "{name}: unknown keys in `extends` ({})",
            unknown.join(", ")
        )));
    }
    let invalid: Vec<&str> = bases
        .iter()
        .copied()
        .filter(|base| root.get(base).is_some_and(|node| node.as_map().is_none()))
        .collect();
    if !invalid.is_empty() {
        return Err(fail(format!(
            "{name}: invalid base hashes in `extends` ({})",
            invalid.join(", ")
        )));
    }
    chain.push(name.to_owned());
    let mut merged = Node::new(Value::Map(Arc::new(Map::default())), node.span);
    for base in bases {
        let Some(base_node) = root.get(base) else {
            continue;
        };
        merged = merged.deep_merge(&resolve_entry(root, base, base_node, chain, done)?);
    }
    chain.pop();
    let whole = merged.deep_merge(node);
    done.insert(name.to_owned(), whole.clone());
    Ok(whole)
}

fn base_names(extends: &Node) -> Option<Vec<&str>> {
    match extends.as_str() {
        Some(name) => Some(vec![name]),
        None => extends.as_seq()?.iter().map(Node::as_str).collect(),
    }
}
