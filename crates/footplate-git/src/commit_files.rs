//! Commits made by the server: files created, changed, moved and deleted on top of a branch, without a work tree.

use bytes::Bytes;
use footplate_model::Timestamp;

use crate::{
    Error, GitRef, RefUpdate, Repository, Result, Sha, Signature,
    repositories::blocking,
    stage::{Content, Staged},
};

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// What happens to a file.
#[derive(Debug, Clone)]
pub enum Action {
    /// A new file.
    Create(Bytes),
    /// New contents of a file.
    Update(Bytes),
    /// The file goes.
    Delete,
    /// The file comes from another path, with new contents or its old ones.
    Move {
        /// Where it was.
        from: String,
        /// New contents.
        content: Option<Bytes>,
    },
    /// The file becomes executable or ceases to be.
    Chmod,
}

/// One action of a commit (`POST …/repository/commits`).
#[derive(Debug, Clone)]
pub struct Change {
    /// The path.
    pub path: String,
    /// What happens.
    pub action: Action,
    /// Sets or takes the executable bit; `None` leaves it.
    pub executable: Option<bool>,
    /// The commit in which the caller saw the file; the change is refused when a later one touched it.
    pub last_commit: Option<Sha>,
}

/// A commit to be made.
#[derive(Debug, Clone)]
pub struct CommitFiles {
    /// The branch it goes to. It is made when it is not there.
    pub branch: String,
    /// Where a new branch starts: a branch, tag or id. Not needed in an empty repository.
    pub start: Option<String>,
    /// The message.
    pub message: String,
    /// The author.
    pub author: Person,
    /// The committer.
    pub committer: Person,
    /// The date of both.
    pub time: Timestamp,
    /// The changes, in order; at least one.
    pub changes: Vec<Change>,
}

impl Repository {
    /// Makes a commit and moves its branch, which must still be where it was when the commit was made.
    pub async fn create_commit(&self, files: &CommitFiles) -> Result<RefUpdate> {
        let update = self.prepare_commit(files).await?;
        self.update_ref(&update).await?;
        Ok(update)
    }

    /// Writes the objects of a commit and says what has to move; nothing is moved yet ([`Repository::update_ref`] does).
    ///
    /// # Errors
    /// [`Error::RefExists`] when the branch is there and `start` is another commit; [`Error::NotFound`] for a missing start;
    /// [`Error::FileExists`], [`Error::DirectoryExists`], [`Error::NoFile`], [`Error::FileChanged`], [`Error::InvalidPath`].
    pub async fn prepare_commit(&self, files: &CommitFiles) -> Result<RefUpdate> {
        let branch = GitRef::branch(&files.branch)?;
        let (tip, base) = self.base_of(&branch, files.start.as_deref()).await?;
        if files.changes.is_empty() {
            return Err(Error::NothingToCommit);
        }
        let staged = self.stage(base.as_ref(), &files.changes).await?;
        let tree = self.write_tree(base.as_ref(), &staged).await?;
        let new = self.write_commit(&tree, base.as_ref(), files).await?;
        Ok(RefUpdate {
            name: branch.full(),
            old: tip.unwrap_or_else(Sha::zero),
            new,
        })
    }

    /// The tip of the branch, and the commit to build on.
    async fn base_of(
        &self,
        branch: &GitRef,
        start: Option<&str>,
    ) -> Result<(Option<Sha>, Option<Sha>)> {
        let tip = self.commit_of(branch).await?;
        let start = match start {
            Some(start) if start != branch.short() => Some(self.load_commit_id(start).await?),
            _ => None,
        };
        match (tip, start) {
            (Some(tip), Some(start)) if start != tip => Err(Error::RefExists(branch.full())),
            (Some(tip), _) => Ok((Some(tip.clone()), Some(tip))),
            (None, Some(start)) => Ok((None, Some(start))),
            (None, None) if self.is_empty().await? => Ok((None, None)),
            (None, None) => Err(Error::NotFound(branch.full())),
        }
    }

    /// Writes new contents and the tree, by an index of its own.
    async fn write_tree(&self, base: Option<&Sha>, staged: &Staged) -> Result<Sha> {
        let folder = blocking(tempfile::tempdir)
            .await
            .map_err(Error::io("make a folder for a commit"))?;
        let index = folder.path().join("index");
        let ids = self.write_blobs(folder.path(), staged).await?;
        let mut new_ids = ids.into_iter();
        // git refuses a file below a path that still is a file: what goes is told first
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (path, file) in &staged.files {
            let Some((mode, content)) = file else {
                gone.extend_from_slice(format!("0 {}\t{path}\0", Sha::zero()).as_bytes());
                continue;
            };
            let id = match content {
                Content::Old(id) => Some(id.clone()),
                Content::New(_) => new_ids.next(),
            };
            let id = id.ok_or_else(|| Error::unreadable("hash-object", "too few ids"))?;
            come.extend_from_slice(format!("{mode} {id}\t{path}\0").as_bytes());
        }
        gone.append(&mut come);
        if let Some(base) = base {
            self.git("read-tree")
                .env("GIT_INDEX_FILE", &index)
                .arg(base.as_str())
                .run()
                .await?;
        }
        self.git("update-index")
            .env("GIT_INDEX_FILE", &index)
            .args(["-z", "--index-info"])
            .stdin(gone)
            .run()
            .await?;
        let output = self
            .git("write-tree")
            .env("GIT_INDEX_FILE", &index)
            .run()
            .await?;
        drop(blocking(move || folder.close()).await);
        Sha::parse(String::from_utf8_lossy(&output).trim())
    }

    /// Writes the new contents as objects, in the order of paths, by one process.
    async fn write_blobs(&self, folder: &std::path::Path, staged: &Staged) -> Result<Vec<Sha>> {
        let contents: Vec<Bytes> = staged
            .files
            .values()
            .flatten()
            .filter_map(|(_, content)| match content {
                Content::New(bytes) => Some(bytes.clone()),
                Content::Old(_) => None,
            })
            .collect();
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let (folder, count) = (folder.to_owned(), contents.len());
        let names: String = (0..count)
            .map(|number| format!("{}/{number}\n", folder.display()))
            .collect();
        blocking(move || {
            let numbered = contents.iter().enumerate();
            numbered.into_iter().try_for_each(|(number, bytes)| {
                std::fs::write(folder.join(number.to_string()), bytes)
            })
        })
        .await
        .map_err(Error::io("write the files of a commit"))?;
        let output = self
            .git("hash-object")
            .args(["-w", "--no-filters", "--stdin-paths"])
            .stdin(names)
            .run()
            .await?;
        String::from_utf8_lossy(&output)
            .lines()
            .map(Sha::parse)
            .collect()
    }

    async fn write_commit(
        &self,
        tree: &Sha,
        parent: Option<&Sha>,
        files: &CommitFiles,
    ) -> Result<Sha> {
        let sign = |person: &Person| {
            Signature {
                name: person.name.clone(),
                email: person.email.clone(),
                time: files.time,
                offset_minutes: 0,
            }
            .line()
        };
        let parent = parent
            .map(|id| format!("parent {id}\n"))
            .unwrap_or_default();
        let message = files.message.replace('\0', "");
        let (author, committer) = (sign(&files.author), sign(&files.committer));
        let object =
            format!("tree {tree}\n{parent}author {author}\ncommitter {committer}\n\n{message}");
        self.write_object("commit", object.into()).await
    }

    /// Writes an object as it is; git checks its form.
    pub(crate) async fn write_object(&self, kind: &str, object: Bytes) -> Result<Sha> {
        let output = self
            .git("hash-object")
            .args(["-t", kind, "-w", "--stdin"])
            .stdin(object)
            .run()
            .await?;
        Sha::parse(String::from_utf8_lossy(&output).trim())
    }
}
