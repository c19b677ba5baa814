//! Opening a trace that another process, or this one before a crash, left behind.
//!
//! A process that ends leaves everything it wrote; only what its last header does not count is cut off. After a loss of
//! power text and companion may be of different moments, or have holes: the text is checked against its sum and goes back
//! to the last checkpoint that is right.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use footplate_model::JobId;

use super::{
    file::{Place, TraceFile},
    header::{Header, INDEX_AT},
    index::{View, feed},
    indexer::Indexer,
    records::{Checkpoint, Record, Records},
};
use crate::{Error, Result, file_stream::read_exact};

impl TraceFile {
    /// Opens a trace; `None` when there is none.
    pub(super) fn open(root: &Path, job: JobId, writer: u64) -> Result<Option<Self>> {
        let place = Place::of(root, job);
        let open = |path: &Path, create: bool| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(create);
            options.truncate(false).open(path)
        };
        let log = match open(&place.log, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            log => log.map_err(Error::io("open a trace"))?,
        };
        let companion = open(&place.companion, true).map_err(Error::io("open a trace"))?;
        let view = View {
            log: Arc::new(log),
            companion: Arc::new(companion),
            header: Header::default(),
        };
        let mut file = Self {
            job,
            place,
            view,
            writer,
        };
        file.recover()?;
        Ok(Some(file))
    }

    fn recover(&mut self) -> Result<()> {
        let log = Arc::clone(&self.view.log);
        let length = log.metadata().map_err(Error::io("open a trace"))?.len();
        let header = Header::read(&self.view.companion).map_err(Error::io("open a trace"))?;
        let Some(header) = header else {
            return self.adopt(length, Header::default());
        };
        let trusted = header.finished || header.writer == self.writer;
        if length >= header.shown && trusted {
            self.view.header = header;
        } else if self.proven(&header, length)? {
            self.keep(header)?;
        } else if header.closed {
            // nobody sends it again
            tracing::warn!(job = %self.job, "a finished trace is damaged");
            return self.adopt(length, header);
        } else {
            tracing::warn!(job = %self.job, "a trace is damaged and goes back to its last good size");
            self.go_back(&header, length)?;
        }
        let header = &self.view.header;
        if length > header.shown && !header.finished {
            log.set_len(header.shown)
                .map_err(Error::io("cut a trace"))?;
        }
        self.load_carry()
    }

    /// Whether the text is what the header says.
    fn proven(&self, header: &Header, length: u64) -> Result<bool> {
        if length < header.shown {
            return Ok(false);
        }
        let mut text = Sums::new(&self.view.log);
        Ok(text.until(header.shown)? == header.shown_crc)
    }

    /// Takes a header over whose text is right; an index that is not is made again.
    fn keep(&mut self, mut header: Header) -> Result<()> {
        let records = self.records(header.index_size)?;
        let mut whole = Records::new(&records);
        whole.by_ref().for_each(drop);
        let mut made = Vec::new();
        if whole.position() as u64 != header.index_size {
            let (shown, closed) = (header.shown, header.closed);
            header.indexer = Indexer::default();
            feed(
                &self.view.log,
                shown,
                &mut header.indexer,
                closed,
                &mut made,
            )?;
            header.index_size = 0;
        }
        self.commit(header, &made)
    }

    /// Without a usable companion: the text is what was received, as far as anybody can tell. If something was masked the
    /// sum is wrong, and the runner sends all of it again after the 412.
    fn adopt(&mut self, length: u64, damaged: Header) -> Result<()> {
        let mut header = Header {
            generation: damaged.generation,
            received: length,
            shown: length,
            closed: damaged.closed,
            finished: damaged.finished,
            ..Header::default()
        };
        let mut made = Vec::new();
        let closed = header.closed;
        let crc = feed(
            &self.view.log,
            length,
            &mut header.indexer,
            closed,
            &mut made,
        )?;
        (header.received_crc, header.shown_crc) = (crc, crc);
        if closed {
            header.received = damaged.received;
            header.received_crc = damaged.received_crc;
        }
        self.commit(header, &made)
    }

    /// Back to the last checkpoint whose text is right, or to nothing.
    fn go_back(&mut self, header: &Header, length: u64) -> Result<()> {
        let bytes = self.records(header.index_size)?;
        let mut records = Records::new(&bytes);
        let mut text = Sums::new(&self.view.log);
        let mut indexer = Indexer::default();
        let mut good = Header::default();
        while let Some(record) = records.next() {
            match record {
                Record::Mark { offset, .. } => indexer.marked = offset,
                Record::Start(_) | Record::End(_) => indexer.markers += 1,
                Record::Checkpoint(at) => {
                    if at.size > length || text.until(at.size)? != at.shown_crc {
                        break;
                    }
                    good = restored(&at, &indexer);
                    good.index_size = records.position() as u64;
                }
            }
        }
        if let Some(last) = good.shown.checked_sub(1) {
            let last = read_exact(&self.view.log, last, 1).map_err(Error::io("read a trace"))?;
            good.indexer.line_open = last != b"\n";
        }
        good.generation = header.generation;
        self.commit(good, &[])
    }

    /// As many of the records as there are.
    fn records(&self, size: u64) -> Result<Vec<u8>> {
        let companion = &self.view.companion;
        let there = companion
            .metadata()
            .map_err(Error::io("read the state of a trace"))?;
        let there = there.len().saturating_sub(INDEX_AT).min(size);
        read_exact(companion, INDEX_AT, there).map_err(Error::io("read the state of a trace"))
    }

    fn load_carry(&mut self) -> Result<()> {
        let header = &mut self.view.header;
        let length = header.shown.saturating_sub(header.indexer.scanned);
        header.indexer.carry = read_exact(&self.view.log, header.shown - length, length)
            .map_err(Error::io("read a trace"))?;
        Ok(())
    }
}

fn restored(at: &Checkpoint, indexer: &Indexer) -> Header {
    Header {
        received: at.size,
        received_crc: at.received_crc,
        shown: at.size,
        shown_crc: at.shown_crc,
        checkpoint: at.size,
        indexer: Indexer {
            newlines: at.newlines,
            scanned: at.scanned,
            ..indexer.clone()
        },
        ..Header::default()
    }
}

/// The sum of a growing part of a text.
struct Sums<'a> {
    log: &'a File,
    at: u64,
    crc: crc32fast::Hasher,
}

/// Bytes that are read at a time.
const STEP: u64 = 1024 * 1024;

impl<'a> Sums<'a> {
    fn new(log: &'a File) -> Self {
        let crc = crc32fast::Hasher::new();
        Self { log, at: 0, crc }
    }

    fn until(&mut self, end: u64) -> Result<u32> {
        while self.at < end {
            let step = STEP.min(end - self.at);
            let text = read_exact(self.log, self.at, step).map_err(Error::io("read a trace"))?;
            self.crc.update(&text);
            self.at += step;
        }
        Ok(self.crc.clone().finalize())
    }
}
