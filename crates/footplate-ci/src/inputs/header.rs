//! A file as header and body (`ci-yaml.md §3.1`).

use std::sync::Arc;

use super::{check, interpolate};
use crate::{
    variables::Variable,
    yaml::{Limits, Map, Node, Value, YamlError, load},
};

/// Input errors of one file that are reported.
const MAX_REPORTED: usize = 3;

/// Why a file gives no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not YAML, or too big.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// GitLab's message about header, inputs or body.
    #[error("{0}")]
    Message(String),
}

/// Reads a file: header, inputs, and the body with every block replaced.
///
/// # Errors
/// [`HeaderError`].
pub fn load_with_inputs(
    text: &str,
    file: u32,
    given: &Map,
    variables: &[Variable],
    limits: Limits,
) -> Result<Node, HeaderError> {
    let message = |text: &str| HeaderError::Message(text.to_owned());
    let documents = split(text);
    if documents.len() > 2 {
        return Err(message("The parsed YAML has too many documents"));
    }
    let first = load(
        documents.first().map_or("", String::as_str).as_bytes(),
        file,
        limits,
    )?;
    let header = match (documents.get(1), first.as_map()) {
        (Some(body), Some(map)) if map.get("spec").is_some() => {
            Some((map.get("spec").cloned(), body))
        }
        _ => None,
    };
    let Some((spec, body)) = header else {
        if !given.is_empty() {
            return Err(message(
                "Given inputs not defined in the `spec` section of the included configuration file",
            ));
        }
        return root(first);
    };
    let definitions = definitions(spec.as_ref())?;
    let body = root(load(body.as_bytes(), file, limits)?)?;
    let values = check(&definitions, given).map_err(|errors| {
        HeaderError::Message(
            errors
                .into_iter()
                .take(MAX_REPORTED)
                .collect::<Vec<_>>()
                .join(", "),
        )
    })?;
    interpolate(&body, &values, variables).map_err(HeaderError::Message)
}

fn root(node: Node) -> Result<Node, HeaderError> {
    if node.as_map().is_some() {
        Ok(node)
    } else {
        Err(HeaderError::Message(
            "Invalid configuration format".to_owned(),
        ))
    }
}

fn definitions(spec: Option<&Node>) -> Result<Arc<Map>, HeaderError> {
    let empty = || Arc::new(Map::default());
    let Some(spec) = spec.filter(|spec| !spec.is_null()) else {
        return Ok(empty());
    };
    let Some(map) = spec.as_map() else {
        return Err(HeaderError::Message(
            "header:spec config should be a hash".to_owned(),
        ));
    };
    let unknown: Vec<&str> = map
        .iter()
        .filter_map(|entry| entry.key.as_str())
        .filter(|key| !matches!(*key, "inputs" | "include" | "component"))
        .collect();
    if !unknown.is_empty() {
        return Err(HeaderError::Message(format!(
            "header:spec config contains unknown keys: {}",
            unknown.join(", ")
        )));
    }
    component(map)?;
    includes(map)?;
    match map.get("inputs").map(|inputs| &inputs.value) {
        None | Some(Value::Null) => Ok(empty()),
        Some(Value::Map(inputs)) => Ok(Arc::clone(inputs)),
        Some(_) => Err(HeaderError::Message(
            "header:spec:inputs config should be a hash".to_owned(),
        )),
    }
}

/// `spec:component` names facts of the component.
fn component(spec: &Map) -> Result<(), HeaderError> {
    let Some(list) = spec.get("component").filter(|list| !list.is_null()) else {
        return Ok(());
    };
    let fail = |text: String| {
        Err(HeaderError::Message(format!(
            "header:spec:component config {text}"
        )))
    };
    let Some(names) = crate::check::string_list(list) else {
        return fail("should be an array of strings".to_owned());
    };
    let unknown: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !["name", "sha", "version", "reference"].contains(name))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        fail(format!("contains unknown values: {}", unknown.join(", ")))
    }
}

/// `spec:include` names files with inputs, and gives them none.
fn includes(spec: &Map) -> Result<(), HeaderError> {
    let Some(list) = spec.get("include").filter(|list| !list.is_null()) else {
        return Ok(());
    };
    let items = list.as_seq().unwrap_or_else(|| std::slice::from_ref(list));
    for map in items.iter().filter_map(Node::as_map) {
        let unknown: Vec<&str> = map
            .iter()
            .filter_map(|entry| entry.key.as_str())
            .filter(|key| !["local", "remote", "project", "file", "ref"].contains(key))
            .collect();
        if !unknown.is_empty() {
            return Err(HeaderError::Message(format!(
                "header:spec:include config contains unknown keys: {}",
                unknown.join(", ")
            )));
        }
    }
    Err(HeaderError::Message(
        "header:spec:include is not supported by this server yet".to_owned(),
    ))
}

/// Documents that are not blank. Each keeps its line numbers: what stands before it becomes empty lines.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (lines, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        let divides =
            line.starts_with("---") && (bare == "---" || line[3..].starts_with([' ', '\t']));
        if divides {
            documents.push("\n".repeat(lines));
            let rest = line[3..].trim_start_matches([' ', '\t']);
            if let Some(document) = documents.last_mut() {
                document.push_str(rest);
            }
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
        }
    }
    documents.retain(|document| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    if documents.is_empty() {
        documents.push(String::new());
    }
    documents
}
