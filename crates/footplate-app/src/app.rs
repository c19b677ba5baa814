//! The application: what every use case may reach.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use footplate_blob::{BlobStore, Secrets, Traces};
use footplate_git::{Repositories, Repository};
use footplate_model::{Clock, JobId, ProjectId, RunnerId, Timestamp};
use footplate_store::{Db, Keys, Subscription, Topic};

use sha2::{Digest, Sha256};

use crate::{
    config_files::ConfigMemory, egress::Egress, job_view::CommitCache, memory::Memory,
    runner::Desk, secrets::random_hex, variables::facts::ServerFacts,
};

/// A look at a trace counts for so long.
const WATCHED: Duration = Duration::from_secs(10);

/// Jobs whose secrets are kept in memory.
const REMEMBERED: usize = 2000;

/// Settings that use cases need.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The instance as jobs see it.
    pub server: ServerFacts,
    /// Folder for `include: template` beside the built-in ones.
    pub templates: Option<PathBuf>,
    /// How long a job request with the current queue token is held.
    pub hold: Duration,
    /// A job that was taken and never heard of again goes back to pending.
    pub unacknowledged: Duration,
    /// A running job without contact fails.
    pub silent: Duration,
    /// A canceling job without contact is canceled.
    pub canceling: Duration,
    /// Between two ticks.
    pub tick: Duration,
    /// Bytes of a trace.
    pub trace_limit: u64,
    /// Bytes of a push.
    pub push_limit: u64,
    /// Bytes of an artifact.
    pub artifact_limit: u64,
}

/// The application. Clones share it.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    settings: Settings,
    watched: Mutex<HashMap<JobId, Timestamp>>,
    commits: CommitCache,
    config_memory: ConfigMemory,
    /// Where runners wait for work.
    desk: Desk,
    /// What is masked in traces that grow now.
    secrets: Mutex<HashMap<JobId, Arc<Secrets>>>,
    /// Rows that seldom change.
    memory: Memory,
    /// Keep the counts of wake-ups going while nobody waits.
    _counted: [Subscription; 2],
    /// Distinguishes queue tokens of this process from those of another.
    boot: String,
}

/// What the application is made of.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Encryption of secrets at rest.
    pub keys: Keys,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Bare repositories.
    pub repositories: Repositories,
    /// Artifacts.
    pub blobs: BlobStore,
    /// Traces.
    pub traces: Traces,
    /// Fetches from outside.
    pub egress: Egress,
}

impl App {
    /// Joins the parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let counted = [Topic::Queue, Topic::Facts].map(|topic| parts.db.subscribe(topic));
        Self {
            inner: Arc::new(Inner {
                parts,
                settings,
                watched: Mutex::default(),
                commits: CommitCache::default(),
                config_memory: ConfigMemory::default(),
                desk: Desk::default(),
                secrets: Mutex::default(),
                memory: Memory::default(),
                _counted: counted,
                boot: random_hex(32),
            }),
        }
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.inner.parts.db
    }

    /// Encryption of secrets at rest.
    pub fn keys(&self) -> &Keys {
        &self.inner.parts.keys
    }

    /// The repository of a project.
    pub fn repository(&self, project: ProjectId) -> Repository {
        self.inner.parts.repositories.repository(project)
    }

    /// All repositories.
    pub(crate) fn repositories(&self) -> &Repositories {
        &self.inner.parts.repositories
    }

    /// Artifacts.
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.parts.blobs
    }

    /// Traces.
    pub fn traces(&self) -> &Traces {
        &self.inner.parts.traces
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    /// Settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// An absolute URL below the external one; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.inner.settings.server.url)
    }

    /// An absolute URL for a path that includes that of the external URL.
    pub fn origin_url(&self, path: &str) -> String {
        let server = &self.inner.settings.server;
        format!("{}://{}{path}", server.protocol(), server.authority())
    }

    /// Fetches from outside.
    pub(crate) fn egress(&self) -> &Egress {
        &self.inner.parts.egress
    }

    /// What was read for configurations before.
    pub(crate) fn config_memory(&self) -> &ConfigMemory {
        &self.inner.config_memory
    }

    pub(crate) fn commit_cache(&self) -> &CommitCache {
        &self.inner.commits
    }

    /// Changes whenever the queue does; what runners send back as `last_update` (`runner-protocol.md §2.3`).
    pub fn queue_token(&self, runner: RunnerId) -> String {
        self.queue_token_at(runner, self.db().wakes(Topic::Queue))
    }

    /// [`App::queue_token`] when the queue had been woken so often.
    pub(crate) fn queue_token_at(&self, runner: RunnerId, count: u64) -> String {
        let digest = Sha256::digest(format!("{} {runner} {count}", self.inner.boot));
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Somebody looks at the trace of a job: its runner shall report often for a while.
    pub fn note_watched(&self, job: JobId) {
        let now = self.now();
        let mut watched = self.watched();
        watched.retain(|_, seen| now.since(*seen) < WATCHED);
        watched.insert(job, now);
    }

    /// Whether somebody looked at the trace of a job a moment ago.
    pub(crate) fn is_watched(&self, job: JobId) -> bool {
        let now = self.now();
        self.watched()
            .get(&job)
            .is_some_and(|seen| now.since(*seen) < WATCHED)
    }

    /// What is masked in the trace of a job, where that is known already.
    pub(crate) fn known_secrets(&self, job: JobId) -> Option<Arc<Secrets>> {
        self.secrets().get(&job).cloned()
    }

    /// Keeps what is masked in the trace of a job.
    pub(crate) fn remember_secrets(&self, job: JobId, secrets: Secrets) -> Arc<Secrets> {
        let mut known = self.secrets();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let secrets = Arc::new(secrets);
        known.insert(job, Arc::clone(&secrets));
        secrets
    }

    fn secrets(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<Secrets>>> {
        self.inner
            .secrets
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Timestamp>> {
        self.inner
            .watched
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
