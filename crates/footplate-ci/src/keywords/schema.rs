//! The few keywords that GitLab checks against a JSON schema, with the messages of its schema library.

use crate::{
    check::{Check, text},
    yaml::{Map, Node, Span, Value},
};

/// What a value must be.
#[derive(Debug)]
pub(super) enum Schema {
    /// Anything.
    Any,
    /// Text.
    Text,
    /// Text of a length; the second number is the most.
    Length(usize, usize),
    /// Text of a length, or a whole number.
    LengthOrInteger(usize, usize),
    /// Text that is a name: letters, digits and underscores.
    Name,
    /// True or false.
    Flag,
    /// A list of these.
    List(&'static Schema),
    /// A mapping of names to these.
    Named(&'static Schema),
    /// A mapping of known fields.
    Fields(&'static [Field]),
    /// A mapping of known fields that has exactly one of the named ones.
    FieldsWithOneOf(&'static [Field], &'static [&'static str]),
    /// Exactly one of these.
    OneOf(&'static [Schema]),
}

/// A field of a mapping.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    required: bool,
    schema: Schema,
}

/// A field that may be absent.
pub(super) const fn field(name: &'static str, schema: Schema) -> Field {
    Field {
        name,
        required: false,
        schema,
    }
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, schema: Schema) -> Field {
    Field {
        name,
        required: true,
        schema,
    }
}

const NAME_PATTERN: &str = "^[a-zA-Z_][a-zA-Z0-9_]*$";

fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && text.chars().all(word)
}

/// Checks a value; `owner` are location and attribute.
pub(super) fn check(check: &mut Check, owner: &str, node: &Node, schema: &Schema) {
    let mut found = Vec::new();
    walk(&mut found, "", node, schema);
    for (span, message) in found {
        check.error(span, format!("{owner} {message}"));
    }
}

type Found = Vec<(Span, String)>;

/// A place as the library writes it.
fn place(pointer: &str) -> String {
    if pointer.is_empty() {
        "root".to_owned()
    } else {
        format!("`{pointer}`")
    }
}

fn walk(found: &mut Found, pointer: &str, node: &Node, schema: &Schema) {
    match schema {
        Schema::Any => {}
        Schema::Flag if matches!(node.value, Value::Bool(_)) => {}
        Schema::Flag => no(found, pointer, node, "a boolean"),
        Schema::LengthOrInteger(..) if matches!(node.value, Value::Int(_)) => {}
        Schema::LengthOrInteger(..) if node.as_str().is_none() => no(
            found,
            pointer,
            node,
            "one of the types: [\"string\", \"integer\"]",
        ),
        Schema::Text | Schema::Length(..) | Schema::Name if node.as_str().is_none() => {
            no(found, pointer, node, "a string");
        }
        Schema::Text => {}
        Schema::Length(least, most) | Schema::LengthOrInteger(least, most) => {
            length(found, pointer, node, *least, *most);
        }
        Schema::Name if is_name(&text(node)) => {}
        Schema::Name => found.push((
            node.span,
            format!(
                "string at {} does not match pattern: {NAME_PATTERN}",
                place(pointer)
            ),
        )),
        Schema::List(items) => match node.as_seq() {
            None => no(found, pointer, node, "an array"),
            Some(list) => {
                for (number, item) in list.iter().enumerate() {
                    walk(found, &format!("{pointer}/{number}"), item, items);
                }
            }
        },
        Schema::Named(..) | Schema::Fields(_) | Schema::FieldsWithOneOf(..) => {
            match node.as_map() {
                None => no(found, pointer, node, "an object"),
                Some(map) => mapping(found, pointer, node, map, schema),
            }
        }
        Schema::OneOf(all) => one_of(found, pointer, node, all),
    }
}

fn no(found: &mut Found, pointer: &str, node: &Node, what: &str) {
    let at = place(pointer);
    found.push((node.span, format!("value at {at} is not {what}")));
}

fn length(found: &mut Found, pointer: &str, node: &Node, least: usize, most: usize) {
    let (at, count) = (place(pointer), text(node).chars().count());
    if count < least {
        found.push((
            node.span,
            format!("string length at {at} is less than: {least}"),
        ));
    } else if count > most {
        found.push((
            node.span,
            format!("string length at {at} is greater than: {most}"),
        ));
    }
}

/// Where no alternative fits, what is wrong with each of them is told.
fn one_of(found: &mut Found, pointer: &str, node: &Node, all: &[Schema]) {
    let mut wrong = Vec::new();
    for schema in all {
        let mut own = Vec::new();
        walk(&mut own, pointer, node, schema);
        if own.is_empty() {
            return;
        }
        wrong.extend(own);
    }
    found.extend(wrong);
}

fn mapping(found: &mut Found, pointer: &str, node: &Node, map: &Map, schema: &Schema) {
    let (fields, choice): (&[Field], &[&str]) = match schema {
        Schema::Fields(fields) => (fields, &[]),
        Schema::FieldsWithOneOf(fields, choice) => (fields, choice),
        _ => (&[], &[]),
    };
    let at = place(pointer);
    let mut missing = |names: &[&str]| {
        let names = names.join(", ");
        found.push((
            node.span,
            format!("object at {at} is missing required properties: {names}"),
        ));
    };
    let absent: Vec<&str> = fields
        .iter()
        .filter(|field| field.required && map.get(field.name).is_none())
        .map(|field| field.name)
        .collect();
    if !absent.is_empty() {
        missing(&absent);
    }
    match choice.iter().filter(|name| map.get(name).is_some()).count() {
        0 => choice.iter().for_each(|name| missing(&[name])),
        1 => {}
        _ => found.push((node.span, format!("value at {at} matches `not` schema"))),
    }
    for entry in map.iter() {
        let key = text(&entry.key);
        let inner = format!("{pointer}/{key}");
        let of_field = fields
            .iter()
            .find(|field| field.name == key)
            .map(|field| &field.schema);
        let of_name = match schema {
            Schema::Named(values) if is_name(&key) => Some(*values),
            _ => None,
        };
        match of_field.or(of_name) {
            Some(schema) => walk(found, &inner, &entry.value, schema),
            None => found.push((
                entry.key.span,
                format!("object property at `{inner}` is a disallowed additional property"),
            )),
        }
    }
}
