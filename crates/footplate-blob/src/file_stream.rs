//! Ranges of files as streams: large steps, the next one read while the last one is sent.

use std::{fs::File, io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::task::JoinHandle;

/// A body: chunks until the end, or an error that breaks it off.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes of the first step, small so that the first byte leaves early.
const FIRST: u64 = 64 * 1024;
/// Bytes of the steps after it.
const STEP: u64 = 512 * 1024;

/// The bytes of a range. A file that ends before the range does breaks the stream off with an error.
pub(crate) fn stream_file(file: Arc<File>, range: Range<u64>) -> ByteStream {
    let ahead = start(&file, &range, FIRST);
    let state = (file, range, ahead);
    let stream = futures_util::stream::unfold(state, |(file, range, ahead)| async move {
        let chunk = ahead?
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let Ok(bytes) = &chunk else {
            return Some((chunk, (file, range, None)));
        };
        let rest = range.start + bytes.len() as u64..range.end;
        let ahead = start(&file, &rest, STEP);
        Some((chunk, (file, rest, ahead)))
    });
    Box::pin(stream)
}

fn start(file: &Arc<File>, range: &Range<u64>, step: u64) -> Option<JoinHandle<io::Result<Bytes>>> {
    let length = range.end.saturating_sub(range.start).min(step);
    if length == 0 {
        return None;
    }
    let (file, start) = (Arc::clone(file), range.start);
    Some(tokio::task::spawn_blocking(move || {
        read_exact(&file, start, length).map(Bytes::from)
    }))
}

/// Exactly `length` bytes from `start` on, into memory that is not zeroed first.
pub(crate) fn read_exact(file: &File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = start + bytes.len() as u64;
        let read = match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // the capacity may be more than was asked for
    bytes.truncate(length);
    Ok(bytes)
}
