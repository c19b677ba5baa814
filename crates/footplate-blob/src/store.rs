//! Whole files under keys in a local directory.

use std::{
    fs::File,
    io::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{
    Archive, ByteStream, Error, Key, Result,
    error::blocking,
    file_stream::stream_file,
    gzip::{self, Member},
};

/// A directory of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: Arc<Path>,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    pub sha256: String,
}

/// An upload that is on the disk but has no key yet. Dropping it removes it.
#[derive(Debug)]
pub struct Received {
    file: NamedTempFile,
    stored: Stored,
}

impl Received {
    /// Its size and checksum.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Its gzip members, decompressed, at most `limit` bytes in all (`runner-protocol.md §6.1`).
    pub async fn gzip_members(&self, limit: u64) -> Result<Vec<Member>> {
        let file = self.file.reopen().map_err(Error::io("open an upload"))?;
        blocking(move || gzip::members(file, limit)).await
    }

    /// Its directory, when it is a zip archive.
    pub async fn archive(&self) -> Result<Archive> {
        let file = self.file.reopen().map_err(Error::io("open an upload"))?;
        blocking(move || Archive::read(file)).await
    }
}

/// A blob that is open for reading.
#[derive(Debug, Clone)]
pub struct Blob {
    file: Arc<File>,
    size: u64,
}

impl Blob {
    /// Bytes of the whole blob.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it.
    pub fn stream(&self) -> ByteStream {
        self.stream_range(0..self.size)
    }

    /// A part of it; what lies behind the end is cut off.
    pub fn stream_range(&self, range: Range<u64>) -> ByteStream {
        stream_file(
            Arc::clone(&self.file),
            range.start..range.end.min(self.size),
        )
    }

    /// Its gzip members, decompressed, at most `limit` bytes in all.
    pub async fn gzip_members(&self, limit: u64) -> Result<Vec<Member>> {
        let file = self.file.try_clone().map_err(Error::io("open a blob"))?;
        blocking(move || gzip::members(file, limit)).await
    }

    /// Its directory, when it is a zip archive.
    pub async fn archive(&self) -> Result<Archive> {
        let file = self.file.try_clone().map_err(Error::io("open a blob"))?;
        blocking(move || Archive::read(file)).await
    }
}

/// A blob as a sweep sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Bytes.
    pub size: u64,
    /// When it was last written; young blobs may belong to a row that is still to come.
    pub modified: SystemTime,
}

/// The folder of uploads that are not complete; no key can begin so.
const UPLOADS: &str = ".uploads";
/// Bytes that are collected before they are hashed and written.
const WRITE_STEP: usize = 256 * 1024;
/// Bytes that must find room; less would fit into what is left of the last block of a full disk.
const PROBE: usize = 64 * 1024;

impl BlobStore {
    /// Uses `root`, which is made when it is absent; uploads that an earlier process left incomplete are removed.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root: PathBuf = root.into();
        blocking(move || {
            let uploads = root.join(UPLOADS);
            match std::fs::remove_dir_all(&uploads) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => std::fs::create_dir_all(&uploads),
            }
            .map_err(Error::io("make the folder of blobs"))?;
            Ok(Self { root: root.into() })
        })
        .await
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Writes a stream to the disk, hashing it; it has no key yet.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as there are more than `limit` bytes; [`Error::Upload`] when the stream breaks off.
    pub async fn receive(
        &self,
        stream: impl Stream<Item = io::Result<Bytes>> + Send,
        limit: u64,
    ) -> Result<Received> {
        let uploads = self.root.join(UPLOADS);
        let open = move || NamedTempFile::new_in(uploads).map_err(Error::io("make an upload"));
        let mut writer = Writer {
            file: blocking(open).await?,
            hash: Sha256::new(),
        };
        let mut stream = std::pin::pin!(stream);
        let (mut size, mut collected, mut parts) = (0u64, 0, Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(Error::Upload)?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { limit });
            }
            collected += chunk.len();
            parts.push(chunk);
            if collected >= WRITE_STEP {
                writer = writer.write(std::mem::take(&mut parts)).await?;
                collected = 0;
            }
        }
        let writer = writer.write(parts).await?;
        let digest = writer.hash.finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Received {
            file: writer.file,
            stored: Stored { size, sha256 },
        })
    }

    /// Writes something to the disk and takes it away again: whether an upload would find room.
    ///
    /// # Errors
    /// [`Error::DiskFull`], or what else is in the way.
    pub async fn probe(&self) -> Result<()> {
        let uploads = self.root.join(UPLOADS);
        blocking(move || {
            let mut file = NamedTempFile::new_in(uploads).map_err(Error::io("make an upload"))?;
            file.write_all(&[0; PROBE])
                .map_err(Error::io("write an upload"))
        })
        .await
    }

    /// Gives an upload its key, durably: when this returns it survives a loss of power. A blob that had the key is replaced
    /// at once.
    pub async fn keep(&self, received: Received, key: &Key) -> Result<Stored> {
        let (root, path) = (Arc::clone(&self.root), self.path(key));
        blocking(move || {
            let Received { file, stored } = received;
            place(&root, file, &path).map_err(Error::io("store a blob"))?;
            Ok(stored)
        })
        .await
    }

    /// Stores a stream under a key, durably.
    pub async fn put_stream(
        &self,
        key: &Key,
        stream: impl Stream<Item = io::Result<Bytes>> + Send,
        limit: u64,
    ) -> Result<Stored> {
        let received = self.receive(stream, limit).await?;
        self.keep(received, key).await
    }

    /// Stores bytes under a key, durably.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<Stored> {
        let stream = futures_util::stream::iter([Ok(bytes)]);
        self.put_stream(key, stream, u64::MAX).await
    }

    /// Opens a blob for reading; one that is deleted afterwards can still be read to its end.
    pub async fn get(&self, key: &Key) -> Result<Option<Blob>> {
        let path = self.path(key);
        blocking(move || {
            let Some(file) = found(File::open(path)).map_err(Error::io("open a blob"))? else {
                return Ok(None);
            };
            let data = file.metadata().map_err(Error::io("open a blob"))?;
            let blob = Blob {
                size: data.len(),
                file: Arc::new(file),
            };
            Ok(data.is_file().then_some(blob))
        })
        .await
    }

    /// Bytes of a blob; `None` when there is none.
    pub async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let path = self.path(key);
        blocking(move || {
            let data = found(std::fs::metadata(path)).map_err(Error::io("look for a blob"))?;
            Ok(data
                .filter(std::fs::Metadata::is_file)
                .map(|data| data.len()))
        })
        .await
    }

    /// Whether there is a blob.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.size(key).await?.is_some())
    }

    /// Deletes a blob; `false` when there was none.
    pub async fn delete(&self, key: &Key) -> Result<bool> {
        let path = self.path(key);
        blocking(move || {
            let gone = found(std::fs::remove_file(path)).map_err(Error::io("delete a blob"))?;
            Ok(gone.is_some())
        })
        .await
    }

    /// All blobs whose keys are `prefix` or begin with `prefix` and a slash (`None`: all), in order of keys.
    pub async fn list(&self, prefix: Option<&Key>) -> Result<Vec<Listed>> {
        let root = Arc::clone(&self.root);
        let prefix = prefix.cloned();
        blocking(move || {
            let mut all = Vec::new();
            let start = prefix
                .as_ref()
                .map_or(String::new(), |key| key.as_str().to_owned());
            collect(&root, &start, &mut all).map_err(Error::io("list blobs"))?;
            all.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(all)
        })
        .await
    }
}

struct Writer {
    file: NamedTempFile,
    hash: Sha256,
}

impl Writer {
    async fn write(mut self, parts: Vec<Bytes>) -> Result<Self> {
        if parts.is_empty() {
            return Ok(self);
        }
        blocking(move || {
            for part in parts {
                self.hash.update(&part);
                self.file
                    .write_all(&part)
                    .map_err(Error::io("write an upload"))?;
            }
            Ok(self)
        })
        .await
    }
}

/// fsync of the file, rename, fsync of every folder that may be new.
fn place(root: &Path, file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    let parent = path.parent().unwrap_or(root);
    std::fs::create_dir_all(parent)?;
    file.persist(path).map_err(|error| error.error)?;
    for folder in parent.ancestors() {
        File::open(folder)?.sync_all()?;
        if folder == root {
            break;
        }
    }
    Ok(())
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn collect(root: &Path, name: &str, all: &mut Vec<Listed>) -> io::Result<()> {
    let path = root.join(name);
    let Some(data) = found(std::fs::metadata(&path))? else {
        return Ok(());
    };
    if data.is_file() {
        if let Ok(key) = Key::parse(name) {
            all.push(Listed {
                key,
                size: data.len(),
                modified: data.modified()?,
            });
        }
        return Ok(());
    }
    for entry in std::fs::read_dir(&path)? {
        let below = entry?.file_name();
        let below = below.to_string_lossy();
        if below.starts_with('.') {
            continue;
        }
        let name = if name.is_empty() {
            below.into_owned()
        } else {
            format!("{name}/{below}")
        };
        collect(root, &name, all)?;
    }
    Ok(())
}
