//! Source archives.

use std::sync::Arc;

use crate::{
    Repository, Result, Sha,
    file::checked,
    http::{ByteStream, stream_output},
};

/// The form of a source archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// `.tar.gz`
    TarGz,
    /// `.tar`
    Tar,
    /// `.zip`
    Zip,
}

impl ArchiveFormat {
    /// From a file name's ending (`tar.gz`, `tgz`, `tar`, `zip`); others are not offered.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "tar.gz" | "tgz" | "gz" => Some(Self::TarGz),
            "tar" => Some(Self::Tar),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }

    /// The ending of file names, which is git's name of the format too.
    pub fn extension(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Tar => "tar",
            Self::Zip => "zip",
        }
    }
}

impl Repository {
    /// The files of a commit, or those below one path, packed while they are read. Every name in it begins with
    /// `prefix` and a slash.
    pub async fn archive(
        &self,
        commit: &Sha,
        format: ArchiveFormat,
        prefix: &str,
        path: Option<&str>,
    ) -> Result<ByteStream> {
        let prefix = prefix.trim_matches('/');
        let mut git = self
            .git("archive")
            .arg(format!("--format={}", format.extension()))
            .arg(format!("--prefix={}/", checked(prefix)?))
            .args([commit.as_str(), "--"]);
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            git = git.arg(checked(path)?);
        }
        let permit = Arc::clone(&self.shared().transfers)
            .acquire_owned()
            .await
            .ok();
        let child = git.spawn(false)?;
        stream_output("archive", child, permit)
    }
}
