//! Mappings that keep the order of their keys.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    Key, Node, Span, Value,
    key::{Symbol, Text},
};

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

    /// Lays another one upon it, key by key. This one is copied only where others have it too, with room for the new keys and no other.
    pub(super) fn lay(base: &mut Arc<Self>, upper: Arc<Self>) {
        let new = |entry: &&Entry| base.place_of(&entry.key).is_none();
        let room = match base.places {
            None => upper.iter().filter(new).count(),
            Some(_) => 0,
        };
        let base = Self::own(base, room);
        for entry in Arc::unwrap_or_clone(upper).entries {
            match base.place_of(&entry.key) {
                Some(place) => {
                    let old = &mut base.entries[place];
                    let below = std::mem::replace(&mut old.value.value, Value::Null);
                    old.value = Node::new(below, old.value.span).overlaid(entry.value);
                    old.key.span = entry.key.span;
                }
                None => base.push(entry),
            }
        }
    }

    /// A mapping that nobody else has, with room for so many entries more.
    fn own(shared: &mut Arc<Self>, more: usize) -> &mut Self {
        if Arc::get_mut(shared).is_none() {
            let mut entries = Vec::with_capacity(shared.len() + more);
            entries.extend_from_slice(&shared.entries);
            let places = shared.places.clone();
            *shared = Arc::new(Self { entries, places });
        }
        let own = Arc::make_mut(shared);
        own.entries.reserve_exact(more);
        own
    }
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
