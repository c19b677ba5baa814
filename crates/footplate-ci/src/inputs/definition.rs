//! Definitions of inputs, and values checked against them (`ci-yaml.md §3.2`).

use crate::{
    patterns,
    yaml::{Map, Node, Value},
};

const MAX_OPTIONS: usize = 50;
const TYPES: [&str; 4] = ["string", "number", "boolean", "array"];

/// The final value of every defined input.
///
/// # Errors
/// Every message, the one about undefined inputs first.
pub fn check(definitions: &Map, given: &Map) -> Result<Map, Vec<String>> {
    let mut errors = Vec::new();
    let undefined: Vec<&str> = given
        .iter()
        .filter_map(|entry| entry.key.as_str())
        .filter(|name| definitions.get(name).is_none())
        .collect();
    if !undefined.is_empty() {
        errors.push(format!("unknown input arguments: {}", undefined.join(", ")));
    }
    let mut values = Map::default();
    for entry in definitions.iter() {
        let name = entry.key.as_str().unwrap_or_default();
        match check_one(&entry.value, given.get(name)) {
            Ok(value) => values.insert(entry.key.clone(), value),
            Err(Problem::Specification) => {
                errors.push(format!("unknown input specification for `{name}` (valid types: array, boolean, number, string)"));
            }
            Err(Problem::Input(message)) => errors.push(format!("`{name}` input: {message}")),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

enum Problem {
    Specification,
    Input(String),
}

fn check_one(definition: &Node, given: Option<&Node>) -> Result<Node, Problem> {
    let empty = Map::default();
    let map = match &definition.value {
        Value::Null => &empty,
        Value::Map(map) => map,
        _ => return Err(Problem::Specification),
    };
    let kind = match map.get("type").filter(|kind| !kind.is_null()) {
        None => "string",
        Some(kind) => TYPES
            .into_iter()
            .find(|known| kind.as_str() == Some(known))
            .ok_or(Problem::Specification)?,
    };
    let input = |message: &str| Problem::Input(message.to_owned());
    let options = map.get("options").and_then(Node::as_seq);
    if let Some(options) = options {
        if !matches!(kind, "string" | "number") {
            return Err(input(
                "Options can only be used with string and number inputs",
            ));
        }
        if options.len() > MAX_OPTIONS {
            return Err(input("cannot define more than 50 options"));
        }
    }
    let pattern = match map.get("regex") {
        None => None,
        Some(_) if kind != "string" => {
            return Err(input(
                "RegEx validation can only be used with string inputs",
            ));
        }
        Some(regex) => {
            let text = regex.as_str().unwrap_or_default();
            let pattern = match patterns::parse(text) {
                Err(patterns::PatternError::NotAPattern) => patterns::compile(text, ""),
                parsed => parsed,
            };
            Some(pattern.map_err(|_| input("invalid regular expression"))?)
        }
    };
    let default = map.get("default");
    // A default is checked even where a value replaces it.
    for (value, source) in [(default, "default"), (given, "provided")] {
        if let Some(value) = value {
            check_value(kind, value, source, pattern.as_ref(), options).map_err(Problem::Input)?;
        }
    }
    given
        .or(default)
        .cloned()
        .ok_or_else(|| input("required value has not been provided"))
}

fn check_value(
    kind: &str,
    value: &Node,
    source: &str,
    pattern: Option<&regex::Regex>,
    options: Option<&[Node]>,
) -> Result<(), String> {
    if !has_type(kind, value) {
        let article = if kind == "array" { "an" } else { "a" };
        return Err(format!("{source} value is not {article} {kind}"));
    }
    if pattern.is_some_and(|pattern| !pattern.is_match(value.as_str().unwrap_or_default())) {
        return Err(format!(
            "{source} value does not match required RegEx pattern"
        ));
    }
    if options.is_some_and(|options| !options.iter().any(|option| shown(option) == shown(value))) {
        let article = if kind == "number" { "the " } else { "" };
        return Err(format!(
            "`{}` cannot be used because it is not in the list of {article}allowed options",
            shown(value)
        ));
    }
    Ok(())
}

fn has_type(kind: &str, value: &Node) -> bool {
    match &value.value {
        Value::Str(_) | Value::Symbol(_) => kind == "string",
        Value::Int(_) | Value::Float(_) => kind == "number",
        Value::Bool(_) => kind == "boolean",
        Value::Seq(_) => kind == "array",
        Value::Null | Value::Binary(_) | Value::Map(_) | Value::Reference(_) => false,
    }
}

/// A value as text, the way Ruby writes it into a text.
pub(super) fn shown(node: &Node) -> String {
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
