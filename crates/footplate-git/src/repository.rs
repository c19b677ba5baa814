//! One bare repository: whether it is there, its default branch, upkeep.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, GitRef, Result, Sha,
    cat_file::{Object, ObjectInfo},
    command::Git,
    repositories::{Shared, blocking},
};

/// A handle of one bare repository. Cheap to clone, holds nothing open.
#[derive(Clone)]
pub struct Repository {
    path: Arc<Path>,
    shared: Arc<Shared>,
}

impl Repository {
    pub(crate) fn new(path: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            path: path.into(),
            shared,
        }
    }

    /// The folder of the repository.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn git(&self, subcommand: &str) -> Git {
        Git::new(&self.shared, &self.path, subcommand)
    }

    /// Contents of objects by id, in the same order, `None` where there is no such object.
    pub(crate) async fn objects(&self, ids: &[Sha]) -> Result<Vec<Option<Object>>> {
        let limit = self.shared.options.output_bytes;
        let requests: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let process = self.shared.pool.take(&self.path)?;
        let (process, objects) = process.contents(&requests, limit).await?;
        self.shared.pool.put_back(&self.path, process);
        Ok(objects)
    }

    /// Ids, kinds and sizes of what the names lead to, in the same order. Names must be plain revisions.
    pub(crate) async fn infos(&self, names: &[String]) -> Result<Vec<Option<ObjectInfo>>> {
        let process = self.shared.pool.take(&self.path)?;
        let (process, infos) = process.infos(names).await?;
        self.shared.pool.put_back(&self.path, process);
        Ok(infos)
    }

    /// Whether the repository is on the disk.
    pub async fn exists(&self) -> bool {
        let head = self.path.join("HEAD");
        blocking(move || head.try_exists()).await.unwrap_or(false)
    }

    /// Whether it has no branch yet.
    pub async fn is_empty(&self) -> Result<bool> {
        let output = self
            .git("for-each-ref")
            .args(["--count=1", "--format=%(objectname)", "refs/heads/"])
            .run()
            .await?;
        Ok(output.is_empty())
    }

    /// The branch that `HEAD` names, also when that branch does not exist yet.
    pub async fn default_branch(&self) -> Result<String> {
        let head = self.path.join("HEAD");
        let text = blocking(move || std::fs::read_to_string(head))
            .await
            .map_err(Error::io("read HEAD"))?;
        let full = text.trim().strip_prefix("ref: ").unwrap_or_default();
        match GitRef::parse(full)? {
            GitRef::Branch(name) => Ok(name),
            other => Err(Error::InvalidRef(other.full())),
        }
    }

    /// Makes `HEAD` name another branch, which need not exist.
    pub async fn set_default_branch(&self, name: &str) -> Result<()> {
        let branch = GitRef::branch(name)?;
        self.git("symbolic-ref")
            .args(["HEAD", &branch.full()])
            .run()
            .await?;
        Ok(())
    }

    /// After a first push: when the default branch does not exist but others do, takes `main`, `master` or the first in
    /// order of names as default. The new name, `None` when nothing had to change.
    pub async fn adopt_default_branch(&self) -> Result<Option<String>> {
        let current = self.default_branch().await?;
        let branches = self.for_each_ref("refs/heads/").await?;
        let names: Vec<&str> = branches
            .iter()
            .filter_map(|entry| entry.name.strip_prefix("refs/heads/"))
            .collect();
        if names.is_empty() || names.contains(&current.as_str()) {
            return Ok(None);
        }
        let usual = ["main", "master"]
            .into_iter()
            .find(|name| names.contains(name));
        let name = usual.unwrap_or(names[0]).to_owned();
        self.set_default_branch(&name).await?;
        Ok(Some(name))
    }

    /// Bytes of all files of the repository.
    pub async fn size(&self) -> Result<u64> {
        let path = self.path.clone();
        blocking(move || folder_size(&path))
            .await
            .map_err(Error::io("measure a repository"))
    }

    /// Packs what many small pushes left behind when there is enough of it; objects that nothing names are kept two weeks.
    pub async fn maintain(&self) -> Result<()> {
        // of two values of a setting on the command line the later one holds
        let mut git = crate::command::bare_command(&self.path);
        git.args([
            "-c",
            "gc.auto=500",
            "-c",
            "gc.autoDetach=false",
            "gc",
            "--auto",
            "--quiet",
        ]);
        let output = git.output().await.map_err(Error::io("start git"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::git("gc", &output.stderr))
    }
}

fn folder_size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // files vanish while git repacks
        let Ok(data) = entry.metadata() else { continue };
        bytes += if data.is_dir() {
            folder_size(&entry.path()).unwrap_or(0)
        } else {
            data.len()
        };
    }
    Ok(bytes)
}
