//! Traces of jobs: appended by the runner at checked offsets, masked, readable by bytes, lines and sections while they grow.
//!
//! A trace is a text file and a small companion (state, CRC-32 of the received bytes, index). No database: what a process
//! wrote survives its end at any instruction, and a loss of power takes about the last second. Status codes, permissions and
//! the decision when a trace is sent again are the caller's.

mod file;
mod header;
mod index;
mod indexer;
mod markers;
mod open_files;
mod records;
mod recover;
mod secrets;

use std::{ops::Range, path::PathBuf, sync::Arc};

use bytes::Bytes;
use footplate_model::JobId;

use crate::{ByteStream, Error, Result, error::blocking, file_stream::stream_file};
use file::{Decision, Place, TraceFile};
use index::View;
use open_files::OpenFiles;

pub use secrets::Secrets;

/// The traces in a directory. Cheap to clone; one process may have a directory open, once.
#[derive(Clone)]
pub struct Traces(Arc<OpenFiles>);

/// The answer to a chunk; `size` are the bytes that the runner has sent and need not send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, now or since earlier.
    Stored {
        /// The next offset.
        size: u64,
    },
    /// It leaves a gap or overlaps; the runner goes on at `size`.
    Refused {
        /// The next offset.
        size: u64,
    },
    /// It would reach the limit; nothing of it is stored.
    TooLarge {
        /// The next offset.
        size: u64,
    },
}

/// How far a trace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceState {
    /// Bytes that the runner sent; the server's own lines are not among them.
    pub size: u64,
    /// CRC-32 of these bytes as they came, before masking.
    pub crc32: u32,
    /// Bytes that may be shown, the server's own lines included.
    pub shown: u64,
    /// Lines of them; one that is not ended counts.
    pub lines: u64,
}

/// A section of a trace (`runner-protocol.md §4.5`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// The first byte of the marker that begins it.
    pub start: u64,
    /// The byte after the marker that ends it; `None` while it is open.
    pub end: Option<u64>,
    /// Unix time in seconds, as the marker says.
    pub started: i64,
    /// Unix time in seconds, as the marker says.
    pub ended: Option<i64>,
}

/// Chunks up to this size are written where the caller is: that is faster than to change threads.
const SMALL: usize = 64 * 1024;

impl Traces {
    /// Uses `root`, which is made when it is absent. Needs a runtime: what is appended is made durable every second.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root: PathBuf = root.into();
        let root = blocking(move || {
            std::fs::create_dir_all(&root).map_err(Error::io("make the folder of traces"))?;
            Ok(root)
        })
        .await?;
        Ok(Self(OpenFiles::new(&root)))
    }

    /// Appends `bytes`, the first of which is at `offset` (`runner-protocol.md §4.3`). As in GitLab a trace whose end
    /// reaches `limit` bytes is too large. What may be shown of it is masked; the end waits for more when it may be the
    /// beginning of a secret.
    ///
    /// # Errors
    /// [`Error::Finished`] when there is something new after [`finish`](Self::finish) or [`write`](Self::write).
    pub async fn append(
        &self,
        job: JobId,
        offset: u64,
        bytes: Bytes,
        secrets: &Secrets,
        limit: u64,
    ) -> Result<Appended> {
        let mut guard = self.0.opened(job).await?;
        if guard.file.is_none() {
            if let Decision::Answer(answer) = file::decide(0, offset, bytes.len() as u64, limit) {
                return Ok(answer);
            }
            guard = self.0.created(job, guard).await?;
        }
        self.0.touch(&mut guard);
        let small = bytes.len() <= SMALL;
        let secrets = secrets.clone();
        let mut append = move || match &mut guard.file {
            Some(file) => file.append(offset, &bytes, &secrets, limit),
            None => Ok(Appended::Refused { size: 0 }),
        };
        if small {
            return append();
        }
        blocking(append).await
    }

    /// How far a trace is; `None` when there is none.
    pub async fn state(&self, job: JobId) -> Result<Option<TraceState>> {
        let guard = self.0.opened(job).await?;
        Ok(guard.file.as_ref().map(TraceFile::state))
    }

    /// Empties a trace, because the runner was told to send all of it again (412).
    pub async fn reset(&self, job: JobId) -> Result<()> {
        self.change(job, TraceFile::reset).await.map(drop)
    }

    /// From now on everything may be shown, and it survives a loss of power. Its bytes; 0 when there is no trace. Doing
    /// it again changes nothing.
    pub async fn finish(&self, job: JobId) -> Result<u64> {
        let size = self.change(job, TraceFile::finish).await?;
        Ok(size.unwrap_or(0))
    }

    /// Adds a line of the server's own to the end, on a line for itself, and makes the trace if there is none. The runner
    /// can append nothing afterwards. Bytes of the text.
    pub async fn write(&self, job: JobId, text: &str) -> Result<u64> {
        let guard = self.0.opened(job).await?;
        let mut guard = self.0.created(job, guard).await?;
        self.0.touch(&mut guard);
        let text = text.to_owned();
        blocking(move || match &mut guard.file {
            Some(file) => file.write(&text),
            None => Ok(0),
        })
        .await
    }

    /// Deletes a trace; `false` when there was none.
    pub async fn delete(&self, job: JobId) -> Result<bool> {
        let mut guard = self.0.lock(job).await;
        let place = Place::of(&self.0.root, job);
        blocking(move || {
            guard.file = None;
            place.delete()
        })
        .await
    }

    /// The bytes of a range, as far as they may be shown; `None` when there is no trace.
    pub async fn read(&self, job: JobId, range: Range<u64>) -> Result<Option<ByteStream>> {
        let view = self.view(job).await?;
        Ok(view.map(|view| {
            let end = range.end.min(view.header.shown);
            stream_file(view.log, range.start..end)
        }))
    }

    /// Bytes that may be shown; `None` when there is no trace.
    pub async fn shown(&self, job: JobId) -> Result<Option<u64>> {
        Ok(self.state(job).await?.map(|state| state.shown))
    }

    /// Where a line begins, counted from 0; the end of what may be shown when it is not there yet.
    pub async fn from_line(&self, job: JobId, line: u64) -> Result<Option<u64>> {
        self.ask(job, move |view| view.line(line)).await
    }

    /// Where the last `lines` lines begin; one that is not ended counts.
    pub async fn tail(&self, job: JobId, lines: u64) -> Result<Option<u64>> {
        self.ask(job, move |view| view.tail(lines)).await
    }

    /// The bytes of the first section of a name, markers included; to the end of what may be shown while it is open.
    pub async fn section(&self, job: JobId, name: &str) -> Result<Option<Range<u64>>> {
        let name = name.to_owned();
        let found = self.ask(job, move |view| {
            let sections = view.sections()?;
            let section = sections.into_iter().find(|section| section.name == name);
            Ok(section.map(|section| section.start..section.end.unwrap_or(view.header.shown)))
        });
        Ok(found.await?.flatten())
    }

    /// All sections, in the order in which they begin.
    pub async fn sections(&self, job: JobId) -> Result<Vec<Section>> {
        let sections = self.ask(job, View::sections).await?;
        Ok(sections.unwrap_or_default())
    }

    /// Makes everything durable that was appended so far, without waiting for the second.
    pub async fn sync(&self) -> Result<()> {
        self.0.sync().await
    }

    async fn view(&self, job: JobId) -> Result<Option<View>> {
        let guard = self.0.opened(job).await?;
        Ok(guard.file.as_ref().map(|file| file.view.clone()))
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: JobId,
        question: impl FnOnce(&View) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(view) = self.view(job).await? else {
            return Ok(None);
        };
        blocking(move || question(&view).map(Some)).await
    }

    async fn change<T: Send + 'static>(
        &self,
        job: JobId,
        change: impl FnOnce(&mut TraceFile) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let mut guard = self.0.opened(job).await?;
        if guard.file.is_none() {
            return Ok(None);
        }
        self.0.touch(&mut guard);
        blocking(move || guard.file.as_mut().map(change).transpose()).await
    }
}
