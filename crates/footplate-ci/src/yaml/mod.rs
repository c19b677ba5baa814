//! YAML as GitLab reads it: libyaml's events, and Psych's rules on top (`ci-yaml.md §2`).

mod documents;
mod dump;
mod error;
mod key;
mod limits;
mod load;
mod map;
mod merge;
mod scalar;
mod tags;
mod whole;
mod words;

use std::sync::Arc;

pub(crate) use documents::documents;
pub use dump::dump;
pub use error::YamlError;
pub use key::Key;
pub use limits::Limits;
pub use load::load;
pub(crate) use load::{Loaded, load_document};
pub use map::{Entry, Map};
pub use whole::Whole;

/// Nodes of a configuration when everything is in its place: `extends` and `!reference` may bring in much with few words.
pub(crate) const MAX_RESOLVED: usize = 1_000_000;

/// Where a node stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
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
    Int(Whole),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// `:text`; read as text by every keyword.
    Symbol(Arc<str>),
    /// `!!binary`.
    Binary(Arc<[u8]>),
    /// A list.
    Seq(Arc<[Node]>),
    /// A mapping.
    Map(Arc<Map>),
    /// `!reference` with its argument.
    Reference(Arc<Node>),
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

    /// Takes the number of nodes in this tree from what is left; `false` when that is not enough.
    ///
    /// Shared parts count each time, as they do for whoever makes lists of them. It stops as soon as the answer is known.
    pub fn fits(&self, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match &self.value {
            Value::Seq(items) => items.iter().all(|item| item.fits(left)),
            Value::Map(map) => map.iter().all(|entry| entry.value.fits(left)),
            Value::Reference(argument) => argument.fits(left),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Symbol(_)
            | Value::Binary(_) => true,
        }
    }

    /// Whether it surely is the same value as another: what is shared is looked at from outside only.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Seq(one), Value::Seq(other)) => Arc::ptr_eq(one, other),
            (Value::Map(one), Value::Map(other)) => Arc::ptr_eq(one, other),
            (Value::Str(one), Value::Str(other)) => Arc::ptr_eq(one, other),
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            _ => false,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// This node with `over` laid upon it: mappings are merged key by key, anything else is replaced (`ci-yaml.md §5.1`).
    #[must_use]
    pub fn deep_merge(&self, over: &Self) -> Self {
        self.clone().overlaid(over.clone())
    }

    /// The same of nodes that are not needed any more: only what others share is copied.
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        let span = over.span;
        match (&mut self.value, over.value) {
            (Value::Map(base), Value::Map(upper)) if !base.is_empty() => {
                Map::lay(base, upper);
                self.span = span;
                self
            }
            (_, value) => Self::new(value, span),
        }
    }
}
