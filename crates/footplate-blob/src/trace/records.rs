//! The records of a companion's index: lines, provable sizes and sections, each with a checksum of its own.

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// So many newlines stand before this offset.
    Mark {
        offset: u64,
        newlines: u64,
    },
    Checkpoint(Checkpoint),
    /// The first byte of the marker that begins a section.
    Start(Marked),
    /// The byte after the marker that ends a section.
    End(Marked),
}

/// A size that a damaged trace can go back to: everything received up to it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Bytes.
    pub(super) size: u64,
    /// CRC-32 of the bytes as they were received.
    pub(super) received_crc: u32,
    /// CRC-32 of the bytes as they are shown.
    pub(super) shown_crc: u32,
    pub(super) newlines: u64,
    /// How far sections were looked for.
    pub(super) scanned: u64,
}

/// A marker of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) offset: u64,
    pub(super) time: i64,
    pub(super) name: String,
}

/// Kind, length of the content.
const HEAD: usize = 3;
const CHECKSUM: usize = 4;

impl Record {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[self.kind(), 0, 0]);
        match self {
            Self::Mark { offset, newlines } => {
                out.extend(offset.to_le_bytes());
                out.extend(newlines.to_le_bytes());
            }
            Self::Checkpoint(at) => {
                out.extend(at.size.to_le_bytes());
                out.extend(at.received_crc.to_le_bytes());
                out.extend(at.shown_crc.to_le_bytes());
                out.extend(at.newlines.to_le_bytes());
                out.extend(at.scanned.to_le_bytes());
            }
            Self::Start(marked) | Self::End(marked) => {
                out.extend(marked.offset.to_le_bytes());
                out.extend(marked.time.to_le_bytes());
                out.extend(marked.name.as_bytes());
            }
        }
        // names have at most 255 bytes
        let length = u16::try_from(out.len() - start - HEAD).unwrap_or(u16::MAX);
        out[start + 1..start + HEAD].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32fast::hash(&out[start..]);
        out.extend(checksum.to_le_bytes());
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Mark { .. } => 1,
            Self::Checkpoint(_) => 2,
            Self::Start(_) => 3,
            Self::End(_) => 4,
        }
    }

    fn decode(kind: u8, content: &mut &[u8]) -> Option<Self> {
        let marked = |content: &mut &[u8]| {
            Some(Marked {
                offset: number(content).map(u64::from_le_bytes)?,
                time: number(content).map(i64::from_le_bytes)?,
                name: str::from_utf8(std::mem::take(content)).ok()?.to_owned(),
            })
        };
        Some(match kind {
            1 => Self::Mark {
                offset: number(content).map(u64::from_le_bytes)?,
                newlines: number(content).map(u64::from_le_bytes)?,
            },
            2 => Self::Checkpoint(Checkpoint {
                size: number(content).map(u64::from_le_bytes)?,
                received_crc: number(content).map(u32::from_le_bytes)?,
                shown_crc: number(content).map(u32::from_le_bytes)?,
                newlines: number(content).map(u64::from_le_bytes)?,
                scanned: number(content).map(u64::from_le_bytes)?,
            }),
            3 => Self::Start(marked(content)?),
            4 => Self::End(marked(content)?),
            _ => return None,
        })
    }
}

/// Takes a number off the front.
pub(super) fn number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}

/// The records up to the first one that is broken.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            length: bytes.len(),
        }
    }

    /// Bytes of the records so far.
    pub(super) fn position(&self) -> usize {
        self.length - self.bytes.len()
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let length = u16::from_le_bytes([*self.bytes.get(1)?, *self.bytes.get(2)?]);
        let end = HEAD + usize::from(length);
        let (record, mut rest) = self.bytes.split_at_checked(end)?;
        let checksum = number::<CHECKSUM>(&mut rest).map(u32::from_le_bytes)?;
        if crc32fast::hash(record) != checksum {
            return None;
        }
        let mut content = &record[HEAD..];
        let decoded = Record::decode(record[0], &mut content)?;
        self.bytes = rest;
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Marked, Record, Records};

    fn records() -> Vec<Record> {
        let marked = |name: &str| Marked {
            offset: 7,
            time: 1_772_359_200,
            name: name.to_owned(),
        };
        vec![
            Record::Mark {
                offset: 65_536,
                newlines: 812,
            },
            Record::Start(marked("step_script")),
            Record::Checkpoint(Checkpoint {
                size: 70_000,
                received_crc: 0xdead_beef,
                shown_crc: 1,
                newlines: 900,
                scanned: 69_998,
            }),
            Record::End(marked(&"n".repeat(255))),
        ]
    }

    #[test]
    fn records_come_back_up_to_the_first_broken_byte() {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for record in records() {
            record.encode(&mut bytes);
            ends.push(bytes.len());
        }
        let mut all = Records::new(&bytes);
        assert_eq!(all.by_ref().collect::<Vec<_>>(), records());
        assert_eq!(all.position(), bytes.len());
        for at in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= at).count() - 1;
            let mut cut = Records::new(&bytes[..at]);
            assert_eq!(cut.by_ref().count(), whole, "cut at {at}");
            assert_eq!(cut.position(), ends[whole]);
            let mut garbled = bytes.clone();
            garbled[at] ^= 0x40;
            assert_eq!(Records::new(&garbled).count(), whole, "garbled at {at}");
        }
    }
}
