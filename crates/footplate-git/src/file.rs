//! Files at a commit: contents, facts, the commits that touched them last.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    EntryKind, Error, Repository, Result, Sha, TreeEntry,
    cat_file::Object,
    http::{ByteStream, stream_output},
};

/// A file with its contents.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The id of the object.
    pub id: Sha,
    /// The contents.
    pub data: Bytes,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Facts about a file without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The id of the object.
    pub blob_id: Sha,
    /// Bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether it is a symbolic link; its contents are the target.
    pub symlink: bool,
}

impl Repository {
    /// The file at a path of a commit; `None` when there is none or it is a folder or submodule.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it has more than `limit` bytes; nothing is read then.
    pub async fn blob(&self, commit: &Sha, path: &str, limit: u64) -> Result<Option<Blob>> {
        let Some((entry, info)) = self.file(commit, path).await? else {
            return Ok(None);
        };
        if info.size > limit {
            return Err(Error::TooLarge {
                what: "the file",
                limit,
            });
        }
        let object = self.objects(&[entry.id]).await?.pop().flatten();
        Ok(object.map(|Object { id, data, .. }| Blob {
            id,
            data,
            executable: info.executable,
        }))
    }

    /// Facts about the file at a path of a commit.
    pub async fn file_info(&self, commit: &Sha, path: &str) -> Result<Option<FileInfo>> {
        Ok(self.file(commit, path).await?.map(|(_, info)| info))
    }

    /// The file at a path of a commit as a stream of its exact bytes, for files of any size.
    pub async fn blob_stream(
        &self,
        commit: &Sha,
        path: &str,
    ) -> Result<Option<(FileInfo, ByteStream)>> {
        let Some((entry, info)) = self.file(commit, path).await? else {
            return Ok(None);
        };
        let mut git = self.git("cat-file").args(["blob", entry.id.as_str()]);
        let permit = Arc::clone(&self.shared().transfers)
            .acquire_owned()
            .await
            .ok();
        let child = git.spawn(false)?;
        Ok(Some((info, stream_output("cat-file", child, permit)?)))
    }

    async fn file(&self, commit: &Sha, path: &str) -> Result<Option<(TreeEntry, FileInfo)>> {
        let Some(entry) = self.entry(commit, path).await? else {
            return Ok(None);
        };
        if entry.kind != EntryKind::Blob {
            return Ok(None);
        }
        let found = self.infos(&[entry.id.to_string()]).await?.pop().flatten();
        let Some(object) = found else { return Ok(None) };
        let info = FileInfo {
            blob_id: object.id,
            size: object.size,
            executable: entry.mode == "100755",
            symlink: entry.mode == "120000",
        };
        Ok(Some((entry, info)))
    }

    /// The last commit reachable from `commit` that touched a path.
    pub async fn last_commit_for_path(&self, commit: &Sha, path: &str) -> Result<Option<Sha>> {
        let output = self
            .git("rev-list")
            .args(["--max-count=1", commit.as_str(), "--", checked(path)?])
            .run()
            .await?;
        let text = String::from_utf8_lossy(&output);
        let id = text.trim();
        if id.is_empty() {
            Ok(None)
        } else {
            Sha::parse(id).map(Some)
        }
    }

    /// The last commits that touched each of the paths, in the same order; `None` for one that no commit touched.
    pub async fn last_commits_for_paths(
        &self,
        commit: &Sha,
        paths: &[String],
    ) -> Result<Vec<Option<Sha>>> {
        let mut commits = Vec::with_capacity(paths.len());
        for path in paths {
            commits.push(self.last_commit_for_path(commit, path).await?);
        }
        Ok(commits)
    }
}

/// A path that may stand on a command line behind `--`.
pub(crate) fn checked(path: &str) -> Result<&str> {
    if path.contains('\0') || path.len() > 4096 {
        return Err(Error::InvalidPath(path.chars().take(200).collect()));
    }
    // an empty path is an error of git; the root is `.`
    Ok(if path.is_empty() { "." } else { path })
}
