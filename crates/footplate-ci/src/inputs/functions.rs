//! Functions of an interpolation block (`ci-yaml.md §3.4`).

use crate::{
    variables::{DirectOptions, Variable, expand_existing},
    yaml::{Node, Span, Value},
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
        let (name, arguments) = text.split_once('(')?;
        match name {
            // The bracket at the end may be missing, as in GitLab.
            "truncate" => {
                let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
                let (offset, length) = arguments.split_once(',')?;
                Some(Self::Truncate(count(offset)?, count(length)?))
            }
            "split" => {
                let separator = arguments.strip_prefix('\'')?.strip_suffix("')")?;
                (!separator.contains('\'')).then(|| Self::Split(separator.to_owned()))
            }
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
            Self::Split(separator) => Ok(split(text, separator)),
        }
    }
}

/// Digits only; a number that fits nowhere is longer than any text.
fn count(text: &str) -> Option<usize> {
    let digits = text.trim();
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Parts without white space around them, and none that are empty. One blank divides at any white space, as in Ruby.
fn split(text: &str, separator: &str) -> Value {
    let part = |part: &str| Node::new(Value::Str(part.into()), Span::default());
    let parts = if separator == " " {
        text.split_whitespace().map(part).collect()
    } else {
        text.split(separator)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(part)
            .collect()
    };
    Value::Seq(parts)
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
