//! Commits: reading the object, statistics of its changes.

use std::collections::HashMap;

use crate::{Error, Repository, Result, Sha, Signature, cat_file::Object};

/// A commit (`rest-api.md §15.3`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Sha,
    /// The id of its tree.
    pub tree: Sha,
    /// Ids of its parents.
    pub parent_ids: Vec<Sha>,
    /// The first line of the message.
    pub title: String,
    /// The whole message as git keeps it, with its trailing newline.
    pub message: String,
    /// Who wrote the change.
    pub author: Signature,
    /// Who made the commit.
    pub committer: Signature,
}

/// Lines added and deleted by a commit against its first parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommitStats {
    /// Lines added.
    pub additions: u64,
    /// Lines deleted.
    pub deletions: u64,
}

impl CommitStats {
    /// Both together.
    pub fn total(self) -> u64 {
        self.additions + self.deletions
    }
}

impl Commit {
    /// Reads a commit object.
    pub(crate) fn parse(id: Sha, data: &[u8]) -> Result<Self> {
        let (headers, message) = split_message(data);
        let mut tree = None;
        let mut parent_ids = Vec::new();
        let mut author = Signature::parse(b"");
        let mut committer = Signature::parse(b"");
        for line in headers.split(|b| *b == b'\n') {
            let mut words = line.splitn(2, |b| *b == b' ');
            match (words.next(), words.next()) {
                (Some(b"tree"), Some(value)) => tree = Some(sha(value)?),
                (Some(b"parent"), Some(value)) => parent_ids.push(sha(value)?),
                (Some(b"author"), Some(value)) => author = Signature::parse(value),
                (Some(b"committer"), Some(value)) => committer = Signature::parse(value),
                _ => {}
            }
        }
        let message = String::from_utf8_lossy(message).into_owned();
        Ok(Self {
            tree: tree
                .ok_or_else(|| Error::unreadable("cat-file", format!("commit {id} has no tree")))?,
            title: title(&message),
            id,
            parent_ids,
            message,
            author,
            committer,
        })
    }
}

/// The first line that is not empty.
fn title(message: &str) -> String {
    message
        .lines()
        .map(str::trim_end)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// Splits an object of headers and text at its first empty line.
pub(crate) fn split_message(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, b""),
    }
}

pub(crate) fn sha(text: &[u8]) -> Result<Sha> {
    Sha::parse(&String::from_utf8_lossy(text))
}

impl Repository {
    /// The commit with this id, `None` when there is none.
    pub async fn commit(&self, id: &Sha) -> Result<Option<Commit>> {
        Ok(self.commits_by_id(std::slice::from_ref(id)).await?.pop())
    }

    /// The commits with these ids in the same order; ids that are no commits are left out.
    pub async fn commits_by_id(&self, ids: &[Sha]) -> Result<Vec<Commit>> {
        let objects = self.objects(ids).await?;
        let mut commits = Vec::with_capacity(objects.len());
        for object in objects.into_iter().flatten() {
            if let Object {
                id,
                kind: "commit",
                data,
            } = object
            {
                commits.push(Commit::parse(id, &data)?);
            }
        }
        Ok(commits)
    }

    /// Lines added and deleted by each of the commits against its first parent.
    pub async fn commit_stats(&self, ids: &[Sha]) -> Result<HashMap<Sha, CommitStats>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let list: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output = self
            .git("log")
            .args([
                "--stdin",
                "--no-walk=unsorted",
                "--format=tformat:commit %H",
            ])
            .args(["--numstat", "-M", "--root", "--diff-merges=first-parent"])
            .stdin(list)
            .run()
            .await?;
        Ok(parse_stats(&String::from_utf8_lossy(&output)))
    }
}

fn parse_stats(text: &str) -> HashMap<Sha, CommitStats> {
    let mut all = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("commit ") {
            current = Sha::parse(id).ok();
            if let Some(id) = &current {
                all.insert(id.clone(), CommitStats::default());
            }
            continue;
        }
        let mut columns = line.split('\t');
        let numbers = (columns.next(), columns.next());
        let stats = current.as_ref().and_then(|id| all.get_mut(id));
        if let ((Some(added), Some(deleted)), Some(stats)) = (numbers, stats) {
            // binary files have `-` here
            stats.additions += added.parse().unwrap_or(0);
            stats.deletions += deleted.parse().unwrap_or(0);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Commit, parse_stats};
    use crate::Sha;

    #[test]
    fn reads_a_signed_merge() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let object = format!(
            "tree {a}\nparent {b}\nparent {c}\nauthor X <x@y> 1 +0000\ncommitter Z <z@y> 2 -0100\ngpgsig -----BEGIN\n author fake\n -----END\n\n\nTitle \n\nBody\n"
        );
        let commit = Commit::parse(Sha::zero(), object.as_bytes()).unwrap();
        assert_eq!(commit.parent_ids.len(), 2);
        assert_eq!(commit.author.name, "X");
        assert_eq!(commit.committer.offset_minutes, -60);
        assert_eq!(commit.title, "Title");
        assert!(commit.message.ends_with("Body\n"));
        assert!(Commit::parse(Sha::zero(), b"author x").is_err());
    }

    #[test]
    fn counts_lines() {
        let id = "a".repeat(40);
        let stats = parse_stats(&format!(
            "commit {id}\n\n3\t1\ta\n-\t-\tb.png\n2\t0\t\"c\\nd\"\n"
        ));
        let one = stats[&Sha::parse(&id).unwrap()];
        assert_eq!((one.additions, one.deletions, one.total()), (5, 1, 6));
    }
}
