//! The application: what every use case may reach.

use std::{path::PathBuf, sync::Arc, time::Duration};

use footplate_model::{Clock, Timestamp};
use footplate_store::{Db, Keys};

use crate::variables::facts::ServerFacts;

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
    /// Bytes of an artifact.
    pub artifact_limit: u64,
}

/// The application. Clones share it.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    keys: Keys,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl App {
    /// Joins the parts.
    pub fn new(db: Db, keys: Keys, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                db,
                keys,
                clock,
                settings,
            }),
        }
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// Encryption of secrets at rest.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// An absolute URL below the external one; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.inner.settings.server.url)
    }
}
