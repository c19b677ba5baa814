//! A tree as text, the way Ruby's Psych writes it: what GitLab shows as `merged_yaml` (`ci-yaml.md §5.6`).

use libyaml_safer::{Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};

use super::{Node, Value, scalar};

type Emitted = Result<(), libyaml_safer::Error>;

/// Writes a tree as one YAML document that begins with `---`.
pub fn dump(node: &Node) -> String {
    let mut bytes = Vec::new();
    {
        let mut emitter = Emitter::new();
        emitter.set_unicode(true);
        emitter.set_output_string(&mut bytes);
        // Into memory nothing can fail; a tree of ours has no event out of place.
        let _ = document(&mut emitter, node);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn document(emitter: &mut Emitter<'_>, node: &Node) -> Emitted {
    emitter.emit(Event::stream_start(Encoding::Utf8))?;
    emitter.emit(Event::document_start(None, &[], false))?;
    emit(emitter, node)?;
    emitter.emit(Event::document_end(true))?;
    emitter.emit(Event::stream_end())
}

fn emit(emitter: &mut Emitter<'_>, node: &Node) -> Emitted {
    let mut plain = |text: &str| {
        emitter.emit(Event::scalar(
            None,
            None,
            text,
            true,
            false,
            ScalarStyle::Any,
        ))
    };
    match &node.value {
        Value::Null => plain(""),
        Value::Bool(flag) => plain(if *flag { "true" } else { "false" }),
        Value::Int(number) => plain(&number.to_string()),
        Value::Float(number) => plain(&float(*number)),
        Value::Symbol(text) => plain(&format!(":{text}")),
        Value::Str(text) => text_scalar(emitter, text),
        Value::Binary(bytes) => text_scalar(emitter, &String::from_utf8_lossy(bytes)),
        Value::Seq(items) => {
            emitter.emit(Event::sequence_start(
                None,
                None,
                true,
                SequenceStyle::Block,
            ))?;
            items.iter().try_for_each(|item| emit(emitter, item))?;
            emitter.emit(Event::sequence_end())
        }
        Value::Map(map) => {
            emitter.emit(Event::mapping_start(None, None, true, MappingStyle::Block))?;
            for entry in map.iter() {
                match &entry.key.value {
                    // Keys are made texts before they are written.
                    Value::Symbol(text) => text_scalar(emitter, text)?,
                    Value::Str(_) => emit(emitter, &entry.key)?,
                    other => text_scalar(emitter, &key_text(other))?,
                }
                emit(emitter, &entry.value)?;
            }
            emitter.emit(Event::mapping_end())
        }
        Value::Reference(argument) => emit(emitter, argument),
    }
}

fn key_text(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        _ => String::new(),
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else if number == number.trunc() && number.abs() < 1e16 {
        format!("{number:.1}")
    } else {
        number.to_string()
    }
}

/// Psych's choice of style for a text.
fn text_scalar(emitter: &mut Emitter<'_>, text: &str) -> Emitted {
    let (style, tag) = if text.trim_end_matches('\n').contains('\n') || text.ends_with("\n\n") {
        (ScalarStyle::Literal, None)
    } else if text == "<<" {
        (ScalarStyle::SingleQuoted, Some("tag:yaml.org,2002:str"))
    } else if matches!(text, "y" | "Y" | "n" | "N") || begins_with_sign(text) {
        (ScalarStyle::DoubleQuoted, None)
    } else if !matches!(scalar::resolve(text, |text| text.into()), Ok(Value::Str(_)))
        || octal_fraction(text)
    {
        (ScalarStyle::SingleQuoted, None)
    } else {
        (ScalarStyle::Plain, None)
    };
    let implicit = tag.is_none();
    emitter.emit(Event::scalar(None, tag, text, implicit, implicit, style))
}

/// `/^[^[:word:]][^"]*$/`
fn begins_with_sign(text: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.chars().next().is_some_and(|first| !word(first))
        && !text.get(1..).unwrap_or_default().contains('"')
}

/// `/\A0[0-7]*\.[0-9]/`
fn octal_fraction(text: &str) -> bool {
    let rest = text.strip_prefix('0').unwrap_or_default();
    let rest = rest.trim_start_matches(|digit: char| ('0'..='7').contains(&digit));
    rest.strip_prefix('.')
        .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Limits, load};

    fn again(text: &str) -> String {
        dump(&load(text.as_bytes(), 0, Limits::default()).unwrap())
    }

    #[test]
    fn writes_as_psych_does() {
        let text = "stages: [build]\njob:\n  script: ['make all', '- dash', \"true\", '1', '']\n  when:\n  tags: []\n  variables: {}\n  num: 1\n  f: 1.5\n  b: yes\n  t: |\n    one\n    two\n  y: 'y'\n";
        let expected = "---\nstages:\n- build\njob:\n  script:\n  - make all\n  - \"- dash\"\n  - 'true'\n  - '1'\n  - ''\n  when:\n  tags: []\n  variables: {}\n  num: 1\n  f: 1.5\n  b: true\n  t: |\n    one\n    two\n  \"y\": \"y\"\n";
        assert_eq!(again(text), expected);
    }

    #[test]
    fn reads_back_as_the_same() {
        let text = again(
            "a: {b: ['x: y', '#no', \"tab\\t\", \"end\\n\", '2020-01-01', '0.1', 0.1, ~, ':sym', '<<', '@at', 'é']}\n",
        );
        assert_eq!(again(&text), text);
    }
}
