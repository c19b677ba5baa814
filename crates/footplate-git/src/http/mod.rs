//! Smart HTTP: what stands behind `info/refs`, `git-upload-pack` and `git-receive-pack`.
//!
//! Requests and answers are streams; nothing is held whole. Who may do what is the caller's to decide before it calls.

mod body;
mod pkt;
mod push;
mod report;
mod run_push;
mod stream;

pub use body::{Encoding, RequestBody};
pub use push::{Push, PushCommands, Rejection};
pub use run_push::{PushOutcome, UpdateResult};
pub use stream::ByteStream;
pub(crate) use stream::stream_output;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::{Repository, Result};

/// One of the two services of smart HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl Service {
    /// From the name in paths and in `?service=`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    /// The name in paths and in `?service=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// `Content-Type` of the answer to `info/refs`.
    pub fn advertisement_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-advertisement",
            Self::ReceivePack => "application/x-git-receive-pack-advertisement",
        }
    }

    /// `Content-Type` that requests must have.
    pub fn request_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-request",
            Self::ReceivePack => "application/x-git-receive-pack-request",
        }
    }

    /// `Content-Type` of answers.
    pub fn result_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-result",
            Self::ReceivePack => "application/x-git-receive-pack-result",
        }
    }

    fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

/// The value of a `Git-Protocol` header that git may see: `version=2` and the like, nothing else.
fn protocol_for_git(header: Option<&str>) -> Option<&str> {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b':' | b'-' | b'.' | b'_');
    header.filter(|value| value.len() <= 200 && value.bytes().all(allowed))
}

/// Whether the client speaks version 2, which has no service line before the capabilities.
fn speaks_v2(header: Option<&str>) -> bool {
    header.is_some_and(|value| value.split(':').any(|part| part == "version=2"))
}

impl Repository {
    /// The answer to `GET info/refs?service=…`. `protocol` is the `Git-Protocol` header.
    pub async fn info_refs(&self, service: Service, protocol: Option<&str>) -> Result<ByteStream> {
        let protocol = protocol_for_git(protocol);
        let v2 = service == Service::UploadPack && speaks_v2(protocol);
        let mut git = self
            .git(service.subcommand())
            .env("GIT_PROTOCOL", protocol.unwrap_or_default())
            .args(["--stateless-rpc", "--http-backend-info-refs"])
            .arg(self.path());
        let permit = Arc::clone(&self.shared().transfers)
            .acquire_owned()
            .await
            .ok();
        let child = git.spawn(false)?;
        let refs = stream_output(service.subcommand(), child, permit)?;
        if v2 {
            return Ok(refs);
        }
        let mut head = pkt::line(format!("# service={}\n", service.name()).as_bytes());
        head.extend_from_slice(pkt::FLUSH);
        let head = futures_util::stream::iter([Ok(Bytes::from(head))]);
        Ok(head.chain(refs).boxed())
    }

    /// The answer to `POST git-upload-pack`: clone and fetch, any protocol version, shallow and partial. git is killed when
    /// the answer is dropped.
    pub async fn upload_pack(
        &self,
        mut body: RequestBody,
        protocol: Option<&str>,
    ) -> Result<ByteStream> {
        let mut git = self
            .git("upload-pack")
            .env(
                "GIT_PROTOCOL",
                protocol_for_git(protocol).unwrap_or_default(),
            )
            .args(["--stateless-rpc", "--strict"])
            .arg(self.path());
        let permit = Arc::clone(&self.shared().transfers)
            .acquire_owned()
            .await
            .ok();
        let mut child = git.spawn(true)?;
        let stdin = child.stdin.take();
        let feed = async move {
            let Some(mut stdin) = stdin else { return };
            while let Some(chunk) = body.chunk().await {
                let Ok(chunk) = chunk else { return };
                // git stops reading when it has seen enough
                if stdin.write_all(&chunk).await.is_err() {
                    return;
                }
            }
            let _ = stdin.shutdown().await;
        };
        let answer = stream_output("upload-pack", child, permit)?;
        Ok(stream::with_side_work(answer, feed))
    }
}

#[cfg(test)]
mod tests {
    use super::{protocol_for_git, speaks_v2};

    #[test]
    fn only_plain_protocol_headers_reach_git() {
        assert_eq!(protocol_for_git(Some("version=2")), Some("version=2"));
        assert_eq!(protocol_for_git(Some("version=2\n")), None);
        assert_eq!(protocol_for_git(Some(&"a".repeat(500))), None);
        assert!(speaks_v2(Some("x=1:version=2")));
        assert!(!speaks_v2(Some("version=22")));
    }
}
