//! Keywords of a job in normal form.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map as JsonMap, Value as Json};

/// Keywords in the order in which they were read. Their names are ours and a job has few of them, so that nothing is hashed or
/// copied; a value is shared by all jobs that take it from the same place.
#[derive(Debug, Clone, Default)]
pub struct Keywords(Vec<(&'static str, Arc<Json>)>);

impl Keywords {
    /// The value of a keyword.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let mut known = self.0.iter().filter(|(known, _)| *known == name);
        known.next().map(|(_, json)| &**json)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Json)> {
        self.0.iter().map(|(name, json)| (*name, &**json))
    }

    /// As a JSON object.
    pub fn json(&self) -> JsonMap<String, Json> {
        self.iter()
            .map(|(name, json)| (name.to_owned(), json.clone()))
            .collect()
    }

    /// Sets a keyword: a new one goes to the end, an old one keeps its place.
    pub(crate) fn insert(&mut self, name: &'static str, json: Json) {
        self.share(name, Arc::new(json));
    }

    /// The same of a value that others have too.
    pub(crate) fn share(&mut self, name: &'static str, json: Arc<Json>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = json,
            None => self.0.push((name, json)),
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
