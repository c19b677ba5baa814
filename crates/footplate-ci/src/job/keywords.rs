//! Keywords of a job in normal form.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map as JsonMap, Value as Json};

/// Keywords in the order in which they were read. Their names are ours and a job has few of them, so that nothing is hashed or
/// copied; a value of `default` is shared by all jobs that take it.
#[derive(Debug, Clone, Default)]
pub struct Keywords(Vec<(&'static str, Held)>);

#[derive(Debug, Clone)]
enum Held {
    Own(Json),
    Shared(Arc<Json>),
}

impl Held {
    fn json(&self) -> &Json {
        match self {
            Self::Own(json) => json,
            Self::Shared(json) => json,
        }
    }
}

impl Keywords {
    /// The value of a keyword.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let mut known = self.0.iter().filter(|(known, _)| *known == name);
        known.next().map(|(_, held)| held.json())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Json)> {
        self.0.iter().map(|(name, held)| (*name, held.json()))
    }

    /// As a JSON object.
    pub fn json(&self) -> JsonMap<String, Json> {
        self.iter()
            .map(|(name, json)| (name.to_owned(), json.clone()))
            .collect()
    }

    /// Sets a keyword: a new one goes to the end, an old one keeps its place.
    pub(crate) fn insert(&mut self, name: &'static str, json: Json) {
        self.set(name, Held::Own(json));
    }

    /// Takes a value that others have too.
    pub(crate) fn share(&mut self, name: &'static str, json: &Arc<Json>) {
        self.set(name, Held::Shared(Arc::clone(json)));
    }

    fn set(&mut self, name: &'static str, held: Held) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = held,
            None => self.0.push((name, held)),
        }
    }
}

impl Serialize for Keywords {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in self.iter() {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}
