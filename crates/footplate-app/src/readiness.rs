//! Whether the server can do its work now: answers from memory are not enough, what it acknowledges has to be written.

use footplate_blob::Error as Blob;
use footplate_store::{Error as Store, Tx, settings};

use crate::App;

/// Under this key of the instance stands the time of the last look.
const KEY: &str = "readiness";

/// What stands in the way, if anything; in words that strangers may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why the database cannot be written.
    pub database: Option<&'static str>,
    /// Why traces and artifacts cannot be written.
    pub disk: Option<&'static str>,
}

impl App {
    /// Writes to the database and to the folder of artifacts.
    pub async fn readiness(&self) -> Readiness {
        let now = self.now().to_string();
        let written = self
            .db()
            .write(async move |tx: &mut Tx<'_>| settings::put(tx, KEY, &now).await)
            .await;
        let database = written.err().map(|error| {
            tracing::error!(%error, "the database cannot be written");
            match error {
                Store::Full(_) => "the disk is full",
                _ => "cannot be written",
            }
        });
        let disk = self.blobs().probe().await.err().map(|error| {
            tracing::error!(%error, "the disk cannot be written");
            match error {
                Blob::DiskFull(_) => "the disk is full",
                _ => "cannot be written",
            }
        });
        Readiness { database, disk }
    }
}
