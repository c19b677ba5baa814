//! Differences between commits: changed paths for rules, file by file for compare.

use crate::{Error, Repository, Result, Sha};

/// The id of the empty tree, which every repository has.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Where it was.
    pub old_path: String,
    /// Where it is.
    pub new_path: String,
    /// Six octal digits before; zeros for a new file.
    pub a_mode: String,
    /// Six octal digits after; zeros for a deleted file.
    pub b_mode: String,
    /// The patch from its first `@@` on; empty for pure renames and when `too_large`.
    pub diff: String,
    /// It is new.
    pub new_file: bool,
    /// It moved.
    pub renamed_file: bool,
    /// It is gone.
    pub deleted_file: bool,
    /// The patch was over a limit and left out.
    pub too_large: bool,
}

/// The difference of two commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Changed files in order of paths.
    pub files: Vec<FileDiff>,
    /// More files changed than the limit allows to tell.
    pub overflow: bool,
}

/// Bounds of a difference.
#[derive(Debug, Clone, Copy)]
pub struct DiffLimits {
    /// Files that are listed.
    pub files: usize,
    /// Bytes of one file's patch.
    pub file_bytes: usize,
    /// Bytes of all patches.
    pub total_bytes: usize,
}

impl Default for DiffLimits {
    /// GitLab's: 1000 files, 200 KiB a file, 5 MB in all.
    fn default() -> Self {
        Self {
            files: 1000,
            file_bytes: 200 * 1024,
            total_bytes: 5 * 1024 * 1024,
        }
    }
}

impl Repository {
    /// Paths that differ between two commits as they stand, old and new names of moved files both. `None` when `from` is not
    /// known: zero, or no longer there (`ci-yaml.md`, `rules:changes`).
    pub async fn changed_paths(&self, from: &Sha, to: &Sha) -> Result<Option<Vec<String>>> {
        if from.is_zero() || to.is_zero() {
            return Ok(None);
        }
        let commits = [format!("{from}^{{commit}}"), format!("{to}^{{commit}}")];
        if self.infos(&commits).await?.iter().any(Option::is_none) {
            return Ok(None);
        }
        let output = self
            .git("diff-tree")
            .args([
                "-r",
                "-z",
                "--no-renames",
                "--name-only",
                from.as_str(),
                to.as_str(),
            ])
            .run()
            .await?;
        let names = output.split(|b| *b == 0).filter(|name| !name.is_empty());
        Ok(Some(
            names
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect(),
        ))
    }

    /// Paths that `to` changed since its history left that of `base` (three dots, `compare_to`). `None` when they have no
    /// common ancestor.
    pub async fn changed_paths_since(&self, base: &Sha, to: &Sha) -> Result<Option<Vec<String>>> {
        let ancestor = self.merge_base(&[base.clone(), to.clone()]).await?;
        match ancestor {
            Some(ancestor) => self.changed_paths(&ancestor, to).await,
            None => Ok(None),
        }
    }

    /// The difference from `from` (`None`: from nothing) to `to`, file by file, moved files found.
    pub async fn diff(&self, from: Option<&Sha>, to: &Sha, limits: DiffLimits) -> Result<Diff> {
        let from = from.map_or(EMPTY_TREE, Sha::as_str);
        let raw = self
            .git("diff-tree")
            .args([
                "-r",
                "-z",
                "-M30%",
                "--raw",
                "--no-abbrev",
                from,
                to.as_str(),
            ])
            .run()
            .await?;
        let mut files = parse_raw(&raw)?;
        let overflow = files.len() > limits.files;
        files.truncate(limits.files);
        if files.is_empty() {
            return Ok(Diff { files, overflow });
        }
        let patch = self
            .git("diff-tree")
            .args([
                "-r",
                "-p",
                "-M30%",
                "--full-index",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
            ])
            .args([from, to.as_str()])
            .run()
            .await;
        match patch {
            Ok(patch) => attach(&mut files, &patch, limits),
            Err(Error::TooLarge { .. }) => files.iter_mut().for_each(|file| file.too_large = true),
            Err(error) => return Err(error),
        }
        Ok(Diff { files, overflow })
    }

    /// The difference of a commit to its first parent.
    pub async fn commit_diff(&self, commit: &Sha, limits: DiffLimits) -> Result<Diff> {
        let found = self.commit(commit).await?;
        let found = found.ok_or_else(|| Error::NotFound(commit.to_string()))?;
        self.diff(found.parent_ids.first(), commit, limits).await
    }
}

/// `:MODE MODE ID ID STATUS NUL PATH NUL [PATH NUL]`
fn parse_raw(raw: &[u8]) -> Result<Vec<FileDiff>> {
    let mut fields = raw.split(|b| *b == 0).map(String::from_utf8_lossy);
    let mut files = Vec::new();
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let path = fields.next().map(|path| path.into_owned());
        let ([a_mode, b_mode, _, _, status], Some(path)) = (words.as_slice(), path) else {
            return Err(Error::unreadable("diff-tree", head));
        };
        let letter = status.as_bytes().first().copied().unwrap_or(b'?');
        let new_path = match letter {
            b'R' | b'C' => fields
                .next()
                .map_or_else(|| path.clone(), |path| path.into_owned()),
            _ => path.clone(),
        };
        files.push(FileDiff {
            old_path: path,
            new_path,
            a_mode: (*a_mode).to_owned(),
            b_mode: (*b_mode).to_owned(),
            diff: String::new(),
            new_file: letter == b'A',
            renamed_file: letter == b'R',
            deleted_file: letter == b'D',
            too_large: false,
        });
    }
    Ok(files)
}

/// Gives each file its patch; both come in the same order.
fn attach(files: &mut [FileDiff], patch: &[u8], limits: DiffLimits) {
    let text = String::from_utf8_lossy(patch);
    let mut sections = sections(&text).into_iter();
    let mut left = limits.total_bytes;
    for file in files {
        let mut body = sections.next().map(body).unwrap_or_default().to_owned();
        let kind = |mode: &str| mode.get(..2).map(str::to_owned);
        if !file.new_file && !file.deleted_file && kind(&file.a_mode) != kind(&file.b_mode) {
            // a file that became a link, or the like, is written as a deletion and an addition
            body.push_str(sections.next().map(self::body).unwrap_or_default());
        }
        if body.len() > limits.file_bytes || body.len() > left {
            file.too_large = true;
            continue;
        }
        left -= body.len();
        file.diff = body;
    }
}

/// One section a file. Lines of contents begin with a space, `+`, `-` or `\`, so this word begins none of them.
fn sections(patch: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = patch
        .match_indices("\ndiff --git ")
        .map(|(at, _)| at + 1)
        .collect();
    if patch.starts_with("diff --git ") {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([patch.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &patch[*start..end])
        .collect()
}

/// What follows the headers of a section.
fn body(section: &str) -> &str {
    let marks = ["\n@@ ", "\nBinary files ", "\nGIT binary patch"];
    let start = marks.iter().filter_map(|mark| section.find(mark)).min();
    start.map_or("", |start| &section[start + 1..])
}

#[cfg(test)]
mod tests {
    use super::{DiffLimits, attach, parse_raw};

    #[test]
    fn joins_raw_lines_and_patches() {
        let id = "a".repeat(40);
        let raw = format!(
            ":100644 100644 {id} {id} M\0a b\0:100644 100644 {id} {id} R100\0old\0new\0:100644 120000 {id} {id} T\0link\0"
        );
        let mut files = parse_raw(raw.as_bytes()).unwrap();
        let patch = "diff --git a/a b b/a b\nindex 1..2 100644\n--- a/a b\n+++ b/a b\n@@ -1 +1 @@\n-x\n+diff --git a/x b/x\n\
                     diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n\
                     diff --git a/link b/link\ndeleted file mode 100644\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
                     diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+y\n";
        attach(&mut files, patch.as_bytes(), DiffLimits::default());
        assert_eq!(files[0].diff, "@@ -1 +1 @@\n-x\n+diff --git a/x b/x\n");
        assert!(files[1].renamed_file && files[1].diff.is_empty());
        assert_eq!(files[1].new_path, "new");
        assert_eq!(files[2].diff, "@@ -1 +0,0 @@\n-x\n@@ -0,0 +1 @@\n+y\n");
        assert!(parse_raw(b":nonsense\0x\0").is_err());
    }
}
