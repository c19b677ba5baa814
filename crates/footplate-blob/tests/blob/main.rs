//! Blobs, archives and traces on a real file system.

mod archive;
mod damage;
mod store;
mod trace;

use std::io;

use bytes::Bytes;
use footplate_blob::ByteStream;
use futures_util::TryStreamExt as _;

/// All of a stream.
async fn text(stream: ByteStream) -> io::Result<Vec<u8>> {
    let add = |mut all: Vec<u8>, chunk: Bytes| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    };
    stream.try_fold(Vec::new(), add).await
}
