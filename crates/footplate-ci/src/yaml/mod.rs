//! YAML as GitLab reads it: libyaml's events, and Psych's rules on top (`ci-yaml.md §2`).

mod dump;
mod load;
mod scalar;

use std::sync::Arc;

use indexmap::IndexMap;

pub use dump::dump;
pub use load::{Limits, YamlError, load};

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// Number of the file in the compilation.
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A value with its place. Cheap to clone: collections and texts are shared.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written; for what an alias brought in, where the anchor stands.
    pub span: Span,
}

/// What Psych makes of a node.
#[derive(Debug, Clone)]
pub enum Value {
    /// `~`, `null`, or nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// `:text`; read as text by every keyword.
    Symbol(Arc<str>),
    /// `!!binary`.
    Binary(Arc<[u8]>),
    /// A list.
    Seq(Arc<Vec<Node>>),
    /// A mapping.
    Map(Arc<Map>),
    /// `!reference` with its argument.
    Reference(Arc<Node>),
}

/// A mapping in the order in which its keys first appeared.
#[derive(Debug, Clone, Default)]
pub struct Map {
    entries: IndexMap<Key, Entry>,
}

/// A key with its place, and the value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as it was written.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// A key, comparable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// Text.
    Str(Arc<str>),
    /// A symbol.
    Symbol(Arc<str>),
    /// Any other value, in a form of its own.
    Other(String),
}

impl Key {
    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Str(text) => Self::Str(Arc::clone(text)),
            Value::Symbol(text) => Self::Symbol(Arc::clone(text)),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

impl Map {
    /// The value of a key, be it text or a symbol.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let shared: Arc<str> = key.into();
        self.entries
            .get(&Key::Str(Arc::clone(&shared)))
            .or_else(|| self.entries.get(&Key::Symbol(shared)))
            .map(|entry| &entry.value)
    }

    /// Sets a key: a new one goes to the end, an old one keeps its place.
    pub fn insert(&mut self, key: Node, value: Node) {
        match self.entries.entry(Key::of(&key)) {
            indexmap::map::Entry::Occupied(mut entry) => entry.get_mut().value = value,
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(Entry { key, value });
            }
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.entries
            .shift_remove(&Key::Str(key.into()))
            .map(|entry| entry.value)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Node {
    /// A node that was made, not read.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    /// Text, be it a string or a symbol.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) | Value::Symbol(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Binary(_)
            | Value::Seq(_)
            | Value::Map(_)
            | Value::Reference(_) => None,
        }
    }

    /// A list's items.
    pub fn as_seq(&self) -> Option<&[Node]> {
        if let Value::Seq(items) = &self.value {
            Some(items)
        } else {
            None
        }
    }

    /// A mapping.
    pub fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value {
            Some(map)
        } else {
            None
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// This node with `over` laid upon it: mappings are merged key by key, anything else is replaced (`ci-yaml.md §5.1`).
    #[must_use]
    pub fn deep_merge(&self, over: &Self) -> Self {
        let (Value::Map(base), Value::Map(upper)) = (&self.value, &over.value) else {
            return over.clone();
        };
        let mut merged = Map::clone(base);
        for entry in upper.iter() {
            match merged.entries.entry(Key::of(&entry.key)) {
                indexmap::map::Entry::Occupied(mut old) => {
                    let value = old.get().value.deep_merge(&entry.value);
                    old.get_mut().value = value;
                }
                indexmap::map::Entry::Vacant(new) => {
                    new.insert(entry.clone());
                }
            }
        }
        Self {
            value: Value::Map(Arc::new(merged)),
            span: over.span,
        }
    }
}
