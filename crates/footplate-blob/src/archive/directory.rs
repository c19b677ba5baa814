//! The central directory of a zip file, zip64 included.

use std::fs::File;

use crate::{Error, Result, file_stream::read_exact};

/// One line of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in the archive; folders end with a slash.
    pub path: String,
    /// Decompressed bytes.
    pub size: u64,
    /// Unix permissions and type, when the archive has them.
    pub mode: Option<u32>,
    /// CRC-32 of the decompressed bytes.
    pub crc: u32,
    /// Why nothing of it is served.
    pub refused: Option<&'static str>,
    pub(super) compressed: u64,
    pub(super) method: u16,
    pub(super) header_at: u64,
}

impl Entry {
    /// Whether it is a folder.
    pub fn is_directory(&self) -> bool {
        self.path.ends_with('/')
    }
}

/// Bytes of the directory that are read at most.
const DIRECTORY_BYTES: u64 = 32 * 1024 * 1024;
/// Entries that are read at most.
const ENTRIES: usize = 200_000;

const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const LINE: u32 = 0x0201_4b50;

/// Where the directory lies.
struct Place {
    start: u64,
    size: u64,
    entries: u64,
}

/// Reads the directory: its entries, and where the data before it ends.
pub(super) fn read(file: &File) -> Result<(Vec<Entry>, u64)> {
    let length = file.metadata().map_err(Error::io("read an archive"))?.len();
    let place = find(file, length)?;
    if place.size > DIRECTORY_BYTES || place.entries > ENTRIES as u64 {
        return Err(Error::UnsupportedArchive("its directory is too large"));
    }
    let bytes = read_exact(file, place.start, place.size).map_err(Error::io("read an archive"))?;
    let mut lines = Cursor { bytes: &bytes };
    let mut entries = Vec::new();
    for _ in 0..place.entries {
        entries.push(line(&mut lines)?);
    }
    Ok((entries, place.start))
}

fn find(file: &File, length: u64) -> Result<Place> {
    let tail_size = length.min(22 + 65_535);
    let tail_at = length - tail_size;
    let tail = read_exact(file, tail_at, tail_size).map_err(Error::io("read an archive"))?;
    let mark = END.to_le_bytes();
    let candidates = memchr::memmem::rfind_iter(&tail, &mark);
    let fits = |at: &usize| {
        let comment = tail
            .get(at + 20..at + 22)
            .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
        comment.is_some_and(|comment| at + 22 + comment == tail.len())
    };
    let at = { candidates }
        .find(fits)
        .ok_or(Error::BrokenArchive("no zip directory"))?;
    let mut end = Cursor {
        bytes: &tail[at + 4..],
    };
    let (disk, first_disk) = (end.u16()?, end.u16()?);
    let (here, entries) = (end.u16()?, end.u16()?);
    let (size, start) = (end.u32()?, end.u32()?);
    let end_at = tail_at + at as u64;
    let small = entries != u16::MAX && size != u32::MAX && start != u32::MAX;
    let place = match locate_64(file, end_at)? {
        Some(place) if !small => place,
        _ if disk != 0 || first_disk != 0 || here != entries => {
            return Err(Error::UnsupportedArchive("it has several parts"));
        }
        _ => Place {
            start: start.into(),
            size: size.into(),
            entries: entries.into(),
        },
    };
    let fits = place
        .start
        .checked_add(place.size)
        .is_some_and(|directory_end| directory_end <= end_at);
    if fits {
        Ok(place)
    } else {
        Err(Error::BrokenArchive("its directory lies outside"))
    }
}

/// The zip64 form, when there is one before the end record.
fn locate_64(file: &File, end_at: u64) -> Result<Option<Place>> {
    let Some(at) = end_at.checked_sub(20) else {
        return Ok(None);
    };
    let locator = read_exact(file, at, 20).map_err(Error::io("read an archive"))?;
    let mut locator = Cursor { bytes: &locator };
    if locator.u32()? != LOCATOR_64 {
        return Ok(None);
    }
    locator.u32()?;
    let record_at = locator.u64()?;
    if record_at.checked_add(56).is_none_or(|end| end > at) {
        return Err(Error::BrokenArchive("its zip64 record lies outside"));
    }
    let record = read_exact(file, record_at, 56).map_err(Error::io("read an archive"))?;
    let mut record = Cursor { bytes: &record };
    if record.u32()? != END_64 {
        return Err(Error::BrokenArchive("no zip64 record"));
    }
    record.take(8 + 4)?;
    let (disk, first_disk) = (record.u32()?, record.u32()?);
    let (here, entries) = (record.u64()?, record.u64()?);
    if disk != 0 || first_disk != 0 || here != entries {
        return Err(Error::UnsupportedArchive("it has several parts"));
    }
    let (size, start) = (record.u64()?, record.u64()?);
    Ok(Some(Place {
        start,
        size,
        entries,
    }))
}

fn line(lines: &mut Cursor<'_>) -> Result<Entry> {
    if lines.u32()? != LINE {
        return Err(Error::BrokenArchive("broken directory"));
    }
    let made_by = lines.u16()?;
    lines.u16()?;
    let flags = lines.u16()?;
    let method = lines.u16()?;
    lines.u32()?;
    let crc = lines.u32()?;
    let (compressed, size) = (lines.u32()?, lines.u32()?);
    let (name, extra, comment) = (lines.u16()?, lines.u16()?, lines.u16()?);
    lines.u32()?;
    let attributes = lines.u32()?;
    let header_at = lines.u32()?;
    let name = lines.take(name.into())?;
    let extra = lines.take(extra.into())?;
    lines.take(comment.into())?;
    let wide = Wide::read(extra, size, compressed, header_at)?;
    // the upper byte is the system; 3 is Unix, 19 macOS
    let unix = matches!(made_by >> 8, 3 | 19);
    let mode = unix.then_some(attributes >> 16).filter(|mode| *mode != 0);
    let path = String::from_utf8_lossy(name).into_owned();
    Ok(Entry {
        refused: refusal(&path, mode, flags),
        path,
        size: wide.size,
        mode,
        crc,
        compressed: wide.compressed,
        method,
        header_at: wide.header_at,
    })
}

/// Sizes and offset, from the zip64 field where the short ones say so.
struct Wide {
    size: u64,
    compressed: u64,
    header_at: u64,
}

impl Wide {
    fn read(extra: &[u8], size: u32, compressed: u32, header_at: u32) -> Result<Self> {
        let mut wide = Self {
            size: size.into(),
            compressed: compressed.into(),
            header_at: header_at.into(),
        };
        let mut fields = Cursor { bytes: extra };
        while fields.bytes.len() >= 4 {
            let (id, length) = (fields.u16()?, fields.u16()?);
            let Ok(data) = fields.take(length.into()) else {
                break;
            };
            if id != 1 {
                continue;
            }
            let mut data = Cursor { bytes: data };
            for (short, long) in [
                (size, &mut wide.size),
                (compressed, &mut wide.compressed),
                (header_at, &mut wide.header_at),
            ] {
                if short == u32::MAX {
                    *long = data.u64()?;
                }
            }
        }
        Ok(wide)
    }
}

fn refusal(path: &str, mode: Option<u32>, flags: u16) -> Option<&'static str> {
    if path.contains('\0') {
        return Some("its name has a NUL");
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.is_empty() || path.starts_with(['/', '\\']) || drive {
        return Some("its name is absolute");
    }
    if path.split(['/', '\\']).any(|part| part == "..") {
        return Some("its name leaves the archive");
    }
    if mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000) {
        return Some("it is a symbolic link");
    }
    (flags & 1 != 0).then_some("it is encrypted")
}

/// Little-endian numbers off the front of bytes.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.split_at_checked(length);
        let (taken, rest) = taken.ok_or(Error::BrokenArchive("it ends early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
