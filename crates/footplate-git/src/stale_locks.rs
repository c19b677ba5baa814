//! Locks of references that nobody holds any more: git was killed, or the machine lost its power, while it moved one.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{Error, Repository, Result, command::Git, repositories::blocking};

/// Calls that move references are ended after the time-out of commands; a lock twice as old has no holder.
const TIMEOUTS: u32 = 2;

impl Repository {
    /// Runs a call that moves references. When the lock of one is left over it is taken away and the call made again.
    pub(crate) async fn move_refs(&self, call: impl Fn() -> Git) -> Result<()> {
        let age = self.shared().options.command_timeout * TIMEOUTS;
        let Err(error) = call().run_whatever_happens().await else {
            return Ok(());
        };
        let Some(lock) = left_lock(&error, self.path()) else {
            return Err(error);
        };
        let path = lock.clone();
        let gone = blocking(move || remove_if_older(&path, age)).await;
        if !gone.map_err(Error::io("remove the lock of a reference"))? {
            return Err(error);
        }
        tracing::warn!(lock = %lock.display(), "a lock that a killed git had left was removed");
        call().run_whatever_happens().await.map(drop)
    }
}

/// The lock in the repository that was in the way, by git's words.
fn left_lock(error: &Error, repository: &Path) -> Option<PathBuf> {
    let Error::Git { message, .. } = error else {
        return None;
    };
    let (_, rest) = message.split_once("Unable to create '")?;
    let (path, _) = rest.split_once(".lock': File exists")?;
    let path = PathBuf::from(format!("{path}.lock"));
    let inside = path.strip_prefix(repository).ok()?;
    let plain = inside
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    plain.then_some(path)
}

fn remove_if_older(lock: &Path, age: Duration) -> std::io::Result<bool> {
    let modified = match std::fs::metadata(lock) {
        Ok(data) => data.modified()?,
        // Its holder has ended meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let old = SystemTime::now()
        .duration_since(modified)
        .is_ok_and(|since| since > age);
    if old {
        std::fs::remove_file(lock)?;
    }
    Ok(old)
}
