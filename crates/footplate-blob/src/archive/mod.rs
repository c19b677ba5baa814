//! Artifact archives: the directory of a zip, single entries as streams. Nothing is ever extracted to the disk.
//!
//! The input is hostile. Entries whose names are absolute, have `..` or NUL, and symbolic links, are refused; the directory
//! is bounded; an entry yields exactly the bytes its directory line promises or breaks off (`rest-api.md §6`).

mod directory;
mod entry_stream;

use std::{collections::BTreeMap, fs::File, sync::Arc};

use crate::{ByteStream, Error, Result};

pub use directory::Entry;

/// A zip archive with its directory read.
#[derive(Debug, Clone)]
pub struct Archive {
    file: Arc<File>,
    entries: Arc<[Entry]>,
    data_end: u64,
}

/// A file or folder inside an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The last part of the path.
    pub name: String,
    /// The path, without a slash at its end.
    pub path: String,
    /// Bytes of a file; `None` for a folder.
    pub size: Option<u64>,
    /// Six octal digits, `100644`; folders `040000`.
    pub mode: String,
}

impl TreeEntry {
    /// Whether it is a folder.
    pub fn is_directory(&self) -> bool {
        self.size.is_none()
    }
}

impl Archive {
    /// Reads the directory. Blocks.
    pub fn read(file: File) -> Result<Self> {
        let (entries, data_end) = directory::read(&file)?;
        Ok(Self {
            file: Arc::new(file),
            entries: entries.into(),
            data_end,
        })
    }

    /// All entries as the directory lists them, refused ones included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file at a path; the last of several. `None` when there is none or it is a folder.
    ///
    /// # Errors
    /// [`Error::RefusedEntry`] when the entry is refused.
    pub fn find(&self, path: &str) -> Result<Option<&Entry>> {
        let found = self
            .entries
            .iter()
            .rev()
            .find(|entry| entry.path == path && !entry.is_directory());
        match found.and_then(|entry| entry.refused) {
            Some(reason) => Err(Error::RefusedEntry(reason)),
            None => Ok(found),
        }
    }

    /// The decompressed bytes of a file: exactly [`Entry::size`] of them, or an error.
    pub async fn stream(&self, entry: &Entry) -> Result<ByteStream> {
        if let Some(reason) = entry.refused {
            return Err(Error::RefusedEntry(reason));
        }
        entry_stream::open(Arc::clone(&self.file), entry.clone(), self.data_end).await
    }

    /// Files and folders below a folder (`""` is the root), sorted by path; folders that no entry names are there too.
    /// `None` when there is no such folder. Refused entries are left out.
    pub fn tree(&self, folder: &str, recursive: bool) -> Option<Vec<TreeEntry>> {
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let mut found = BTreeMap::new();
        let mut exists = folder.is_empty();
        for entry in self.entries.iter().filter(|entry| entry.refused.is_none()) {
            let Some(below) = entry.path.strip_prefix(&prefix) else {
                continue;
            };
            exists = true;
            for (at, _) in below.match_indices('/') {
                let path = &entry.path[..prefix.len() + at];
                if recursive || !below[..at].contains('/') {
                    found
                        .entry(path.to_owned())
                        .or_insert_with(|| directory_entry(path));
                }
            }
            let shown = recursive || !below.contains('/');
            if !entry.is_directory() && shown {
                found.insert(entry.path.clone(), file_entry(entry));
            }
        }
        exists.then(|| found.into_values().collect())
    }
}

fn last_part(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn directory_entry(path: &str) -> TreeEntry {
    TreeEntry {
        name: last_part(path),
        path: path.to_owned(),
        size: None,
        mode: "040000".to_owned(),
    }
}

fn file_entry(entry: &Entry) -> TreeEntry {
    TreeEntry {
        name: last_part(&entry.path),
        path: entry.path.clone(),
        size: Some(entry.size),
        mode: format!("100{:03o}", entry.mode.map_or(0o644, |mode| mode & 0o777)),
    }
}
