//! The data directory: made with care, locked for as long as the server lives.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::FlockOperation;

/// How often the lock is tried before the directory counts as another's.
const LOCK_TRIES: u32 = 60;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A data directory that belongs to this process until the value is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used, in words for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    /// Another server has it.
    #[error("the data directory {} is in use by another server; stop that one, or choose another with --data", .0.display())]
    InUse(PathBuf),
    /// It cannot be written.
    #[error("the data directory {} cannot be written: {error}", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl DataDirectory {
    /// Creates the directory where it is missing (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// Another process has the lock, or the directory cannot be written.
    pub fn open(path: &Path) -> Result<Self, DataDirectoryError> {
        let not_writable = |error| DataDirectoryError::NotWritable {
            path: path.to_owned(),
            error,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(not_writable)?;
        let path = path.canonicalize().map_err(not_writable)?;
        let not_writable = |error| DataDirectoryError::NotWritable {
            path: path.clone(),
            error,
        };
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(not_writable)?;
        match lock_patiently(&lock) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DataDirectoryError::InUse(path)),
            Err(error) => return Err(not_writable(error.into())),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(not_writable)?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The default database.
    pub fn database(&self) -> PathBuf {
        self.path.join("footplate.db")
    }

    /// The key that encrypts secrets at rest; outside the database on purpose.
    pub fn key_file(&self) -> PathBuf {
        self.path.join("secret.key")
    }

    /// Bare repositories.
    pub fn repositories(&self) -> PathBuf {
        self.path.join("repositories")
    }

    /// Traces and artifacts.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Work folder of the built-in runner.
    pub fn runner(&self) -> PathBuf {
        self.path.join("runner")
    }
}

/// Takes the lock. A server that was killed while it started git leaves a child that shares the lock until it has become git: that
/// is waited for.
fn lock_patiently(lock: &File) -> Result<(), rustix::io::Errno> {
    for _ in 1..LOCK_TRIES {
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_locked_once() {
        let folder = std::env::temp_dir().join(format!("footplate-lock-{}", std::process::id()));
        let first = DataDirectory::open(&folder).unwrap();
        let error = DataDirectory::open(&folder).unwrap_err().to_string();
        assert!(error.contains("in use by another server"), "{error}");
        drop(first);
        DataDirectory::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
