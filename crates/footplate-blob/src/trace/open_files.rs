//! The traces that are open: one lock a job, a bounded number of files, and a durable state every second.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use footplate_model::JobId;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard},
    task::AbortHandle,
};

use super::file::TraceFile;
use crate::{Error, Result, error::blocking};

/// Traces that stay open; two files each.
const OPEN: usize = 200;
/// What a loss of power may take.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The place of one job.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) file: Option<TraceFile>,
    dirty: bool,
}

type Shared = Arc<AsyncMutex<Slot>>;
/// The right to read and change one trace; it moves to the thread that does the work, so a caller who goes away breaks
/// nothing off.
pub(super) type Guard = OwnedMutexGuard<Slot>;

/// All of them.
pub(super) struct OpenFiles {
    pub(super) root: PathBuf,
    /// This process, told apart from those before it.
    pub(super) writer: u64,
    slots: Mutex<Slots>,
    dirty: Mutex<Vec<Shared>>,
    wake: Arc<Notify>,
    syncing: AbortHandle,
}

#[derive(Default)]
struct Slots {
    by_job: HashMap<JobId, (Shared, u64)>,
    /// Counts uses, to find the one that was not used for longest.
    uses: u64,
}

impl OpenFiles {
    pub(super) fn new(root: &Path) -> Arc<Self> {
        let wake = Arc::new(Notify::new());
        Arc::new_cyclic(|weak| Self {
            root: root.to_owned(),
            writer: RandomState::new().hash_one(std::process::id()),
            slots: Mutex::default(),
            dirty: Mutex::default(),
            wake: Arc::clone(&wake),
            syncing: tokio::spawn(sync_always(weak.clone(), wake)).abort_handle(),
        })
    }

    /// Waits for the trace of a job.
    pub(super) async fn lock(&self, job: JobId) -> Guard {
        let slot = unpoisoned(&self.slots).get(job);
        slot.lock_owned().await
    }

    /// Waits for the trace of a job and opens it, if there is one.
    pub(super) async fn opened(&self, job: JobId) -> Result<Guard> {
        let mut guard = self.lock(job).await;
        if guard.file.is_some() {
            return Ok(guard);
        }
        let (root, writer) = (self.root.clone(), self.writer);
        blocking(move || {
            guard.file = TraceFile::open(&root, job, writer)?;
            Ok(guard)
        })
        .await
    }

    /// The same, and makes the trace when there is none.
    pub(super) async fn created(&self, job: JobId, mut guard: Guard) -> Result<Guard> {
        if guard.file.is_some() {
            return Ok(guard);
        }
        let (root, writer) = (self.root.clone(), self.writer);
        blocking(move || {
            guard.file = Some(TraceFile::create(&root, job, writer)?);
            Ok(guard)
        })
        .await
    }

    /// Remembers that a trace is about to change.
    pub(super) fn touch(&self, guard: &mut Guard) {
        if !std::mem::replace(&mut guard.dirty, true) {
            let slot = Arc::clone(OwnedMutexGuard::mutex(guard));
            unpoisoned(&self.dirty).push(slot);
            self.wake.notify_one();
        }
    }

    /// Makes everything durable that was appended.
    pub(super) async fn sync(&self) -> Result<()> {
        let dirty = std::mem::take(&mut *unpoisoned(&self.dirty));
        let mut files = Vec::new();
        for slot in dirty {
            let mut slot = slot.lock().await;
            slot.dirty = false;
            if let Some(TraceFile { view, place, .. }) = &slot.file {
                files.push(view.log.clone());
                files.push(view.companion.clone());
                // the folders keep the names of files that may be new
                files.extend(place.folders().map_err(Error::io("open a folder"))?);
            }
        }
        blocking(move || {
            let sync = |file: &Arc<File>| file.sync_data();
            files
                .iter()
                .try_for_each(sync)
                .map_err(Error::io("make traces durable"))
        })
        .await
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.syncing.abort();
    }
}

impl Slots {
    fn get(&mut self, job: JobId) -> Shared {
        self.uses += 1;
        let uses = self.uses;
        if let Some((slot, used)) = self.by_job.get_mut(&job) {
            *used = uses;
            return Arc::clone(slot);
        }
        if self.by_job.len() >= OPEN {
            self.close_oldest();
        }
        let slot = Shared::default();
        self.by_job.insert(job, (Arc::clone(&slot), uses));
        slot
    }

    /// A slot that somebody holds stays: there is never more than one of a job.
    fn close_oldest(&mut self) {
        let idle = { self.by_job.iter() }.filter(|(_, (slot, _))| Arc::strong_count(slot) == 1);
        let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(job, _)| *job);
        if let Some(job) = oldest {
            self.by_job.remove(&job);
        }
    }
}

async fn sync_always(files: Weak<OpenFiles>, wake: Arc<Notify>) {
    loop {
        wake.notified().await;
        tokio::time::sleep(SYNC_EVERY).await;
        let Some(files) = files.upgrade() else {
            return;
        };
        if let Err(error) = files.sync().await {
            tracing::error!(%error, "traces are not durable");
        }
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
