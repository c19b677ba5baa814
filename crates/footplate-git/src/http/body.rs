//! Bodies of requests: gzip undone, size bounded.

use std::io::{self, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, StreamExt as _};

use super::ByteStream;

/// `Content-Encoding` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// `gzip` or `x-gzip`.
    Gzip,
}

impl Encoding {
    /// From the header; `None` for encodings that git clients do not use.
    pub fn parse(header: Option<&str>) -> Option<Self> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Identity),
            Some("gzip" | "x-gzip") => Some(Self::Gzip),
            Some(_) => None,
        }
    }
}

/// Compressed bytes that are expanded at once: at deflate's most (1 : 1032) that is 16 MiB.
const GZIP_STEP: usize = 16 * 1024;

/// A request's body, decoded while it is read. Beyond `limit` decoded bytes it breaks off with an error.
pub struct RequestBody {
    from: ByteStream,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    pending: Bytes,
    left: u64,
    ended: bool,
}

impl RequestBody {
    /// Wraps the body of a request; `limit` is in decoded bytes.
    pub fn new(
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        encoding: Encoding,
        limit: u64,
    ) -> Self {
        Self {
            from: stream.boxed(),
            gzip: (encoding == Encoding::Gzip).then(|| MultiGzDecoder::new(Vec::new())),
            pending: Bytes::new(),
            left: limit,
            ended: false,
        }
    }

    /// The next decoded bytes, `None` at the end. After an error nothing follows.
    pub async fn chunk(&mut self) -> Option<io::Result<Bytes>> {
        let chunk = self.decoded().await?;
        let counted = chunk.and_then(|chunk| {
            let left = self.left.checked_sub(chunk.len() as u64);
            self.left = left.ok_or_else(|| {
                io::Error::new(io::ErrorKind::FileTooLarge, "the request is too large")
            })?;
            Ok(chunk)
        });
        self.ended |= counted.is_err();
        Some(counted)
    }

    async fn decoded(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.ended {
                return None;
            }
            if self.pending.has_remaining() {
                match self.expand() {
                    Ok(bytes) if bytes.is_empty() => continue,
                    other => return Some(other),
                }
            }
            match self.from.next().await {
                Some(Ok(chunk)) if self.gzip.is_none() => return Some(Ok(chunk)),
                Some(Ok(chunk)) => self.pending = chunk,
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                None => {
                    self.ended = true;
                    let rest = self.gzip.take()?.finish();
                    return match rest {
                        Ok(rest) if rest.is_empty() => None,
                        other => Some(other.map(Bytes::from)),
                    };
                }
            }
        }
    }

    /// Expands one step of what was received.
    fn expand(&mut self) -> io::Result<Bytes> {
        let step = self.pending.split_to(self.pending.len().min(GZIP_STEP));
        let Some(gzip) = &mut self.gzip else {
            return Ok(step);
        };
        gzip.write_all(&step)?;
        Ok(std::mem::take(gzip.get_mut()).into())
    }

    /// Gives bytes back that were read ahead; they come next.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        let rest = std::mem::replace(&mut self.from, futures_util::stream::empty().boxed());
        let left = self.left;
        let gzip = self.gzip.take();
        let pending = std::mem::take(&mut self.pending);
        let inner = Self {
            from: rest,
            gzip,
            pending,
            left,
            ended: self.ended,
        };
        self.ended = false;
        self.left = left.saturating_add(bytes.len() as u64);
        let head = futures_util::stream::iter([Ok(bytes)]);
        self.from = head.chain(inner.into_stream()).boxed();
    }

    fn into_stream(self) -> ByteStream {
        futures_util::stream::unfold(self, |mut body| async move {
            let chunk = body.chunk().await?;
            Some((chunk, body))
        })
        .boxed()
    }

    /// Reads what is left and forgets it, so that the client has sent everything before it gets its answer.
    pub(crate) async fn drain(mut self) {
        while let Some(Ok(_)) = self.chunk().await {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use bytes::Bytes;
    use flate2::{Compression, write::GzEncoder};

    use super::{Encoding, RequestBody};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(
        packed: Vec<u8>,
        piece: usize,
        encoding: Encoding,
        limit: u64,
    ) -> std::io::Result<Vec<u8>> {
        let pieces: Vec<_> = packed
            .chunks(piece)
            .map(|part| Ok(Bytes::copy_from_slice(part)))
            .collect();
        let mut body = RequestBody::new(futures_util::stream::iter(pieces), encoding, limit);
        let mut all = Vec::new();
        while let Some(chunk) = body.chunk().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn gzip_is_undone_in_any_pieces() {
        let data: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for piece in [1, 7, 1000, 1 << 20] {
            let read = read(gzip(&data), piece, Encoding::Gzip, 1 << 20)
                .await
                .unwrap();
            assert_eq!(read, data);
        }
    }

    #[tokio::test]
    async fn bombs_and_broken_streams_end_with_an_error() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(read(bomb, 4096, Encoding::Gzip, 1 << 20).await.is_err());
        let mut cut = gzip(&[1; 5000]);
        cut.truncate(20);
        assert!(read(cut, 10, Encoding::Gzip, 1 << 20).await.is_err());
        assert!(
            read(b"no gzip".to_vec(), 10, Encoding::Gzip, 100)
                .await
                .is_err()
        );
        assert!(
            read(vec![0; 101], 10, Encoding::Identity, 100)
                .await
                .is_err()
        );
        assert_eq!(
            read(vec![0; 100], 10, Encoding::Identity, 100)
                .await
                .unwrap()
                .len(),
            100
        );
    }

    #[tokio::test]
    async fn what_was_given_back_comes_first() {
        let parts = [
            Ok(Bytes::from_static(b"abc")),
            Ok(Bytes::from_static(b"def")),
        ];
        let mut body = RequestBody::new(futures_util::stream::iter(parts), Encoding::Identity, 6);
        let first = body.chunk().await.unwrap().unwrap();
        body.unread(first.slice(1..));
        let mut rest = Vec::new();
        while let Some(chunk) = body.chunk().await {
            rest.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(rest, b"bcdef");
    }
}
