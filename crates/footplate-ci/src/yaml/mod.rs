//! YAML as GitLab reads it: libyaml's events, and Psych's rules on top (`ci-yaml.md §2`).

mod documents;
mod dump;
mod error;
mod limits;
mod load;
mod merge;
mod scalar;
mod tags;
mod whole;
mod words;

use std::{hash::Hash, sync::Arc};

use indexmap::IndexMap;

pub(crate) use documents::documents;
pub use dump::dump;
pub use error::YamlError;
pub use limits::Limits;
pub use load::load;
pub(crate) use load::{Loaded, load_document};
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

/// A mapping in the order in which its keys first appeared.
#[derive(Debug, Clone, Default)]
pub struct Map {
    entries: Vec<Entry>,
    /// Places by key, once there are more than a few: comparing a handful of keys is cheaper than hashing.
    /// Boxed, because most mappings have none.
    places: Option<Box<IndexMap<Key, usize>>>,
}

/// A key with its place, and the value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as it was written.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// Mappings up to this size are searched one by one.
const FEW: usize = 12;

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

    fn text(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    fn symbol(&self) -> Option<&str> {
        if let Self::Symbol(text) = self {
            Some(text)
        } else {
            None
        }
    }
}

/// Of its text alone, so that a borrowed text finds it.
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) | Self::Symbol(text) => text.hash(state),
            Self::Other(text) => text.hash(state),
        }
    }
}

/// A text that is looked up as [`Key::Str`].
#[derive(Hash)]
struct Text<'k>(&'k str);

/// A text that is looked up as [`Key::Symbol`].
#[derive(Hash)]
struct Symbol<'k>(&'k str);

impl indexmap::Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.text() == Some(self.0)
    }
}

impl indexmap::Equivalent<Key> for Symbol<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.symbol() == Some(self.0)
    }
}

impl Map {
    /// The value of a key, be it text or a symbol.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.find(key).map(|place| &self.entries[place].value)
    }

    /// The place of a key, be it text or a symbol.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places
                .get(&Text(key))
                .or_else(|| places.get(&Symbol(key)))
                .copied(),
            None => self.written(key),
        }
    }

    /// Text wins over a symbol.
    fn written(&self, key: &str) -> Option<usize> {
        let mut symbol = None;
        for (place, entry) in self.entries.iter().enumerate() {
            match &entry.key.value {
                Value::Str(text) if **text == *key => return Some(place),
                Value::Symbol(text) if **text == *key => symbol = Some(place),
                _ => {}
            }
        }
        symbol
    }

    fn place(&self, wanted: impl Fn(&Value) -> bool) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| wanted(&entry.key.value))
    }

    fn place_of(&self, key: &Node) -> Option<usize> {
        if let Some(places) = &self.places {
            return places.get(&Key::of(key)).copied();
        }
        match &key.value {
            Value::Str(text) => self.place(|value| matches!(value, Value::Str(own) if own == text)),
            Value::Symbol(text) => {
                self.place(|value| matches!(value, Value::Symbol(own) if own == text))
            }
            _ => {
                let key = Key::of(key);
                self.entries
                    .iter()
                    .position(|entry| Key::of(&entry.key) == key)
            }
        }
    }

    /// An empty one that has room already.
    pub(super) fn with_room(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            places: None,
        }
    }

    /// The same without room that it does not need, which goes back to `spare`. Most mappings are small and live long.
    pub(super) fn without_room(mut self, spare: &mut Vec<Vec<Entry>>) -> Self {
        if self.places.is_none() {
            let mut fitted = Vec::with_capacity(self.entries.len());
            fitted.append(&mut self.entries);
            spare.push(std::mem::replace(&mut self.entries, fitted));
        }
        self
    }

    /// Adds an entry whose key is not there.
    fn push(&mut self, entry: Entry) {
        if let Some(places) = &mut self.places {
            places.insert(Key::of(&entry.key), self.entries.len());
        }
        self.entries.push(entry);
        if self.places.is_none() && self.entries.len() > FEW {
            self.number();
        }
    }

    fn number(&mut self) {
        let keys = self.entries.iter().map(|entry| Key::of(&entry.key));
        self.places = (self.entries.len() > FEW)
            .then(|| Box::new(keys.enumerate().map(|(place, key)| (key, place)).collect()));
    }

    /// A key as it was written, with its place.
    pub fn key(&self, key: &str) -> Option<&Node> {
        self.find(key).map(|place| &self.entries[place].key)
    }

    /// Sets a key: a new one goes to the end, an old one keeps its place.
    pub fn insert(&mut self, key: Node, value: Node) {
        self.replace(key, value);
    }

    /// Sets a key, and tells where it stood before.
    pub fn replace(&mut self, key: Node, value: Node) -> Option<Span> {
        match self.place_of(&key) {
            Some(place) => {
                let entry = &mut self.entries[place];
                entry.value = value;
                Some(std::mem::replace(&mut entry.key.span, key.span))
            }
            None => {
                self.push(Entry { key, value });
                None
            }
        }
    }

    /// The entry of a place.
    pub(crate) fn at(&self, place: usize) -> &Entry {
        &self.entries[place]
    }

    /// The value of a place, to be replaced.
    pub(crate) fn value_mut(&mut self, place: usize) -> &mut Node {
        &mut self.entries[place].value
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let place = self.place(|value| matches!(value, Value::Str(text) if **text == *key))?;
        let removed = self.entries.remove(place);
        self.number();
        Some(removed.value)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.entries.iter()
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
        let (Value::Map(base), Value::Map(upper)) = (&mut self.value, &over.value) else {
            return over;
        };
        if base.is_empty() {
            return over;
        }
        let new = |entry: &&Entry| base.place_of(&entry.key).is_none();
        let room = match base.places {
            None => upper.iter().filter(new).count(),
            Some(_) => 0,
        };
        let span = over.span;
        let Value::Map(upper) = over.value else {
            return self;
        };
        let base = with_room(base, room);
        for entry in Arc::unwrap_or_clone(upper).entries {
            match base.place_of(&entry.key) {
                Some(place) => {
                    let old = &mut base.entries[place];
                    let below = std::mem::replace(&mut old.value.value, Value::Null);
                    old.value = Self::new(below, old.value.span).overlaid(entry.value);
                    old.key.span = entry.key.span;
                }
                None => base.push(entry),
            }
        }
        self.span = span;
        self
    }
}

/// A mapping that nobody else has, with room for so many entries more and no other.
fn with_room(shared: &mut Arc<Map>, more: usize) -> &mut Map {
    if Arc::get_mut(shared).is_none() {
        let mut entries = Vec::with_capacity(shared.len() + more);
        entries.extend_from_slice(&shared.entries);
        let places = shared.places.clone();
        *shared = Arc::new(Map { entries, places });
    }
    let own = Arc::make_mut(shared);
    own.entries.reserve_exact(more);
    own
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str, symbol: bool) -> Node {
        let text = Arc::from(text);
        let value = if symbol {
            Value::Symbol(text)
        } else {
            Value::Str(text)
        };
        Node::new(value, Span::default())
    }

    fn number(value: i128) -> Node {
        Node::new(Value::Int(value.into()), Span::default())
    }

    proptest! {
        /// Small and large mappings answer as a plain list does.
        #[test]
        fn a_mapping_is_a_list_of_different_keys(
            sets in prop::collection::vec((0_u8..30, any::<bool>()), 0..60),
            removed in 0_u8..30,
        ) {
            let (mut map, mut list) = (Map::default(), Vec::<(String, bool, i128)>::new());
            for (place, (name, symbol)) in sets.iter().enumerate() {
                let (name, value) = (format!("k{name}"), place as i128);
                map.insert(key(&name, *symbol), number(value));
                match list.iter_mut().find(|(own, sign, _)| *own == name && sign == symbol) {
                    Some(old) => old.2 = value,
                    None => list.push((name, *symbol, value)),
                }
            }
            let removed = format!("k{removed}");
            let at = list.iter().position(|(name, symbol, _)| *name == removed && !symbol);
            prop_assert_eq!(map.remove(&removed).is_some(), at.is_some());
            at.map(|at| list.remove(at));
            prop_assert_eq!(map.len(), list.len());
            let order: Vec<&str> = map.iter().filter_map(|entry| entry.key.as_str()).collect();
            let expected: Vec<&str> = list.iter().map(|(name, _, _)| name.as_str()).collect();
            prop_assert_eq!(order, expected);
            for name in (0..30).map(|number| format!("k{number}")) {
                let wanted = |sign: bool| list.iter().find(|(own, symbol, _)| *own == name && *symbol == sign);
                let expected = wanted(false).or_else(|| wanted(true)).map(|(_, _, value)| *value);
                let found = map.get(&name).map(|node| match node.value {
                    Value::Int(value) => value.get(),
                    _ => -1,
                });
                prop_assert_eq!(found, expected);
            }
        }
    }
}
