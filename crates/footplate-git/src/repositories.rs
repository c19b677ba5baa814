//! Where repositories lie: one bare repository a project below one folder.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use footplate_model::ProjectId;
use tokio::sync::Semaphore;

use crate::{Error, Repository, Result, cat_file::Pool};

/// Limits of repositories; the defaults fit one machine.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// git processes for short commands at one time.
    pub commands: usize,
    /// git processes that serve clones, fetches, pushes and archives at one time.
    pub transfers: usize,
    /// The longest a short command may take.
    pub command_timeout: Duration,
    /// The largest answer of a short command that is kept in memory, in bytes.
    pub output_bytes: u64,
    /// How long a reading process waits for the next use before it is ended.
    pub idle: Duration,
}

impl Default for RepositoryOptions {
    fn default() -> Self {
        Self {
            commands: 16,
            transfers: 64,
            command_timeout: Duration::from_secs(60),
            output_bytes: 64 * 1024 * 1024,
            idle: Duration::from_secs(20),
        }
    }
}

/// What all repositories of one server share.
pub(crate) struct Shared {
    pub(crate) options: RepositoryOptions,
    pub(crate) commands: Semaphore,
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) pool: Pool,
}

/// The folder of all repositories. Cheap to clone.
#[derive(Clone)]
pub struct Repositories {
    root: Arc<Path>,
    shared: Arc<Shared>,
}

impl Repositories {
    /// Uses `root`, which is made when it is absent; what an earlier process left half made or half deleted is removed.
    pub async fn open(root: impl Into<PathBuf>, options: RepositoryOptions) -> Result<Self> {
        let root: PathBuf = std::path::absolute(root.into())
            .map_err(Error::io("name the folder of repositories"))?;
        let folder = root.clone();
        blocking(move || {
            let _ = std::fs::remove_dir_all(folder.join(UNFINISHED));
            std::fs::create_dir_all(folder.join(UNFINISHED))
        })
        .await
        .map_err(Error::io("make the folder of repositories"))?;
        let shared = Shared {
            commands: Semaphore::new(options.commands.max(1)),
            transfers: Arc::new(Semaphore::new(options.transfers.max(1))),
            pool: Pool::new(options.idle),
            options,
        };
        Ok(Self {
            root: root.into(),
            shared: Arc::new(shared),
        })
    }

    /// The repository of a project; nothing is read, so it need not exist.
    pub fn repository(&self, project: ProjectId) -> Repository {
        Repository::new(self.root.join(place(project)), Arc::clone(&self.shared))
    }

    /// Makes the empty bare repository of a project, durable, with `default_branch` as `HEAD`. Either all of it is there
    /// afterwards or nothing.
    pub async fn create(&self, project: ProjectId, default_branch: &str) -> Result<Repository> {
        let branch = crate::GitRef::branch(default_branch)?;
        let repository = self.repository(project);
        if repository.exists().await {
            return Err(Error::RepositoryExists(project.to_string()));
        }
        let unfinished = self.root.join(UNFINISHED);
        let folder = blocking(move || {
            tempfile::Builder::new()
                .prefix("new-")
                .tempdir_in(unfinished)
        })
        .await
        .map_err(Error::io("make a repository"))?;
        Repository::new(folder.path().to_owned(), Arc::clone(&self.shared))
            .git("init")
            .args(["--quiet", "--bare", "--template=", "--object-format=sha1"])
            .arg(format!("--initial-branch={}", branch.short()))
            .run()
            .await?;
        let target = repository.path().to_owned();
        blocking(move || {
            sync_tree(folder.path())?;
            let parent = target.parent().unwrap_or(&target).to_owned();
            std::fs::create_dir_all(&parent)?;
            std::fs::rename(folder.path(), &target)?;
            // the folder has another name now: nothing is left to remove
            let _ = folder.keep();
            for folder in parent.ancestors().take(4) {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        })
        .await
        .map_err(Error::io("make a repository"))?;
        Ok(repository)
    }

    /// Deletes the repository of a project; `false` when there was none. It vanishes at once; its files follow.
    pub async fn delete(&self, project: ProjectId) -> Result<bool> {
        let repository = self.repository(project);
        self.shared.pool.forget(repository.path());
        let (from, unfinished) = (repository.path().to_owned(), self.root.join(UNFINISHED));
        blocking(move || {
            let grave = tempfile::Builder::new()
                .prefix("old-")
                .tempdir_in(unfinished)?;
            match std::fs::rename(&from, grave.path().join("repository")) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
            if let Some(parent) = from.parent() {
                File::open(parent)?.sync_all()?;
            }
            grave.close().map(|()| true)
        })
        .await
        .map_err(Error::io("delete a repository"))
    }
}

/// The folder for what is being made or deleted.
const UNFINISHED: &str = "@unfinished";

/// `@projects/ab/cd/ID.git`: the low bytes of the id spread projects over folders evenly.
fn place(project: ProjectId) -> PathBuf {
    let [.., high, low] = project.0.to_be_bytes();
    PathBuf::from(format!("@projects/{low:02x}/{high:02x}/{project}.git"))
}

/// fsync of every file and folder below and including `folder`.
fn sync_tree(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Work on the file system outside the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
