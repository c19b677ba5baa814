//! What a plain scalar means to Psych: YAML 1.1 with Ruby's habits.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::Value;

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new($text).unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
        });
    };
}

pattern!(WORD, r"^[^\d.:-]?[[:alpha:]_\s!@#$%\^&*(){}<>|/\\~;=]+");
pattern!(
    TIME,
    r"^-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?$"
);
pattern!(DATE, r"^\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)$");
pattern!(SEXAGESIMAL, r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}$");
pattern!(
    SEXAGESIMAL_FLOAT,
    r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}\.[0-9_]*$"
);
pattern!(
    FLOAT,
    r"^[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][+-][0-9]+)?$"
);
pattern!(OCTAL, r"^[-+]?0[0-7_,]+$");
pattern!(BINARY, r"^[-+]?0b[01_,]+$");
pattern!(DECIMAL, r"^[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)$");
pattern!(HEX, r"^[-+]?0x[0-9a-fA-F_,]+$");

/// Reads an untagged plain scalar; `shared` makes a text of what is text.
///
/// # Errors
/// The name of a Ruby class that would have to be loaded.
pub(super) fn resolve(
    text: &str,
    shared: impl FnOnce(&str) -> Arc<str>,
) -> Result<Value, &'static str> {
    let string = || Value::Str(shared(text));
    if text.is_empty() {
        return Ok(Value::Null);
    }
    // Nearly every scalar begins with a letter, and then the pattern for words always fits.
    if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Ok(word(text).unwrap_or_else(string));
    }
    if WORD.is_match(text) || text.contains('\n') {
        return Ok(word(text).unwrap_or_else(string));
    }
    if TIME.is_match(text) {
        return Err("Time");
    }
    if DATE.is_match(text) {
        return Err("Date");
    }
    Ok(special_float(text)
        .or_else(|| symbol(text))
        .or_else(|| sexagesimal(text))
        .or_else(|| float(text))
        .or_else(|| integer(text))
        .unwrap_or_else(string))
}

/// `~`, `null`, and the words for true and false.
fn word(text: &str) -> Option<Value> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["~", "null"]) {
        Some(Value::Null)
    } else if is(&["yes", "true", "on"]) {
        Some(Value::Bool(true))
    } else if is(&["no", "false", "off"]) {
        Some(Value::Bool(false))
    } else {
        None
    }
}

fn special_float(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => Some(Value::Float(f64::INFINITY)),
        "-.inf" => Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" => Some(Value::Float(f64::NAN)),
        _ => None,
    }
}

fn symbol(text: &str) -> Option<Value> {
    let name = text.strip_prefix(':').filter(|name| !name.is_empty())?;
    let quoted = |quote: char| {
        name.strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    Some(Value::Symbol(
        quoted('"').or_else(|| quoted('\'')).unwrap_or(name).into(),
    ))
}

/// `12:30:45`: hours, minutes, seconds; `1:30` are hours and minutes.
fn sexagesimal(text: &str) -> Option<Value> {
    let parts = || {
        text.split(':')
            .map(|part| part.replace('_', ""))
            .zip([3600, 60, 1])
    };
    if SEXAGESIMAL.is_match(text) {
        parts()
            .map(|(part, unit)| part.parse::<i128>().ok().and_then(|n| n.checked_mul(unit)))
            .sum::<Option<i128>>()
            .map(|number| Value::Int(number.into()))
    } else if SEXAGESIMAL_FLOAT.is_match(text) {
        parts()
            .map(|(part, unit)| {
                part.parse::<f64>()
                    .ok()
                    .map(|n| n * f64::from(i32::try_from(unit).unwrap_or(1)))
            })
            .sum::<Option<f64>>()
            .map(Value::Float)
    } else {
        None
    }
}

fn float(text: &str) -> Option<Value> {
    if !FLOAT.is_match(text) || text.trim_start_matches(['-', '+']) == "." {
        return None;
    }
    text.replace([',', '_'], "").parse().ok().map(Value::Float)
}

fn integer(text: &str) -> Option<Value> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let parsed = if OCTAL.is_match(text) {
        i128::from_str_radix(digits, 8)
    } else if BINARY.is_match(text) {
        i128::from_str_radix(&digits[2..], 2)
    } else if DECIMAL.is_match(text) {
        digits.parse()
    } else if HEX.is_match(text) {
        i128::from_str_radix(&digits[2..], 16)
    } else {
        return None;
    };
    // A number that fits nowhere stays text; no keyword takes one.
    parsed
        .ok()
        .map(|number: i128| Value::Int(if negative { -number } else { number }.into()))
}
