//! What the server has acknowledged.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

/// Everything that was answered, by which the server is judged in the end.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Pipelines that were answered with their id.
    pub(super) pipelines: Vec<i64>,
    /// Pipelines whose cancelation was asked for, answered or not.
    pub(super) canceled: HashSet<i64>,
    /// Pushes that git reports as done.
    pub(super) pushed: Vec<String>,
    /// How often a runner was told that a job is its own.
    pub(super) taken: HashMap<i64, usize>,
    /// Bytes of traces that were answered with 202.
    pub(super) traces: HashMap<i64, Vec<u8>>,
    /// Artifacts that were answered with 201.
    pub(super) uploads: HashMap<i64, Vec<u8>>,
    /// Jobs whose success was answered as such.
    pub(super) succeeded: HashSet<i64>,
    /// Jobs whose runner went away without a word.
    pub(super) forsaken: HashSet<i64>,
    /// What must not happen and did.
    pub(super) faults: Vec<String>,
    closed: bool,
    finished: bool,
}

/// The books, shared.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

impl Ledger {
    /// Writes something down.
    pub(super) fn write<T>(&self, entry: impl FnOnce(&mut Books) -> T) -> T {
        entry(&mut self.0.lock().unwrap())
    }

    /// Nothing new is asked for from now on; runners go on with what there is.
    pub(super) fn close(&self) {
        self.write(|books| books.closed = true);
    }

    /// There is no more work.
    pub(super) fn finish(&self) {
        self.write(|books| books.finished = true);
    }

    /// Whether runners may go home.
    pub(super) fn is_finished(&self) -> bool {
        self.write(|books| books.finished)
    }

    /// Whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.write(|books| books.closed)
    }
}
