//! Functions of an interpolation block (`ci-yaml.md §3.4`).

use std::sync::Arc;

use crate::{
    variables::{DirectOptions, Variable, expand_existing},
    yaml::{Node, Value},
};

enum Function {
    ExpandVars,
    Truncate(usize, usize),
    PosixEscape,
    Split(String),
}

impl Function {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "expand_vars" => return Some(Self::ExpandVars),
            "posix_escape" => return Some(Self::PosixEscape),
            _ => {}
        }
        let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
        match name {
            "truncate" => {
                let (offset, length) = arguments.split_once(',')?;
                Some(Self::Truncate(
                    offset.trim().parse().ok()?,
                    length.trim().parse().ok()?,
                ))
            }
            "split" => Some(Self::Split(
                arguments
                    .trim()
                    .strip_prefix('\'')?
                    .strip_suffix('\'')?
                    .to_owned(),
            )),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::ExpandVars => "expand_vars",
            Self::Truncate(..) => "truncate",
            Self::PosixEscape => "posix_escape",
            Self::Split(_) => "split",
        }
    }

    fn call(&self, text: &str, variables: &[Variable]) -> Result<Value, String> {
        match self {
            Self::ExpandVars => expand_existing(
                text,
                variables,
                DirectOptions {
                    fail_on_masked: true,
                    ..DirectOptions::default()
                },
            )
            .map(|text| Value::Str(text.into()))
            .map_err(|error| format!("variable expansion error: {error}")),
            Self::Truncate(offset, length) => Ok(Value::Str(
                text.chars()
                    .skip(*offset)
                    .take(*length)
                    .collect::<String>()
                    .into(),
            )),
            Self::PosixEscape => Ok(Value::Str(posix_escape(text).into())),
            Self::Split(separator) if separator.is_empty() => {
                Err("invalid argument: separator cannot be empty".to_owned())
            }
            Self::Split(separator) => {
                let parts = text
                    .split(separator.as_str())
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                Ok(Value::Seq(Arc::new(
                    parts
                        .map(|part| {
                            Node::new(Value::Str(part.into()), crate::yaml::Span::default())
                        })
                        .collect(),
                )))
            }
        }
    }
}

/// Runs functions from left to right.
///
/// # Errors
/// Every function that does not exist, or else the first that fails.
pub fn run(functions: &[&str], input: Node, variables: &[Variable]) -> Result<Node, Vec<String>> {
    let (known, unknown): (Vec<_>, Vec<_>) = functions
        .iter()
        .map(|text| (text, Function::parse(text)))
        .partition(|(_, function)| function.is_some());
    if !unknown.is_empty() {
        let message = |text: &&str| {
            format!(
                "no function matching `{text}`: check that the function name, arguments, and types are correct"
            )
        };
        return Err(unknown.iter().map(|(text, _)| message(text)).collect());
    }
    let mut value = input;
    for function in known.into_iter().filter_map(|(_, function)| function) {
        let name = function.name();
        let fail = |reason: String| vec![format!("error in `{name}` function: {reason}")];
        let Some(text) = value.as_str() else {
            return Err(fail(format!(
                "invalid input type: {name} can only be used with string inputs"
            )));
        };
        let result = function.call(text, variables).map_err(fail)?;
        value = Node::new(result, value.span);
    }
    Ok(value)
}

/// As Ruby's `Shellwords.escape`.
fn posix_escape(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("'\n'"),
            c if c.is_ascii_alphanumeric() || "_-.,:+/@%".contains(c) => escaped.push(c),
            c => {
                escaped.push('\\');
                escaped.push(c);
            }
        }
    }
    escaped
}
