//! The trace of a job: masked, spooled to a file, sent while it grows (`runner-protocol.md §4`).

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::sync::{Notify, watch};

use crate::{
    Error,
    client::{Client, Said},
    mask::Masker,
};

/// Bytes of one call.
const CHUNK: u64 = 1 << 20;
/// Bytes of a whole trace.
const LIMIT: u64 = 100 << 20;
/// Without new output the server hears from us so often.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// What the server wants of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    GoOn,
    /// Stop the script, run what comes after.
    Cancel,
    /// Stop everything.
    Abort,
}

struct Spool {
    file: File,
    written: u64,
    crc: crc32fast::Hasher,
    masker: Masker,
}

/// Where output goes.
#[derive(Clone)]
pub(crate) struct Trace {
    spool: Arc<Mutex<Spool>>,
    sections: bool,
}

impl Trace {
    pub(crate) fn new(masker: Masker, sections: bool) -> Result<Self, Error> {
        let spool = Spool {
            file: tempfile::tempfile()?,
            written: 0,
            crc: crc32fast::Hasher::new(),
            masker,
        };
        Ok(Self {
            spool: Arc::new(Mutex::new(spool)),
            sections,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds output.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut spool = self.lock();
        let shown = spool.masker.push(bytes);
        spool.append(&shown);
    }

    /// Adds a line of the runner's own.
    pub(crate) fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    /// Begins a section with its heading.
    pub(crate) fn section(&self, name: &str, heading: &str) -> Section {
        if self.sections {
            self.write(format!("section_start:{}:{name}\r\x1b[0K", unix_now()).as_bytes());
        }
        self.line(&format!("\x1b[0K\x1b[36;1m{heading}\x1b[0;m"));
        Section {
            trace: self.clone(),
            name: name.to_owned(),
        }
    }

    fn close(&self) -> (u64, u32) {
        let mut spool = self.lock();
        let rest = spool.masker.finish();
        spool.append(&rest);
        (spool.written, spool.crc.clone().finalize())
    }

    fn chunk(&self, offset: u64) -> Result<Bytes, Error> {
        let mut spool = self.lock();
        let length = (spool.written - offset.min(spool.written)).min(CHUNK);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        spool.file.seek(SeekFrom::Start(offset))?;
        spool.file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Spool {
    fn append(&mut self, bytes: &[u8]) {
        let room = usize::try_from(LIMIT.saturating_sub(self.written)).unwrap_or(0);
        let bytes = &bytes[..bytes.len().min(room)];
        // A disk that is full loses output, not the job.
        if self.file.seek(SeekFrom::Start(self.written)).is_ok()
            && self.file.write_all(bytes).is_ok()
        {
            self.crc.update(bytes);
            self.written += bytes.len() as u64;
        }
    }
}

/// A section that ends when it is dropped.
pub(crate) struct Section {
    trace: Trace,
    name: String,
}

impl Drop for Section {
    fn drop(&mut self) {
        if self.trace.sections {
            self.trace
                .write(format!("section_end:{}:{}\r\x1b[0K", unix_now(), self.name).as_bytes());
        }
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

/// Sends a trace while it grows.
pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) id: i64,
    pub(crate) token: String,
    pub(crate) trace: Trace,
    pub(crate) wish: watch::Sender<Wish>,
    pub(crate) done: Arc<Notify>,
}

impl Sender {
    fn hear(&self, said: &Said) {
        let wish = if said.aborts() {
            Wish::Abort
        } else if said.cancels() {
            Wish::Cancel
        } else {
            return;
        };
        self.wish.send_if_modified(|now| {
            let worse = wish > *now;
            if worse {
                *now = wish;
            }
            worse
        });
    }

    /// Reports until `done`; the offset that has arrived.
    pub(crate) async fn run(self) -> (Self, u64) {
        let (mut offset, mut interval) = (0, Duration::from_secs(1));
        let mut spoken = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = self.done.notified() => return (self, offset),
                () = tokio::time::sleep(interval) => {}
            }
            let said = match self.step(&mut offset).await {
                Ok(Some(said)) => said,
                Ok(None) if spoken.elapsed() < HEARTBEAT.min(interval * 4) => continue,
                Ok(None) => match self.client.heartbeat(self.id, &self.token).await {
                    Ok(said) => {
                        self.hear(&said);
                        said
                    }
                    Err(_) => continue,
                },
                Err(error) => {
                    tracing::warn!(%error, job = self.id, "a trace could not be sent");
                    continue;
                }
            };
            spoken = tokio::time::Instant::now();
            // The server's wish is the longest pause between two reports; a cancel should not wait that long.
            interval = Duration::from_secs(said.interval.unwrap_or(3).clamp(1, 3));
        }
    }

    /// Sends what is new; nothing when there is nothing.
    async fn step(&self, offset: &mut u64) -> Result<Option<Said>, Error> {
        let bytes = self.trace.chunk(*offset)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let length = bytes.len() as u64;
        let said = self
            .client
            .append(self.id, &self.token, *offset, bytes)
            .await?;
        match said.status {
            202 => *offset += length,
            416 => *offset = said.offset.unwrap_or(0),
            _ => {}
        }
        self.hear(&said);
        Ok(Some(said))
    }

    /// Sends the rest and reports the end (`runner-protocol.md §4.6`).
    pub(crate) async fn finish(self, mut offset: u64, mut report: Json) -> Result<(), Error> {
        let (size, crc) = self.trace.close();
        let checksum = format!("crc32:{crc:08x}");
        report["token"] = json!(self.token);
        report["checksum"] = json!(checksum);
        report["output"] = json!({"checksum": checksum, "bytesize": size});
        let mut tries = 0;
        loop {
            while offset < size && tries < 20 {
                let before = offset;
                match self.step(&mut offset).await? {
                    Some(said) if said.aborts() => break,
                    _ if offset <= before => {
                        tries += 1;
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    _ => {}
                }
            }
            let said = self.client.finish(self.id, &report).await?;
            match said.status {
                202 => {
                    let seconds = said.interval.unwrap_or(3).clamp(1, 64);
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                412 if tries < 20 => {
                    tries += 1;
                    offset = 0;
                }
                _ => return Ok(()),
            }
        }
    }
}
