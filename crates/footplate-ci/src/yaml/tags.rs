//! Scalars with tags: Psych's names of them, and which classes are refused.

use std::sync::Arc;

use super::{Node, Span, Value, YamlError, scalar, words::Words};

/// What a scalar is by its tag, or by its text where it has none.
///
/// # Errors
/// Classes that GitLab does not let in.
pub(super) fn scalar_value(
    tag: Option<&str>,
    text: &str,
    plain: bool,
    words: &mut Words,
) -> Result<Value, YamlError> {
    let resolve =
        |words: &mut Words| scalar::resolve(text, |text| words.share(text)).map_err(unspecified);
    match tag {
        None if plain => resolve(words),
        None | Some("tag:yaml.org,2002:str" | "!str" | "!ruby/string") => {
            Ok(Value::Str(words.share(text)))
        }
        Some("!reference") => Ok(Value::Reference(Arc::new(Node::new(
            Value::Str(text.into()),
            Span::default(),
        )))),
        Some("tag:yaml.org,2002:binary" | "!binary") => Ok(binary(text)),
        Some("tag:yaml.org,2002:float" | "!float") => Ok(match resolve(words)? {
            Value::Int(number) => Value::Float(number.get() as f64),
            other => other,
        }),
        Some("!ruby/regexp") => Err(unspecified("Regexp")),
        Some("!ruby/range") => Err(unspecified("Range")),
        Some(tag) if tag.starts_with("!ruby/sym") => Ok(Value::Symbol(text.into())),
        Some(tag) if tag.starts_with("!ruby/object:") => Err(unspecified(after_colon(tag))),
        Some(_) => resolve(words),
    }
}

/// Base 64 as Ruby's `unpack("m")` reads it: what is no digit is left out. Valid UTF-8 is text.
fn binary(text: &str) -> Value {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text
        .bytes()
        .take_while(|c| *c != b'=')
        .filter_map(digit)
        .collect();
    let bytes: Vec<u8> = digits
        .chunks(4)
        .flat_map(|group| {
            let bits = group
                .iter()
                .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit))
                << (6 * (4 - group.len()));
            let [_, one, two, three] = bits.to_be_bytes();
            [one, two, three].into_iter().take(group.len() * 6 / 8)
        })
        .collect();
    match String::from_utf8(bytes) {
        Ok(text) => Value::Str(text.into()),
        Err(error) => Value::Binary(error.into_bytes().into()),
    }
}

pub(super) fn after_colon(tag: &str) -> &str {
    tag.split_once(':').map_or(tag, |(_, name)| name)
}

pub(super) fn unspecified(class: &str) -> YamlError {
    YamlError::plain(format!("Tried to load unspecified class: {class}"))
}
