//! Makes the index of a trace while it grows: lines and sections, whatever the borders of chunks are.

use super::{
    markers::{self, Parsed},
    records::{Marked, Record},
};

/// Bytes between two marks: what a question about a line reads at most.
pub(super) const MARK: u64 = 64 * 1024;
/// Markers that are kept of one trace; a trace of nothing else would make a larger index than itself.
const MARKERS: u32 = 20_000;

/// What is known of the text so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Indexer {
    pub(super) newlines: u64,
    /// Whether the text ends without a newline.
    pub(super) line_open: bool,
    /// Where the last mark is.
    pub(super) marked: u64,
    /// How far sections were looked for; behind it stands the beginning of what may be a marker.
    pub(super) scanned: u64,
    /// Markers in the index.
    pub(super) markers: u32,
    /// The bytes behind `scanned`.
    pub(super) carry: Vec<u8>,
}

impl Indexer {
    /// Takes the text that begins at `at`, where the last one ended; appends records. After the `last` text nothing is
    /// waited for.
    pub(super) fn feed(&mut self, at: u64, text: &[u8], last: bool, out: &mut Vec<u8>) {
        self.count_lines(at, text, out);
        if self.carry.is_empty() {
            self.scan(at, text, last, out);
        } else {
            let start = at - self.carry.len() as u64;
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(text);
            self.scan(start, &joined, last, out);
        }
    }

    /// Lines so far, one that is not ended included.
    pub(super) fn lines(&self) -> u64 {
        self.newlines + u64::from(self.line_open)
    }

    fn count_lines(&mut self, mut at: u64, mut text: &[u8], out: &mut Vec<u8>) {
        if let Some(last) = text.last() {
            self.line_open = *last != b'\n';
        }
        loop {
            let next = self.marked + MARK;
            let split = usize::try_from(next - at).ok();
            let Some((before, rest)) = split.and_then(|split| text.split_at_checked(split)) else {
                self.newlines += newlines(text);
                return;
            };
            self.newlines += newlines(before);
            self.marked = next;
            let (offset, newlines) = (next, self.newlines);
            Record::Mark { offset, newlines }.encode(out);
            (at, text) = (next, rest);
        }
    }

    fn scan(&mut self, start: u64, text: &[u8], last: bool, out: &mut Vec<u8>) {
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&text[at..], markers::BEGINNING) {
            at += found;
            let ended;
            let parsed = match markers::parse(&text[at..]) {
                Parsed::Incomplete if last => {
                    ended = [&text[at..], b"\n"].concat();
                    markers::parse(&ended)
                }
                parsed => parsed,
            };
            match parsed {
                Parsed::No => at += markers::BEGINNING.len(),
                Parsed::Incomplete => break,
                Parsed::Marker(marker) => {
                    self.push(&marker, start + at as u64, out);
                    at += marker.length;
                }
            }
        }
        let waits = !last && text[at..].starts_with(markers::BEGINNING);
        let carried = match &text[at..] {
            rest if waits => rest.len(),
            rest if !last => beginning(rest),
            _ => 0,
        };
        self.carry = text[text.len() - carried..].to_vec();
        self.scanned = start + (text.len() - carried) as u64;
    }

    fn push(&mut self, marker: &markers::Marker<'_>, at: u64, out: &mut Vec<u8>) {
        if self.markers >= MARKERS {
            return;
        }
        self.markers += 1;
        let marked = |offset| Marked {
            offset,
            time: marker.time,
            name: marker.name.to_owned(),
        };
        let record = match marker.start {
            true => Record::Start(marked(at)),
            false => Record::End(marked(at + marker.length as u64)),
        };
        record.encode(out);
    }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// Bytes at the end of the text that may begin a marker.
fn beginning(text: &[u8]) -> usize {
    let most = text.len().min(markers::BEGINNING.len() - 1);
    let fits = |length: &usize| markers::BEGINNING.starts_with(&text[text.len() - length..]);
    (1..=most).rev().find(fits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Indexer, MARK};
    use crate::trace::records::{Record, Records};

    const TEXT: &[u8] = b"\x1b[0Ksection_start:10:get_sources\r\x1b[0KFetching\nsection_x\n\
        section_end:12:get_sources\r\x1b[0Ksection_start:12:step_script[collapsed=true]\r\x1b[0K$ make\n\
        2026-03-01T10:00:00.000123Z 00O section_end:20:step_script\r\nsection_start:21:a\r";

    fn feed(chunks: &[&[u8]]) -> (Indexer, Vec<Record>) {
        let (mut indexer, mut out, mut at) = (Indexer::default(), Vec::new(), 0);
        for chunk in chunks {
            indexer.feed(at, chunk, false, &mut out);
            at += chunk.len() as u64;
        }
        indexer.feed(at, b"", true, &mut out);
        (indexer, Records::new(&out).collect())
    }

    #[test]
    fn splits_do_not_matter() {
        let (whole, records) = feed(&[TEXT]);
        assert_eq!(records.len(), 5);
        assert_eq!((whole.lines(), whole.markers), (5, 5));
        for first in 0..=TEXT.len() {
            let (a, rest) = TEXT.split_at(first);
            assert_eq!(feed(&[a, rest]), (whole.clone(), records.clone()));
            for second in (0..=rest.len()).step_by(3) {
                let (b, c) = rest.split_at(second);
                assert_eq!(feed(&[a, b, c]), (whole.clone(), records.clone()));
            }
        }
        let bytes: Vec<&[u8]> = TEXT.chunks(1).collect();
        assert_eq!(feed(&bytes), (whole, records));
    }

    #[test]
    fn marks_stand_at_even_distances() {
        let text = b"0123456\n".repeat(50_000);
        for size in [1, 4096, 65_536, 65_537, 400_000] {
            let step = if size == 1 { 977 } else { size };
            let chunks: Vec<&[u8]> = text.chunks(step).collect();
            let (indexer, records) = feed(&chunks);
            assert_eq!(indexer.newlines, 50_000);
            let marks = (1..=6).map(|n| Record::Mark {
                offset: n * MARK,
                newlines: n * MARK / 8,
            });
            assert_eq!(records, marks.collect::<Vec<_>>());
        }
    }
}
