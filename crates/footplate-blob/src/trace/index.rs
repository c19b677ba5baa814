//! Answers about lines and sections from the index of a companion.

use std::{collections::HashMap, fs::File, sync::Arc};

use super::{
    Section,
    header::{Header, INDEX_AT},
    indexer::{Indexer, MARK},
    records::{Marked, Record, Records},
};
use crate::{Error, Result, file_stream::read_exact};

/// A trace at one moment; questions about it need no lock.
#[derive(Clone)]
pub(super) struct View {
    pub(super) log: Arc<File>,
    pub(super) companion: Arc<File>,
    pub(super) header: Header,
}

#[derive(Default)]
struct Index {
    /// Offset, newlines before it.
    marks: Vec<(u64, u64)>,
    starts_and_ends: Vec<Record>,
}

impl View {
    /// The first byte of a line, counted from 0; the end of the shown text for a line that is not there yet.
    pub(super) fn line(&self, line: u64) -> Result<u64> {
        if line == 0 {
            return Ok(0);
        }
        if line > self.header.indexer.newlines {
            return Ok(self.header.shown);
        }
        let marks = self.index()?.marks;
        let before = marks.partition_point(|mark| mark.1 < line);
        let (mut at, mut newlines) = before.checked_sub(1).map_or((0, 0), |last| marks[last]);
        loop {
            let length = MARK.min(self.header.shown - at);
            let text =
                read_exact(&self.log, at, length).map_err(Error::io("read lines of a trace"))?;
            let mut ends = memchr::memchr_iter(b'\n', &text);
            let wanted = usize::try_from(line - newlines - 1).unwrap_or(usize::MAX);
            if let Some(end) = ends.nth(wanted) {
                return Ok(at + end as u64 + 1);
            }
            if length == 0 {
                return Ok(self.header.shown);
            }
            newlines += memchr::memchr_iter(b'\n', &text).count() as u64;
            at += length;
        }
    }

    /// The first byte of the last `lines` lines.
    pub(super) fn tail(&self, lines: u64) -> Result<u64> {
        if lines == 0 {
            return Ok(self.header.shown);
        }
        self.line(self.header.indexer.lines().saturating_sub(lines))
    }

    /// All sections in the order in which they begin. One that ends twice ended the first time.
    pub(super) fn sections(&self) -> Result<Vec<Section>> {
        let mut sections: Vec<Section> = Vec::new();
        let mut open: HashMap<String, Vec<usize>> = HashMap::new();
        for record in self.index()?.starts_and_ends {
            match record {
                Record::Start(Marked { offset, time, name }) => {
                    open.entry(name.clone()).or_default().push(sections.len());
                    sections.push(Section {
                        name,
                        start: offset,
                        end: None,
                        started: time,
                        ended: None,
                    });
                }
                Record::End(marked) => {
                    if let Some(at) = open.get_mut(&marked.name).and_then(Vec::pop) {
                        sections[at].end = Some(marked.offset);
                        sections[at].ended = Some(marked.time);
                    }
                }
                Record::Mark { .. } | Record::Checkpoint(_) => {}
            }
        }
        Ok(sections)
    }

    /// The index; one that a loss of power damaged is made again from the text.
    fn index(&self) -> Result<Index> {
        let stored = self.records(self.header.index_size);
        if let Ok(bytes) = stored {
            let mut records = Records::new(&bytes);
            let index = Index::collect(&mut records);
            if records.position() == bytes.len() {
                return Ok(index);
            }
        }
        let (mut out, mut indexer) = (Vec::new(), Indexer::default());
        let length = self.header.shown;
        feed(
            &self.log,
            length,
            &mut indexer,
            self.header.closed,
            &mut out,
        )?;
        Ok(Index::collect(&mut Records::new(&out)))
    }

    fn records(&self, size: u64) -> std::io::Result<Vec<u8>> {
        read_exact(&self.companion, INDEX_AT, size)
    }
}

impl Index {
    fn collect(records: &mut Records<'_>) -> Self {
        let mut index = Self::default();
        for record in records {
            match record {
                Record::Mark { offset, newlines } => index.marks.push((offset, newlines)),
                Record::Start(_) | Record::End(_) => index.starts_and_ends.push(record),
                Record::Checkpoint(_) => {}
            }
        }
        index
    }
}

/// Bytes that are read at a time.
const STEP: u64 = 1024 * 1024;

/// Indexes the first `length` bytes of a text and returns their CRC-32.
pub(super) fn feed(
    log: &File,
    length: u64,
    indexer: &mut Indexer,
    last: bool,
    out: &mut Vec<u8>,
) -> Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    let mut at = 0;
    while at < length {
        let step = STEP.min(length - at);
        let text = read_exact(log, at, step).map_err(Error::io("read a trace"))?;
        crc.update(&text);
        indexer.feed(at, &text, false, out);
        at += step;
    }
    if last {
        indexer.feed(at, b"", true, out);
    }
    Ok(crc.finalize())
}
