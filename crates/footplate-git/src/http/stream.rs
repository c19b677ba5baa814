//! Answers of git as streams of bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStdout},
    sync::OwnedSemaphorePermit,
};

use crate::{Error, Result, command::read_clipped};

/// A body: chunks until the end, or an error that breaks it off.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes that are read from git at once.
const CHUNK: usize = 64 * 1024;

/// Standard output of a running git. The stream ends with an error when git fails; git is killed when it is dropped.
pub(crate) fn stream_output(
    command: &'static str,
    mut child: Child,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<ByteStream> {
    let stdout = child.stdout.take();
    let stdout = stdout.ok_or_else(|| Error::unreadable(command, "no pipe"))?;
    let errors = tokio::spawn(read_clipped(child.stderr.take()));
    let state = (Some((stdout, child, errors)), permit);
    let stream = futures_util::stream::unfold(state, move |(running, permit)| async move {
        let (mut stdout, mut child, errors) = running?;
        match read(&mut stdout).await {
            Ok(Some(chunk)) => Some((Ok(chunk), (Some((stdout, child, errors)), permit))),
            Ok(None) => {
                let status = child.wait().await;
                if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                    return None;
                }
                let said = errors.await.unwrap_or_default();
                let message = String::from_utf8_lossy(&said).trim().to_owned();
                tracing::debug!(command, message, "git ended with a failure");
                let error = io::Error::other(Error::git(command, &said));
                Some((Err(error), (None, permit)))
            }
            Err(error) => Some((Err(error), (None, permit))),
        }
    });
    Ok(stream.boxed())
}

async fn read(stdout: &mut ChildStdout) -> io::Result<Option<Bytes>> {
    let mut chunk = BytesMut::with_capacity(CHUNK);
    let read = stdout.read_buf(&mut chunk).await?;
    Ok((read > 0).then(|| chunk.freeze()))
}

/// A stream with work that goes on beside it, such as feeding the process that makes it. Both are dropped together.
pub(crate) fn with_side_work(
    stream: ByteStream,
    work: impl Future<Output = ()> + Send + 'static,
) -> ByteStream {
    Box::pin(SideWork {
        stream,
        work: Some(Box::pin(work)),
    })
}

struct SideWork {
    stream: ByteStream,
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for SideWork {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.stream.poll_next_unpin(context)
    }
}
