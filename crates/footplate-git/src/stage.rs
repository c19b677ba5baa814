//! What a commit of the server changes, checked against the commit it builds on.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Action, Change, EntryKind, Error, Repository, Result, Sha};

impl Repository {
    /// Checks the changes one after the other against the base and those before them.
    pub(crate) async fn stage(&self, base: Option<&Sha>, changes: &[Change]) -> Result<Staged> {
        let mut staged = Staged::default();
        for change in changes {
            valid_path(&change.path)?;
            self.check_seen(base, change).await?;
            self.stage_one(base, change, &mut staged).await?;
        }
        Ok(staged)
    }

    async fn stage_one(
        &self,
        base: Option<&Sha>,
        change: &Change,
        staged: &mut Staged,
    ) -> Result<()> {
        let path = &change.path;
        match &change.action {
            Action::Create(content) => {
                self.must_be_free(base, path, staged).await?;
                staged.put(
                    path,
                    mode(change.executable.unwrap_or(false)),
                    Content::New(content.clone()),
                );
            }
            Action::Update(content) => {
                let (old_mode, _) = self.must_be_file(base, path, staged).await?;
                let mode = change.executable.map_or(old_mode, mode);
                staged.put(path, mode, Content::New(content.clone()));
            }
            Action::Chmod => {
                let (_, content) = self.must_be_file(base, path, staged).await?;
                staged.put(path, mode(change.executable.unwrap_or(false)), content);
            }
            Action::Delete => {
                self.must_be_file(base, path, staged).await?;
                staged.files.insert(path.clone(), None);
            }
            Action::Move { from, content } => {
                valid_path(from)?;
                let (old_mode, old) = self.must_be_file(base, from, staged).await?;
                staged.files.insert(from.clone(), None);
                self.must_be_free(base, path, staged).await?;
                let mode = change.executable.map_or(old_mode, mode);
                staged.put(path, mode, content.clone().map_or(old, Content::New));
            }
        }
        Ok(())
    }

    /// Refuses a change of a file that a later commit than the caller's touched.
    async fn check_seen(&self, base: Option<&Sha>, change: &Change) -> Result<()> {
        let (Some(seen), Some(base)) = (&change.last_commit, base) else {
            return Ok(());
        };
        let path = match &change.action {
            Action::Move { from, .. } => from,
            _ => &change.path,
        };
        let last = self.last_commit_for_path(base, path).await?;
        match last {
            Some(last) if last != *seen => Err(Error::FileChanged(path.clone())),
            _ => Ok(()),
        }
    }

    async fn must_be_file(
        &self,
        base: Option<&Sha>,
        path: &str,
        staged: &Staged,
    ) -> Result<(&'static str, Content)> {
        if let Some(known) = staged.files.get(path) {
            return known.clone().ok_or_else(|| Error::NoFile(path.to_owned()));
        }
        let entry = match base {
            Some(base) => self.entry(base, path).await?,
            None => None,
        };
        match entry {
            Some(entry) if entry.kind == EntryKind::Blob => {
                let known = ["100644", "100755", "120000"]
                    .into_iter()
                    .find(|mode| *mode == entry.mode);
                Ok((known.unwrap_or("100644"), Content::Old(entry.id)))
            }
            _ => Err(Error::NoFile(path.to_owned())),
        }
    }

    /// Nothing may be at the path, and none of its folders may be a file.
    async fn must_be_free(&self, base: Option<&Sha>, path: &str, staged: &Staged) -> Result<()> {
        let below = format!("{path}/");
        if staged
            .files
            .iter()
            .any(|(name, file)| file.is_some() && name.starts_with(&below))
        {
            return Err(Error::DirectoryExists(path.to_owned()));
        }
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        for name in folders.chain([path]) {
            match staged.files.get(name) {
                Some(Some(_)) => return Err(Error::FileExists(name.to_owned())),
                Some(None) => continue,
                None => {}
            }
            let entry = match base {
                Some(base) => self.entry(base, name).await?,
                None => None,
            };
            match entry.map(|entry| entry.kind) {
                None => {}
                Some(EntryKind::Tree) if name == path => {
                    self.must_be_emptied(base, path, staged).await?;
                }
                Some(EntryKind::Tree) => {}
                Some(EntryKind::Blob | EntryKind::Commit) => {
                    return Err(Error::FileExists(name.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// A folder may become a file when the same commit deletes everything in it.
    async fn must_be_emptied(&self, base: Option<&Sha>, path: &str, staged: &Staged) -> Result<()> {
        let Some(base) = base else { return Ok(()) };
        let entries = self.tree(base, path, true).await?.unwrap_or_default();
        let left = entries.iter().any(|entry| {
            entry.kind != EntryKind::Tree && !matches!(staged.files.get(&entry.path), Some(None))
        });
        if left {
            Err(Error::DirectoryExists(path.to_owned()))
        } else {
            Ok(())
        }
    }
}

/// Files as they will be; `None` for those that go. The map's order is the order of everything below.
#[derive(Default)]
pub(crate) struct Staged {
    pub(crate) files: BTreeMap<String, Option<(&'static str, Content)>>,
}

impl Staged {
    fn put(&mut self, path: &str, mode: &'static str, content: Content) {
        self.files.insert(path.to_owned(), Some((mode, content)));
    }
}

#[derive(Clone)]
pub(crate) enum Content {
    Old(Sha),
    New(Bytes),
}

fn mode(executable: bool) -> &'static str {
    if executable { "100755" } else { "100644" }
}

/// A path that a file may have: relative, no `.`, `..`, `.git` or empty parts, no NUL.
fn valid_path(path: &str) -> Result<()> {
    let valid = !path.is_empty()
        && path.len() <= 4096
        && !path.contains('\0')
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    if valid {
        return Ok(());
    }
    Err(Error::InvalidPath(path.chars().take(200).collect()))
}

#[cfg(test)]
mod tests {
    use super::valid_path;

    #[test]
    fn paths_stay_inside() {
        for good in ["a", "a/b", ".gitlab-ci.yml", "a b", "a\nb", "-x"] {
            assert!(valid_path(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/./b",
            ".git/config",
            "x/.GIT/y",
            "a\0",
        ] {
            assert!(valid_path(bad).is_err(), "{bad:?}");
        }
    }
}
