//! What storage may refuse or fail with.

use std::io;

/// A refusal or failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is no checked relative path.
    #[error("{0:?} is not a valid key")]
    InvalidKey(String),
    /// More bytes than allowed.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The trace is finished; nothing is appended any more.
    #[error("the trace of job {0} is finished")]
    Finished(footplate_model::JobId),
    /// The archive is broken.
    #[error("broken archive: {0}")]
    BrokenArchive(&'static str),
    /// The archive, or an entry, uses something that is not read: other compression methods, encryption, several disks.
    #[error("unsupported archive: {0}")]
    UnsupportedArchive(&'static str),
    /// The entry is refused: it would leave its folder, or is a symbolic link.
    #[error("refused archive entry: {0}")]
    RefusedEntry(&'static str),
    /// The body that was to be stored broke off.
    #[error("the upload broke off: {0}")]
    Upload(io::Error),
    /// No room on the disk.
    #[error("the disk is full: {0}")]
    DiskFull(io::Error),
    /// The operating system failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Its error.
        source: io::Error,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the operating system with what was tried; a full disk is told apart.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(source),
            _ => Self::Io { doing, source },
        }
    }
}

/// Work on the file system outside the asynchronous threads. It is not broken off when the caller goes away.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::io("run a task")(io::Error::other(error))))
}
