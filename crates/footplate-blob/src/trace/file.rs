//! One trace: its text and its companion, changed so that every moment is one to recover from.
//!
//! The text file has only bytes that may be shown, in their final form; what is received but not shown stands in the header.
//! A change writes the text behind its end, then records behind the index, then one slot of the header: that is the moment
//! it counts. Whatever is broken off before is overwritten by the next one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use footplate_model::JobId;

use super::{
    Appended, Secrets, TraceState,
    header::{Header, INDEX_AT},
    index::View,
    records::{Checkpoint, Record},
    secrets::Tail,
};
use crate::{Error, Result};

/// Received bytes between two sizes that a damaged trace can go back to.
const CHECKPOINT: u64 = 64 * 1024;

/// Where the files of a trace are.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) companion: PathBuf,
}

impl Place {
    /// 1024 jobs share a folder.
    pub(super) fn of(root: &Path, job: JobId) -> Self {
        let folder = root.join(job.0.div_euclid(1024).to_string());
        Self {
            log: folder.join(format!("{job}.trace")),
            companion: folder.join(format!("{job}.state")),
            folder,
        }
    }

    /// The folders that keep the names of its files.
    pub(super) fn folders(&self) -> io::Result<Vec<Arc<File>>> {
        let folders = self.folder.ancestors().take(2);
        folders.map(|path| File::open(path).map(Arc::new)).collect()
    }

    fn sync(&self) -> io::Result<()> {
        self.folders()?.iter().try_for_each(|it| it.sync_all())
    }

    /// Removes the files, the text first; whether there was one.
    pub(super) fn delete(&self) -> Result<bool> {
        let mut there = false;
        for path in [&self.log, &self.companion] {
            match std::fs::remove_file(path) {
                Ok(()) => there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("delete a trace")(error)),
            }
        }
        if there {
            self.sync().map_err(Error::io("delete a trace"))?;
        }
        Ok(there)
    }
}

/// A trace that is open.
pub(super) struct TraceFile {
    pub(super) job: JobId,
    pub(super) place: Place,
    pub(super) view: View,
    pub(super) writer: u64,
}

/// What the offset of a chunk means (`runner-protocol.md §4.3`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Append,
    Answer(Appended),
}

/// The algorithm of `runner-protocol.md §4.3`; as there, a trace that reaches the limit is too large.
pub(super) fn decide(size: u64, offset: u64, length: u64, limit: u64) -> Decision {
    let Some(end) = offset.checked_add(length) else {
        return Decision::Answer(Appended::Refused { size });
    };
    match () {
        () if end >= limit => Decision::Answer(Appended::TooLarge { size }),
        () if offset == size && length > 0 => Decision::Append,
        () if end == size => Decision::Answer(Appended::Stored { size }),
        () => Decision::Answer(Appended::Refused { size }),
    }
}

impl TraceFile {
    /// Makes an empty trace.
    pub(super) fn create(root: &Path, job: JobId, writer: u64) -> Result<Self> {
        let place = Place::of(root, job);
        let open = || -> io::Result<View> {
            std::fs::create_dir_all(&place.folder)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            // a companion alone is no trace
            let companion = options.open(&place.companion)?;
            Header {
                writer,
                ..Header::default()
            }
            .write(&companion)?;
            let log = options.open(&place.log)?;
            let header = Header::default();
            Ok(View {
                log: Arc::new(log),
                companion: Arc::new(companion),
                header,
            })
        };
        let view = open().map_err(Error::io("make a trace"))?;
        Ok(Self {
            job,
            place,
            view,
            writer,
        })
    }

    pub(super) fn append(
        &mut self,
        offset: u64,
        bytes: &Bytes,
        secrets: &Secrets,
        limit: u64,
    ) -> Result<Appended> {
        let header = &self.view.header;
        let length = bytes.len() as u64;
        match decide(header.received, offset, length, limit) {
            Decision::Answer(answer) => return Ok(answer),
            Decision::Append if header.closed => return Err(Error::Finished(self.job)),
            Decision::Append => {}
        }
        let (text, tail) = secrets.mask(&header.tail, bytes);
        let mut next = header.clone();
        next.tail = tail;
        next.received += length;
        next.received_crc = crc(header.received_crc, bytes);
        // nothing was masked so far and now: the same bytes have the same sum
        let same = header.received_crc == header.shown_crc && text == bytes;
        next.shown_crc = match same {
            true => next.received_crc,
            false => crc(header.shown_crc, &text),
        };
        self.store(next, &text, false)?;
        let size = self.view.header.received;
        Ok(Appended::Stored { size })
    }

    /// Everything may be shown and is durable; bytes of the text.
    pub(super) fn finish(&mut self) -> Result<u64> {
        if self.view.header.finished {
            return Ok(self.view.header.shown);
        }
        self.show_all(|_| Vec::new())?;
        self.sync()?;
        let mut next = self.view.header.clone();
        next.finished = true;
        self.commit(next, &[])?;
        self.sync()?;
        Ok(self.view.header.shown)
    }

    /// The server's own line at the end; bytes of the text.
    pub(super) fn write(&mut self, line: &str) -> Result<u64> {
        self.show_all(|line_open| {
            let mut text = Vec::new();
            text.extend(line_open.then_some(b'\n'));
            text.extend_from_slice(line.as_bytes());
            text.extend((!line.ends_with('\n')).then_some(b'\n'));
            text
        })?;
        if self.view.header.finished {
            self.sync()?;
        }
        Ok(self.view.header.shown)
    }

    /// Shows the tail and what `more` makes of whether a line is open then; nothing is appended by the runner any more.
    fn show_all(&mut self, more: impl FnOnce(bool) -> Vec<u8>) -> Result<()> {
        let mut next = self.view.header.clone();
        let mut text = std::mem::take(&mut next.tail).masked;
        let line_open = match text.last() {
            Some(last) => *last != b'\n',
            None => next.indexer.line_open,
        };
        text.extend(more(line_open));
        next.closed = true;
        next.shown_crc = crc(next.shown_crc, &text);
        self.store(next, &text, true)
    }

    /// Back to nothing; the runner sends all of it again.
    pub(super) fn reset(&mut self) -> Result<()> {
        let generation = self.view.header.generation;
        let next = Header {
            generation,
            ..Header::default()
        };
        self.commit(next, &[])?;
        let View { log, companion, .. } = &self.view;
        let cut = log.set_len(0).and_then(|()| companion.set_len(INDEX_AT));
        cut.map_err(Error::io("reset a trace"))
    }

    pub(super) fn state(&self) -> TraceState {
        let header = &self.view.header;
        TraceState {
            size: header.received,
            crc32: header.received_crc,
            shown: header.shown,
            lines: header.indexer.lines(),
        }
    }

    /// Writes text behind the shown one; `next` has everything new but what follows from that.
    fn store(&mut self, mut next: Header, text: &[u8], last: bool) -> Result<()> {
        let at = self.view.header.shown;
        let written = self.view.log.write_all_at(text, at);
        written.map_err(Error::io("append to a trace"))?;
        let mut records = Vec::new();
        next.indexer.feed(at, text, last, &mut records);
        next.shown += text.len() as u64;
        let provable = next.tail == Tail::default() && !next.closed;
        if provable && next.received - next.checkpoint >= CHECKPOINT {
            next.checkpoint = next.received;
            Record::Checkpoint(Checkpoint {
                size: next.received,
                received_crc: next.received_crc,
                shown_crc: next.shown_crc,
                newlines: next.indexer.newlines,
                scanned: next.indexer.scanned,
            })
            .encode(&mut records);
        }
        self.commit(next, &records)
    }

    /// Appends records and makes `next` count.
    pub(super) fn commit(&mut self, mut next: Header, records: &[u8]) -> Result<()> {
        let companion = &self.view.companion;
        let mut write = || {
            if !records.is_empty() {
                companion.write_all_at(records, INDEX_AT + next.index_size)?;
                next.index_size += records.len() as u64;
            }
            next.generation += 1;
            next.writer = self.writer;
            next.write(companion)
        };
        write().map_err(Error::io("write the state of a trace"))?;
        self.view.header = next;
        Ok(())
    }

    /// Makes it durable, the text before what is said about it.
    pub(super) fn sync(&self) -> Result<()> {
        let View {
            log,
            companion,
            header,
        } = &self.view;
        let sync = || {
            log.set_len(header.shown)?;
            log.sync_all()?;
            companion.sync_all()?;
            self.place.sync()
        };
        sync().map_err(Error::io("make a trace durable"))
    }
}

fn crc(before: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(before);
    crc.update(bytes);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::{Appended, Decision, decide};

    #[test]
    fn offsets() {
        let stored = |size| Decision::Answer(Appended::Stored { size });
        let refused = |size| Decision::Answer(Appended::Refused { size });
        let large = |size| Decision::Answer(Appended::TooLarge { size });
        for (size, offset, length, decision) in [
            (0, 0, 10, Decision::Append),
            (0, 0, 0, stored(0)),
            (0, 5, 1, refused(0)),
            (10, 10, 5, Decision::Append),
            (10, 10, 0, stored(10)),
            // repeated: the answer was lost
            (10, 0, 10, stored(10)),
            (10, 4, 6, stored(10)),
            // a gap, overlaps, inside
            (10, 11, 5, refused(10)),
            (10, 4, 10, refused(10)),
            (10, 0, 4, refused(10)),
            (10, 0, 11, refused(10)),
            (10, u64::MAX, 1, refused(10)),
            // the limit counts the end, wherever the chunk begins
            (10, 10, 89, Decision::Append),
            (10, 10, 90, large(10)),
            (10, 500, 1, large(10)),
        ] {
            assert_eq!(
                decide(size, offset, length, 100),
                decision,
                "{length} bytes at {offset}, {size} stored"
            );
        }
    }
}
