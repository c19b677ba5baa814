//! Trees: listing folders, finding one path. Paths are walked object by object, so no path ever reaches a command line.

use crate::{Error, Repository, Result, Sha, cat_file::Object};

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Tree,
    /// A file or symbolic link.
    Blob,
    /// A commit of another repository (submodule).
    Commit,
}

impl EntryKind {
    /// GitLab's and git's word: `tree`, `blob`, `commit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Commit => "commit",
        }
    }
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The id of the object.
    pub id: Sha,
    /// The last part of the path.
    pub name: String,
    /// The path from the root of the repository.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Six octal digits: `100644`, `100755`, `120000`, `040000`, `160000`.
    pub mode: String,
}

/// Parts of a path for reading; empty for the root.
pub(crate) fn parts(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect()
}

impl Repository {
    /// Entries of a folder (`""` is the root) in a commit, folders of `recursive` listings included, in git's order.
    /// `None` when there is no such folder.
    pub async fn tree(
        &self,
        commit: &Sha,
        path: &str,
        recursive: bool,
    ) -> Result<Option<Vec<TreeEntry>>> {
        let parts = parts(path);
        let Some(tree) = self.tree_at(commit, &parts).await? else {
            return Ok(None);
        };
        let prefix = if parts.is_empty() {
            String::new()
        } else {
            parts.join("/") + "/"
        };
        if !recursive {
            let entries = self.entries(&tree).await?;
            return Ok(
                entries.map(|all| all.into_iter().map(|entry| entry.below(&prefix)).collect())
            );
        }
        let output = self
            .git("ls-tree")
            .args(["-r", "-t", "-z", "--full-tree", tree.as_str()])
            .run()
            .await?;
        let lines = output.split(|b| *b == 0).filter(|line| !line.is_empty());
        let entries: Result<Vec<TreeEntry>> = lines.map(|line| listed(line, &prefix)).collect();
        entries.map(Some)
    }

    /// Paths of all files of a commit, in git's order.
    pub async fn list_paths(&self, commit: &Sha) -> Result<Vec<String>> {
        let output = self
            .git("ls-tree")
            .args(["-r", "-z", "--name-only", "--full-tree", commit.as_str()])
            .run()
            .await?;
        let names = output.split(|b| *b == 0).filter(|name| !name.is_empty());
        Ok(names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    /// The entry at a path of a commit.
    pub async fn entry(&self, commit: &Sha, path: &str) -> Result<Option<TreeEntry>> {
        let parts = parts(path);
        let Some((name, folders)) = parts.split_last() else {
            return Ok(None);
        };
        let Some(tree) = self.tree_at(commit, folders).await? else {
            return Ok(None);
        };
        let prefix = if folders.is_empty() {
            String::new()
        } else {
            folders.join("/") + "/"
        };
        let entries = self.entries(&tree).await?.unwrap_or_default();
        let found = entries.into_iter().find(|entry| entry.name == *name);
        Ok(found.map(|entry| entry.below(&prefix)))
    }

    /// The id of the tree that the folders lead to.
    async fn tree_at(&self, commit: &Sha, folders: &[&str]) -> Result<Option<Sha>> {
        let root = self.infos(&[format!("{commit}^{{tree}}")]).await?;
        let Some(mut tree) = root.into_iter().flatten().next().map(|info| info.id) else {
            return Ok(None);
        };
        for folder in folders {
            let entries = self.entries(&tree).await?.unwrap_or_default();
            let next = entries
                .into_iter()
                .find(|entry| entry.name == *folder && entry.kind == EntryKind::Tree);
            let Some(next) = next else { return Ok(None) };
            tree = next.id;
        }
        Ok(Some(tree))
    }

    /// The entries of one tree object.
    async fn entries(&self, tree: &Sha) -> Result<Option<Vec<TreeEntry>>> {
        let object = self
            .objects(std::slice::from_ref(tree))
            .await?
            .pop()
            .flatten();
        match object {
            Some(Object {
                kind: "tree", data, ..
            }) => parse_tree(&data, tree.as_str().len() / 2).map(Some),
            _ => Ok(None),
        }
    }
}

impl TreeEntry {
    fn below(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }
}

/// A tree object: `MODE NAME NUL ID`, one after the other.
fn parse_tree(mut data: &[u8], id_size: usize) -> Result<Vec<TreeEntry>> {
    let broken = || Error::unreadable("cat-file", "broken tree");
    let mut entries = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ').ok_or_else(broken)?;
        let end = data
            .iter()
            .position(|b| *b == 0)
            .filter(|end| *end > space)
            .ok_or_else(broken)?;
        let id = data.get(end + 1..end + 1 + id_size).ok_or_else(broken)?;
        let mode = String::from_utf8_lossy(&data[..space]);
        let name = String::from_utf8_lossy(&data[space + 1..end]).into_owned();
        entries.push(TreeEntry {
            id: Sha::from_raw(id),
            path: name.clone(),
            name,
            kind: kind_of(&mode),
            mode: format!("{mode:0>6}"),
        });
        data = &data[end + 1 + id_size..];
    }
    Ok(entries)
}

fn kind_of(mode: &str) -> EntryKind {
    match mode.trim_start_matches('0') {
        "40000" => EntryKind::Tree,
        "160000" => EntryKind::Commit,
        _ => EntryKind::Blob,
    }
}

/// A line of ls-tree: `MODE KIND ID TAB PATH`.
fn listed(line: &[u8], prefix: &str) -> Result<TreeEntry> {
    let text = String::from_utf8_lossy(line);
    let broken = || Error::unreadable("ls-tree", text.chars().take(200).collect::<String>());
    let (head, path) = text.split_once('\t').ok_or_else(broken)?;
    let mut words = head.split(' ');
    let (Some(mode), Some(_), Some(id)) = (words.next(), words.next(), words.next()) else {
        return Err(broken());
    };
    Ok(TreeEntry {
        id: Sha::parse(id)?,
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        path: format!("{prefix}{path}"),
        kind: kind_of(mode),
        mode: mode.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{EntryKind, parse_tree};

    #[test]
    fn reads_tree_objects() {
        let mut data = b"40000 dir\0".to_vec();
        data.extend([1; 20]);
        data.extend(b"100755 run me\0");
        data.extend([2; 20]);
        let entries = parse_tree(&data, 20).unwrap();
        assert_eq!(entries[0].kind, EntryKind::Tree);
        assert_eq!(entries[0].mode, "040000");
        assert_eq!(entries[1].name, "run me");
        for cut in 1..data.len() {
            let _ = parse_tree(&data[..cut], 20);
        }
    }
}
