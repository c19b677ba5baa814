//! One entry of an archive as a stream.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use bytes::Bytes;
use flate2::read::DeflateDecoder;

use super::directory::{Cursor, Entry};
use crate::{ByteStream, Error, Result, error::blocking, file_stream::read_exact};

/// Decompressed bytes of one step.
const STEP: u64 = 256 * 1024;
const HEADER: u32 = 0x0403_4b50;

/// Opens an entry; its data must lie before `data_end`.
pub(super) async fn open(file: Arc<File>, entry: Entry, data_end: u64) -> Result<ByteStream> {
    let reader = blocking(move || reader(file, &entry, data_end)).await?;
    let stream = futures_util::stream::unfold(Some(reader), |reader| async move {
        let reader = reader?;
        if reader.done() {
            return None;
        }
        let step = tokio::task::spawn_blocking(move || reader.step()).await;
        match step.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok((chunk, reader)) => Some((Ok(chunk), Some(reader))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Box::pin(stream))
}

fn reader(file: Arc<File>, entry: &Entry, data_end: u64) -> Result<Reader> {
    let outside = || Error::BrokenArchive("an entry lies outside");
    let header_end = entry
        .header_at
        .checked_add(30)
        .filter(|end| *end <= data_end)
        .ok_or_else(outside)?;
    let header = read_exact(&file, entry.header_at, 30).map_err(Error::io("read an archive"))?;
    let mut header = Cursor { bytes: &header };
    if header.u32()? != HEADER {
        return Err(Error::BrokenArchive("an entry has no header"));
    }
    header.take(22)?;
    let start = header_end + u64::from(header.u16()?) + u64::from(header.u16()?);
    let end = start
        .checked_add(entry.compressed)
        .filter(|end| *end <= data_end)
        .ok_or_else(outside)?;
    let data = Part {
        file,
        at: start,
        end,
    };
    let inner: Box<dyn Read + Send> = match entry.method {
        0 if entry.compressed == entry.size => Box::new(data),
        0 => return Err(Error::BrokenArchive("sizes of a stored entry differ")),
        8 => Box::new(DeflateDecoder::new(io::BufReader::with_capacity(
            64 * 1024,
            data,
        ))),
        _ => return Err(Error::UnsupportedArchive("compression method")),
    };
    Ok(Reader {
        inner,
        left: entry.size,
        crc: crc32fast::Hasher::new(),
        expected: entry.crc,
    })
}

/// The raw bytes of an entry.
struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

struct Reader {
    inner: Box<dyn Read + Send>,
    left: u64,
    crc: crc32fast::Hasher,
    expected: u32,
}

impl Reader {
    fn done(&self) -> bool {
        self.left == 0
    }

    /// The next bytes. The last ones come only when length and checksum are right.
    fn step(mut self) -> io::Result<(Bytes, Self)> {
        let length = self.left.min(STEP);
        let mut chunk = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut self.inner).take(length).read_to_end(&mut chunk)?;
        if chunk.len() as u64 != length {
            return Err(broken("an entry is shorter than its directory line says"));
        }
        self.crc.update(&chunk);
        self.left -= length;
        if self.done() {
            self.check_end()?;
        }
        Ok((chunk.into(), self))
    }

    fn check_end(&mut self) -> io::Result<()> {
        if self.inner.read(&mut [0])? != 0 {
            return Err(broken("an entry is longer than its directory line says"));
        }
        if self.crc.clone().finalize() != self.expected {
            return Err(broken("the checksum of an entry is wrong"));
        }
        Ok(())
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::BrokenArchive(what))
}
