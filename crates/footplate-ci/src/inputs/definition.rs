//! Definitions of inputs, and values checked against them (`ci-yaml.md §3.2`).

use super::{
    fault::Fault,
    rules::{Chosen, choose},
    shown::shown,
};
use crate::{
    patterns,
    suggest::did_you_mean,
    variables::Variable,
    yaml::{Map, Node, Value},
};

/// Types of inputs.
pub(super) const TYPES: [&str; 4] = ["string", "number", "boolean", "array"];

/// The final value of every defined input.
///
/// # Errors
/// Every message, the one about undefined inputs first.
pub fn check(definitions: &Map, given: &Map) -> Result<Map, Vec<String>> {
    values(definitions, given, &[])
        .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect())
}

/// The same with places, and with the variables that rules may refer to.
///
/// # Errors
/// As [`check`].
pub(crate) fn values(
    definitions: &Map,
    given: &Map,
    variables: &[Variable],
) -> Result<Map, Vec<Fault>> {
    let mut faults: Vec<Fault> = undefined(definitions, given).into_iter().collect();
    let mut values = Map::default();
    for entry in definitions.iter() {
        let name = shown(&entry.key);
        let Some(definition) = Definition::of(&entry.value) else {
            let message = format!(
                "unknown input specification for `{name}` (valid types: array, boolean, number, string)"
            );
            faults.push(Fault::at(entry.key.span, message));
            continue;
        };
        // A null is no value: the default applies.
        let value = given.get(&name).filter(|value| !value.is_null());
        let chosen = definition.chosen(&values, given, variables);
        let (messages, result) = definition.settle(value, chosen);
        let span = value.map(|value| value.span);
        faults.extend(
            messages
                .into_iter()
                .map(|message| Fault::new(format!("`{name}` input: {message}"), span)),
        );
        if let Some(result) = result {
            values.insert(entry.key.clone(), result);
        }
    }
    if faults.is_empty() {
        Ok(values)
    } else {
        Err(faults)
    }
}

fn undefined(definitions: &Map, given: &Map) -> Option<Fault> {
    let unknown: Vec<&Node> = given
        .iter()
        .map(|entry| &entry.key)
        .filter(|key| {
            key.as_str()
                .is_none_or(|name| definitions.get(name).is_none())
        })
        .collect();
    let names: Vec<String> = unknown.iter().map(|key| shown(key)).collect();
    unknown.first().map(|first| {
        Fault::at(
            first.span,
            format!("unknown input arguments: {}", names.join(", ")),
        )
        .with_help(names.iter().find_map(|name| {
            let known = definitions.iter().filter_map(|entry| entry.key.as_str());
            did_you_mean(name, known.filter(|known| given.get(known).is_none()))
        }))
    })
}

/// What a definition asks of a value.
struct Definition<'d> {
    kind: &'static str,
    default: Option<&'d Node>,
    options: Option<&'d [Node]>,
    regex: Option<&'d Node>,
    rules: Option<&'d [Node]>,
}

impl<'d> Definition<'d> {
    fn of(node: &'d Node) -> Option<Self> {
        let map = match &node.value {
            Value::Null => None,
            Value::Map(map) => Some(&**map),
            _ => return None,
        };
        let field = |key: &str| map.and_then(|map| map.get(key));
        let kind = match field("type").filter(|kind| !kind.is_null()) {
            None => "string",
            Some(kind) => TYPES
                .into_iter()
                .find(|known| kind.as_str() == Some(known))?,
        };
        Some(Self {
            kind,
            default: field("default"),
            options: field("options").and_then(Node::as_seq),
            regex: field("regex"),
            rules: field("rules").and_then(Node::as_seq),
        })
    }

    /// Options and default: those of the first rule that holds, where there are rules.
    fn chosen(&self, values: &Map, given: &Map, variables: &[Variable]) -> Chosen<'d> {
        match self.rules {
            Some(rules) => choose(rules, |name| match name.strip_prefix("inputs.") {
                Some(input) => given
                    .get(input)
                    .filter(|value| !value.is_null())
                    .or_else(|| values.get(input).filter(|value| !value.is_null()))
                    .map(shown),
                None => variables
                    .iter()
                    .rev()
                    .find(|variable| variable.key == name)
                    .map(|variable| variable.value.clone()),
            }),
            None => Chosen {
                options: self.options,
                default: self.default,
            },
        }
    }

    /// What is wrong, and the final value. A default is checked even where a value replaces it.
    fn settle(&self, given: Option<&Node>, chosen: Chosen<'d>) -> (Vec<String>, Option<Node>) {
        let Some(value) = given.or(chosen.default) else {
            let message = "required value has not been provided".to_owned();
            return (vec![message], None);
        };
        let mut messages = Vec::new();
        // Only a rule may say that there is no value.
        let unchecked = self.rules.is_some() && chosen.default.is_some_and(Node::is_null);
        for (value, source) in [
            (chosen.default.filter(|_| !unchecked), "default"),
            (given, "provided"),
        ] {
            if let Some(value) = value {
                self.look_at(value, source, chosen.options, &mut messages);
            }
        }
        (messages, Some(value.clone()))
    }

    fn look_at(
        &self,
        value: &Node,
        source: &str,
        options: Option<&[Node]>,
        messages: &mut Vec<String>,
    ) {
        let kind = self.kind;
        if !has_type(kind, value) {
            let article = if kind == "array" { "an" } else { "a" };
            messages.push(format!("{source} value is not {article} {kind}"));
        }
        match options {
            None => {}
            Some(_) if !matches!(kind, "string" | "number") => {
                messages.push("Options can only be used with string and number inputs".to_owned());
            }
            Some(options) if options.iter().any(|option| self.same(option, value)) => {}
            Some(_) => {
                let article = if kind == "number" { "the " } else { "" };
                messages.push(format!(
                    "`{}` cannot be used because it is not in the list of {article}allowed options",
                    shown(value)
                ));
            }
        }
        if let Some(regex) = self.regex {
            messages.extend(self.mismatch(regex, value, source));
        }
    }

    /// Texts are compared as texts, numbers as numbers.
    fn same(&self, option: &Node, value: &Node) -> bool {
        if self.kind == "string" {
            return shown(option) == shown(value);
        }
        match (&option.value, &value.value) {
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Float(one), Value::Float(other)) => one == other,
            (Value::Int(whole), Value::Float(float)) | (Value::Float(float), Value::Int(whole)) => {
                whole.get() as f64 == *float
            }
            _ => false,
        }
    }

    fn mismatch(&self, regex: &Node, value: &Node, source: &str) -> Option<String> {
        if self.kind != "string" {
            return Some("RegEx validation can only be used with string inputs".to_owned());
        }
        let value = value.as_str()?;
        let text = regex.as_str().unwrap_or_default();
        let pattern = match patterns::parse(text) {
            Err(patterns::PatternError::NotAPattern) => patterns::compile(text, ""),
            parsed => parsed,
        };
        match pattern {
            Err(_) => Some("invalid regular expression".to_owned()),
            Ok(pattern) if pattern.is_match(value) => None,
            Ok(_) => Some(format!(
                "{source} value does not match required RegEx pattern"
            )),
        }
    }
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
