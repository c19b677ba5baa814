//! The state of a trace: two slots of fixed size at the beginning of the companion, written by turns.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use super::{indexer::Indexer, records::number, secrets::NEEDLE, secrets::Tail};

/// Everything that is known of a trace besides its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Grows with every write.
    pub(super) generation: u64,
    /// The process that wrote it; what another one wrote is checked.
    pub(super) writer: u64,
    /// Bytes that the runner sent.
    pub(super) received: u64,
    /// Their CRC-32, before masking.
    pub(super) received_crc: u32,
    /// Bytes of the text file: all that may be shown.
    pub(super) shown: u64,
    /// Their CRC-32.
    pub(super) shown_crc: u32,
    /// The size of the last checkpoint.
    pub(super) checkpoint: u64,
    /// Bytes of the index.
    pub(super) index_size: u64,
    /// The server wrote a line of its own; the runner's offsets are not those of the text any more.
    pub(super) closed: bool,
    /// Complete and durable.
    pub(super) finished: bool,
    pub(super) indexer: Indexer,
    /// Received, not shown.
    pub(super) tail: Tail,
}

const MAGIC: &[u8; 4] = b"FPT1";
const SLOT: usize = 2048;
/// Where the index begins.
pub(super) const INDEX_AT: u64 = 2 * SLOT as u64;

const CLOSED: u8 = 1;
const FINISHED: u8 = 2;
const LINE_OPEN: u8 = 4;

// magic, checksum, nine numbers of eight bytes, three of four, flags, length of the tail; the tail twice
const _: () = assert!(8 + 72 + 12 + 3 + 2 * NEEDLE <= SLOT);

impl Header {
    /// Writes the slot of its generation. What the other one says stays until this is done.
    pub(super) fn write(&self, companion: &File) -> io::Result<()> {
        let slot = (self.generation % 2) * SLOT as u64;
        companion.write_all_at(&self.encode(), slot)
    }

    /// The newest one that is whole.
    pub(super) fn read(companion: &File) -> io::Result<Option<Self>> {
        let mut slots = [0; 2 * SLOT];
        let mut filled = 0;
        while filled < slots.len() {
            match companion.read_at(&mut slots[filled..], filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        let headers = slots.chunks(SLOT).filter_map(Self::decode);
        Ok(headers.max_by_key(|header| header.generation))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        for number in [
            self.generation,
            self.writer,
            self.received,
            self.shown,
            self.checkpoint,
            self.index_size,
            self.indexer.newlines,
            self.indexer.marked,
            self.indexer.scanned,
        ] {
            out.extend(number.to_le_bytes());
        }
        for number in [self.received_crc, self.shown_crc, self.indexer.markers] {
            out.extend(number.to_le_bytes());
        }
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(self.closed, CLOSED)
                | flag(self.finished, FINISHED)
                | flag(self.indexer.line_open, LINE_OPEN),
        );
        // always less than a needle
        let tail = u16::try_from(self.tail.raw.len()).unwrap_or(u16::MAX);
        out.extend(tail.to_le_bytes());
        out.extend_from_slice(&self.tail.raw);
        out.extend_from_slice(&self.tail.masked);
        let checksum = crc32fast::hash(&out[8..]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let mut rest = slot.strip_prefix(MAGIC)?;
        let checksum = u32::from_le_bytes(number(&mut rest)?);
        let content = rest;
        let mut wide = || number(&mut rest).map(u64::from_le_bytes);
        let mut header = Self {
            generation: wide()?,
            writer: wide()?,
            received: wide()?,
            shown: wide()?,
            checkpoint: wide()?,
            index_size: wide()?,
            ..Self::default()
        };
        header.indexer.newlines = wide()?;
        header.indexer.marked = wide()?;
        header.indexer.scanned = wide()?;
        header.received_crc = u32::from_le_bytes(number(&mut rest)?);
        header.shown_crc = u32::from_le_bytes(number(&mut rest)?);
        header.indexer.markers = u32::from_le_bytes(number(&mut rest)?);
        let [flags] = number(&mut rest)?;
        header.closed = flags & CLOSED != 0;
        header.finished = flags & FINISHED != 0;
        header.indexer.line_open = flags & LINE_OPEN != 0;
        let tail = usize::from(u16::from_le_bytes(number(&mut rest)?));
        let (raw, rest) = rest.split_at_checked(tail)?;
        let (masked, rest) = rest.split_at_checked(tail)?;
        header.tail = Tail {
            raw: raw.to_vec(),
            masked: masked.to_vec(),
        };
        let content = &content[..content.len() - rest.len()];
        (crc32fast::hash(content) == checksum).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::{Header, Indexer, SLOT, Tail};

    fn header(generation: u64) -> Header {
        Header {
            generation,
            writer: u64::MAX - 3,
            received: 100 + generation,
            received_crc: 0xfedc_ba98,
            shown: 98,
            shown_crc: 17,
            checkpoint: 5,
            index_size: 6,
            closed: generation == 2,
            finished: generation == 1,
            indexer: Indexer {
                newlines: 7,
                line_open: true,
                marked: 8,
                scanned: 98,
                markers: 9,
                carry: Vec::new(),
            },
            tail: Tail {
                raw: vec![1; 511],
                masked: vec![b'x'; 511],
            },
        }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Header::read(&file).unwrap(), None);
        header(1).write(&file).unwrap();
        assert_eq!(Header::read(&file).unwrap(), Some(header(1)));
        header(2).write(&file).unwrap();
        assert_eq!(Header::read(&file).unwrap(), Some(header(2)));
        let length = header(2).encode().len();
        assert!(length <= SLOT);
        for at in 0..length as u64 {
            file.write_all_at(&[0xa5], at).unwrap();
            assert_eq!(Header::read(&file).unwrap(), Some(header(1)), "{at}");
            header(2).write(&file).unwrap();
        }
        file.write_all_at(b"garbage", 0).unwrap();
        file.write_all_at(b"garbage", SLOT as u64 + 50).unwrap();
        assert_eq!(Header::read(&file).unwrap(), None);
    }
}
