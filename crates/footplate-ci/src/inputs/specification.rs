//! `spec`: which keys it may have, and what they look like (`ci-yaml.md §3.1`, `§3.2`).

use std::sync::Arc;

use super::{
    definition::TYPES,
    fault::Fault,
    rules::{self, MAX_OPTIONS},
    shown::shown,
};
use crate::{
    check::string_list,
    suggest::did_you_mean,
    yaml::{Map, Node, Span, Value},
};

/// Keys of a definition.
const KEYS: [&str; 6] = [
    "default",
    "description",
    "options",
    "regex",
    "type",
    "rules",
];
/// Facts of a component that a file may ask for.
const FACTS: [&str; 4] = ["name", "sha", "version", "reference"];

/// A header that keeps to its form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specification {
    /// Inputs that are defined in the file itself.
    pub inputs: Arc<Map>,
    /// Items of `include`.
    pub include: Vec<Node>,
    /// Facts of the component that blocks may refer to.
    pub component: Vec<String>,
}

/// Reads what stands under `spec`.
///
/// # Errors
/// Everything that is wrong with its form.
pub(crate) fn specification(spec: &Node) -> Result<Specification, Vec<Fault>> {
    let map = match &spec.value {
        Value::Null => return Ok(Specification::default()),
        Value::Map(map) => map,
        _ => return Err(vec![at(spec.span, "header:spec config should be a hash")]),
    };
    let mut faults: Vec<Fault> =
        unknown_keys("header:spec", map, &["inputs", "include", "component"])
            .into_iter()
            .collect();
    let component = component(map).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let include = include(map).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let inputs = match map.get("inputs").map(|inputs| (&inputs.value, inputs.span)) {
        None | Some((Value::Null, _)) => Arc::default(),
        Some((Value::Map(inputs), _)) => Arc::clone(inputs),
        Some((_, span)) => {
            faults.push(at(span, "header:spec:inputs config should be a hash"));
            Arc::default()
        }
    };
    faults.extend(definitions(&inputs));
    if faults.is_empty() {
        Ok(Specification {
            inputs,
            include,
            component,
        })
    } else {
        Err(faults)
    }
}

/// What is wrong with the form of definitions.
pub(crate) fn definitions(inputs: &Map) -> Vec<Fault> {
    inputs
        .iter()
        .filter_map(|entry| Some((shown(&entry.key), entry.value.as_map()?)))
        .flat_map(|(name, map)| definition(&format!("header:spec:inputs:{name}"), map))
        .collect()
}

fn definition(location: &str, map: &Map) -> Vec<Fault> {
    let given = |key: &str| map.get(key).filter(|node| !node.is_null());
    let mut faults: Vec<Fault> = unknown_keys(location, map, &KEYS).into_iter().collect();
    let fault = |node: &Node, text: &str| at(node.span, format!("{location} {text}"));
    if let Some(rules) = given("rules") {
        for other in ["options", "default"] {
            if map.get(other).is_some() {
                let text = format!("config these keys cannot be used together: rules, {other}");
                faults.push(fault(rules, &text));
            }
        }
    }
    if let Some(node) = given("description")
        && matches!(node.value, Value::Seq(_) | Value::Map(_))
    {
        faults.push(fault(
            node,
            "input description must be an alphanumeric string",
        ));
    }
    if let Some(node) = given("regex")
        && node.as_str().is_none()
    {
        faults.push(fault(node, "input regex should be a string"));
    }
    if let Some(node) = given("type")
        && node.as_str().is_none_or(|name| !TYPES.contains(&name))
    {
        let name = shown(node);
        let text = format!("input type unknown value: {name}");
        faults.push(fault(node, &text).with_help(did_you_mean(&name, TYPES)));
    }
    match given("options").map(|node| (node, node.as_seq())) {
        None => {}
        Some((node, None)) => faults.push(fault(node, "input options should be an array")),
        Some((node, Some(options))) => {
            if options.len() > MAX_OPTIONS {
                let text = format!("config cannot define more than {MAX_OPTIONS} options");
                faults.push(fault(node, &text));
            }
            if options.iter().any(Node::is_null) {
                faults.push(fault(
                    node,
                    "config options array cannot contain null values",
                ));
            }
        }
    }
    if let Some(node) = given("rules") {
        faults.extend(rules::faults(&format!("{location}:rules"), node));
    }
    faults
}

fn component(spec: &Map) -> Result<Vec<String>, Fault> {
    let Some(list) = spec.get("component").filter(|list| !list.is_null()) else {
        return Ok(Vec::new());
    };
    let fail = |text: String| {
        Err(at(
            list.span,
            format!("header:spec:component config {text}"),
        ))
    };
    let Some(names) = string_list(list) else {
        return fail("should be an array of strings".to_owned());
    };
    let unknown: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !FACTS.contains(name))
        .collect();
    if unknown.is_empty() {
        Ok(names)
    } else {
        fail(format!("contains unknown values: {}", unknown.join(", ")))
    }
}

/// `include` names files with inputs, and gives them none.
fn include(spec: &Map) -> Result<Vec<Node>, Fault> {
    let Some(list) = spec.get("include").filter(|list| !list.is_null()) else {
        return Ok(Vec::new());
    };
    let items = list.as_seq().unwrap_or_else(|| std::slice::from_ref(list));
    let allowed = [
        "local",
        "remote",
        "project",
        "file",
        "ref",
        "integrity",
        "cache",
    ];
    let wrong = items
        .iter()
        .filter_map(Node::as_map)
        .find_map(|map| unknown_keys("header:spec:include", map, &allowed));
    match wrong {
        Some(fault) => Err(fault),
        None => Ok(items.to_vec()),
    }
}

fn unknown_keys(location: &str, map: &Map, allowed: &[&str]) -> Option<Fault> {
    let unknown: Vec<&Node> = map
        .iter()
        .map(|entry| &entry.key)
        .filter(|key| key.as_str().is_none_or(|key| !allowed.contains(&key)))
        .collect();
    let names: Vec<String> = unknown.iter().map(|key| shown(key)).collect();
    unknown.first().map(|first| {
        at(
            first.span,
            format!(
                "{location} config contains unknown keys: {}",
                names.join(", ")
            ),
        )
        .with_help(
            names
                .iter()
                .find_map(|name| did_you_mean(name, allowed.iter().copied())),
        )
    })
}

fn at(span: Span, message: impl Into<String>) -> Fault {
    Fault::at(span, message)
}
