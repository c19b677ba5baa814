//! Texts whose ends the scanner cannot read: they are closed for it, and what was put there is taken out again.

use libyaml_safer::Mark;

use super::{Loaded, Loader};
use crate::yaml::{Limits, YamlError, documents::Document};

/// Reads a text, whatever its end.
pub(super) fn read(
    text: &[u8],
    place: Document<'_>,
    file: u32,
    limits: Limits,
) -> Result<Loaded, YamlError> {
    if let Some(refused) = open_escape(text, place, file, limits) {
        return Err(refused);
    }
    if is_open(text) {
        return read_open(text, place, file, limits);
    }
    // The places in which the scanner panics are gone around; should there be another, it is an error of the text.
    std::panic::catch_unwind(|| Loader::read(text, None, place, file, limits).0)
        .unwrap_or_else(|_| Err(YamlError::plain("(<unknown>): could not be read")))
}

/// A text that ends in the middle of an escape. The scanner cannot read that; libyaml says that it does not know the escape, as
/// it does of any other letter.
fn open_escape(text: &[u8], place: Document<'_>, file: u32, limits: Limits) -> Option<YamlError> {
    if !text.ends_with(b"\\") {
        return None;
    }
    let mut closed = text.to_vec();
    closed.push(b'q');
    let (read, _) = Loader::read(&closed, None, place, file, limits);
    read.err().filter(
        |error| matches!(error, YamlError::Syntax { message, .. } if message.contains("unknown escape character")),
    )
}

/// The text does not end with a line break, and there may be a block scalar at its end. The scanner cannot read such a scalar.
fn is_open(text: &[u8]) -> bool {
    let utf_16 = text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]);
    text.last().is_some_and(|last| *last != b'\n')
        && !utf_16
        && text.iter().any(|byte| matches!(byte, b'|' | b'>'))
}

/// Reads a text as if it ended with a line break, and takes that break out of the last block scalar again.
fn read_open(
    text: &[u8],
    place: Document<'_>,
    file: u32,
    limits: Limits,
) -> Result<Loaded, YamlError> {
    let mut closed = text.to_vec();
    closed.push(b'\n');
    let bom = if text.starts_with(&[0xef, 0xbb, 0xbf]) {
        3
    } else {
        0
    };
    let (read, met) = Loader::read(&closed, Some(text.len() - bom), place, file, limits);
    match read {
        Err(YamlError::Syntax { .. }) if !met => {
            // The place in the message may be the end of the text, so it is read as it is. Where the scanner meets a
            // block scalar after all, the first message is good enough.
            std::panic::catch_unwind(|| Loader::read(text, None, place, file, limits).0)
                .unwrap_or(read)
        }
        Ok(_) | Err(_) => read,
    }
}

impl Loader<'_> {
    /// A block scalar that reaches the open end loses the line break that was put there: always when its last line has
    /// text, else only where every break is kept.
    pub(super) fn close(&mut self, value: &mut String, start: Mark, end: Mark) {
        let index = |mark: Mark| usize::try_from(mark.index).unwrap_or(usize::MAX);
        let Some(open_at) = self.open_at.filter(|open_at| index(end) > *open_at) else {
            return;
        };
        self.met_open_end = true;
        let text = &self.text[self.text.len() - 1 - open_at..];
        let last = text[..open_at].rsplit(|byte| *byte == b'\n').next();
        let blank = last.is_some_and(|line| line.iter().all(u8::is_ascii_whitespace));
        let header = text.get(index(start)..).unwrap_or_default();
        let header = header
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let keeps = header.iter().take(3).any(|byte| *byte == b'+');
        if (!blank || keeps) && value.ends_with('\n') {
            value.pop();
        }
    }
}
