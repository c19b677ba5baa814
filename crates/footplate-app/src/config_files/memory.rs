//! What was read for configurations and will be asked for again, within bounds.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use footplate_git::Sha;
use footplate_model::{ProjectId, Timestamp};

/// Bytes of one generation of files; there are two.
const FILES: usize = 4 << 20;
/// Bytes of one generation of remote files.
const REMOTE: usize = 2 << 20;
/// What an entry costs beside its text.
const OVERHEAD: usize = 200;

/// A file at a commit, or with an empty path all paths of the commit.
type FileKey = (ProjectId, Sha, String);

/// What there is at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    Text(Arc<str>),
    Missing,
    Paths(Arc<Vec<String>>),
}

impl Stored {
    fn cost(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Missing => 0,
            Self::Paths(paths) => paths.iter().map(|path| path.len() + 24).sum(),
        }
    }
}

/// Files and remote files of earlier compilations.
#[derive(Debug)]
pub(crate) struct ConfigMemory {
    files: Mutex<Generations<FileKey, Stored>>,
    remote: Mutex<Generations<String, (Timestamp, Arc<str>)>>,
}

impl Default for ConfigMemory {
    fn default() -> Self {
        Self {
            files: Mutex::new(Generations::new(FILES)),
            remote: Mutex::new(Generations::new(REMOTE)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConfigMemory {
    pub(super) fn file(&self, key: &FileKey) -> Option<Stored> {
        lock(&self.files).get(key)
    }

    pub(super) fn put_file(&self, key: FileKey, stored: Stored) {
        let cost = key.2.len() + stored.cost();
        lock(&self.files).put(key, stored, cost);
    }

    /// A remote file, if it was fetched at `since` or later.
    pub(super) fn remote(&self, url: &str, since: Timestamp) -> Option<Arc<str>> {
        let (at, text) = lock(&self.remote).get(&url.to_owned())?;
        (at >= since).then_some(text)
    }

    pub(super) fn put_remote(&self, url: &str, at: Timestamp, text: Arc<str>) {
        let cost = url.len() + text.len();
        lock(&self.remote).put(url.to_owned(), (at, text), cost);
    }
}

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for since then is forgotten.
#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    used: usize,
    limit: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            used: 0,
            limit,
        }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, cost) = self.old.remove(key)?;
        self.insert(key.clone(), value.clone(), cost);
        Some(value)
    }

    fn put(&mut self, key: K, value: V, cost: usize) {
        // What would push out everything else is not worth its place.
        if cost <= self.limit / 4 {
            self.old.remove(&key);
            self.insert(key, value, cost + OVERHEAD);
        }
    }

    fn insert(&mut self, key: K, value: V, cost: usize) {
        if self.used + cost > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.used = 0;
        }
        self.used += cost;
        if let Some((_, before)) = self.young.insert(key, (value, cost)) {
            self.used -= before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_keeps_what_is_asked_for() {
        let mut memory = Generations::new(100 * (OVERHEAD + 10));
        for number in 0..10_000 {
            memory.put(number, number, 10);
            assert_eq!(memory.get(&0), Some(0), "after {number}");
            assert!(memory.young.len() + memory.old.len() <= 201);
        }
        assert_eq!(memory.get(&1), None);
        assert_eq!(memory.get(&9_999), Some(9_999));
    }

    #[test]
    fn a_value_of_the_same_key_takes_the_place_of_the_old_one() {
        let mut memory = Generations::new(10_000);
        for value in 0..1_000 {
            memory.put("key", value, 100);
        }
        assert_eq!(memory.get(&"key"), Some(999));
        assert!(memory.used <= 10_000, "{}", memory.used);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut memory = Generations::new(1000);
        memory.put("a", 1, 600);
        assert_eq!(memory.get(&"a"), None);
    }

    #[test]
    fn remote_files_have_an_age() {
        let memory = ConfigMemory::default();
        let at = Timestamp::from_micros(5_000_000);
        memory.put_remote("https://x/a.yml", at, "a: 1".into());
        assert!(memory.remote("https://x/a.yml", at).is_some());
        let later = Timestamp::from_micros(5_000_001);
        assert!(memory.remote("https://x/a.yml", later).is_none());
    }
}
