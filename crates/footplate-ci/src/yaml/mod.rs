//! YAML as GitLab reads it: libyaml's events, and Psych's rules on top (`ci-yaml.md §2`).

mod documents;
mod dump;
mod error;
mod limits;
mod load;
mod merge;
mod scalar;
mod tags;

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use indexmap::{Equivalent, IndexMap};

pub(crate) use documents::documents;
pub use dump::dump;
pub use error::YamlError;
pub use limits::Limits;
pub use load::load;
pub(crate) use load::{Loaded, load_document};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Text.
    Str(Arc<str>),
    /// A symbol.
    Symbol(Arc<str>),
    /// Any other value, in a form of its own.
    Other(String),
}

impl Key {
    pub(super) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Str(text) => Self::Str(Arc::clone(text)),
            Value::Symbol(text) => Self::Symbol(Arc::clone(text)),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// Texts and symbols are looked up by their text, so both hash as it does.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) | Self::Symbol(text) => text.hash(state),
            Self::Other(text) => text.hash(state),
        }
    }
}

/// A text to be looked up without making a key of it.
struct Written<'t>(&'t str);

impl Hash for Written<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Key> for Written<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(key, Key::Str(text) if **text == *self.0)
    }
}

/// The same for a symbol.
struct Symbolic<'t>(&'t str);

impl Hash for Symbolic<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Key> for Symbolic<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(key, Key::Symbol(text) if **text == *self.0)
    }
}

impl Map {
    /// The value of a key, be it text or a symbol.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .get(&Written(key))
            .or_else(|| self.entries.get(&Symbolic(key)))
            .map(|entry| &entry.value)
    }

    /// A key as it was written, with its place.
    pub fn key(&self, key: &str) -> Option<&Node> {
        self.entries
            .get(&Written(key))
            .or_else(|| self.entries.get(&Symbolic(key)))
            .map(|entry| &entry.key)
    }

    /// Sets a key: a new one goes to the end, an old one keeps its place.
    pub fn insert(&mut self, key: Node, value: Node) {
        self.replace(key, value);
    }

    /// Sets a key, and tells where it stood before.
    pub fn replace(&mut self, key: Node, value: Node) -> Option<Span> {
        match self.entries.entry(Key::of(&key)) {
            indexmap::map::Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                entry.value = value;
                Some(std::mem::replace(&mut entry.key.span, key.span))
            }
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(Entry { key, value });
                None
            }
        }
    }

    /// The same keys with other values.
    ///
    /// # Errors
    /// The first that `value` gives.
    pub fn try_map<E>(
        &self,
        mut value: impl FnMut(&Entry) -> Result<Option<Node>, E>,
    ) -> Result<Self, E> {
        let mut out = self.clone();
        for entry in out.entries.values_mut() {
            if let Some(new) = value(entry)? {
                entry.value = new;
            }
        }
        Ok(out)
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.entries
            .shift_remove(&Written(key))
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

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// This node with `over` laid upon it: mappings are merged key by key, anything else is replaced (`ci-yaml.md §5.1`).
    #[must_use]
    pub fn deep_merge(&self, over: &Self) -> Self {
        self.clone().overlaid(over)
    }

    /// The same of a node that is not needed any more: only what others share is copied.
    #[must_use]
    pub fn overlaid(mut self, over: &Self) -> Self {
        let (Value::Map(base), Value::Map(upper)) = (&mut self.value, &over.value) else {
            return over.clone();
        };
        let base = Arc::make_mut(base);
        for entry in upper.iter() {
            match base.entries.entry(Key::of(&entry.key)) {
                indexmap::map::Entry::Occupied(mut old) => {
                    let old = old.get_mut();
                    let below = std::mem::replace(&mut old.value.value, Value::Null);
                    old.value = Self::new(below, old.value.span).overlaid(&entry.value);
                    old.key.span = entry.key.span;
                }
                indexmap::map::Entry::Vacant(new) => {
                    new.insert(entry.clone());
                }
            }
        }
        self.span = over.span;
        self
    }
}
