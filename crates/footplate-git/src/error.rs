//! What a repository may refuse or fail with.

use std::io;

/// A refusal or failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository for the project.
    #[error("repository {0} does not exist")]
    NoRepository(String),
    /// There is one already.
    #[error("repository {0} already exists")]
    RepositoryExists(String),
    /// The name breaks git's rules for references.
    #[error("{0:?} is not a valid ref name")]
    InvalidRef(String),
    /// The text is no full object id.
    #[error("{0:?} is not an object id")]
    InvalidSha(String),
    /// The path is empty, absolute or has `.`, `..`, `.git`, NUL or empty parts.
    #[error("{0:?} is not a valid path")]
    InvalidPath(String),
    /// A branch and a tag have this name (`Ref is ambiguous`, `pipeline-processing.md §2.1` #3).
    #[error("ref {0:?} is ambiguous: a branch and a tag have this name")]
    AmbiguousRef(String),
    /// The reference, commit or path that an operation starts from is not there.
    #[error("{0:?} was not found")]
    NotFound(String),
    /// A branch or tag to be made is there already.
    #[error("ref {0} already exists")]
    RefExists(String),
    /// The reference moved in the meantime, or another writer holds its lock.
    #[error("ref {0} was changed by someone else")]
    RefChanged(String),
    /// A file to be made is there already.
    #[error("a file named {0:?} already exists")]
    FileExists(String),
    /// A folder has the name of the file to be made.
    #[error("a directory named {0:?} already exists")]
    DirectoryExists(String),
    /// A file to be changed is not there.
    #[error("a file named {0:?} does not exist")]
    NoFile(String),
    /// The file changed since the commit that the caller had seen.
    #[error("{0:?} changed since the given commit")]
    FileChanged(String),
    /// The commit would change nothing or has no action.
    #[error("the commit has no changes")]
    NothingToCommit,
    /// More than the caller allowed.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The client broke the git protocol.
    #[error("broken git request: {0}")]
    Protocol(String),
    /// No room on the disk.
    #[error("the disk of the repositories is full: {0}")]
    DiskFull(String),
    /// git did not end in time and was killed.
    #[error("git {command} did not end within {seconds} s")]
    Timeout {
        /// The subcommand.
        command: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// git failed for a reason that is not one of the above.
    #[error("git {command} failed: {message}")]
    Git {
        /// The subcommand.
        command: String,
        /// The end of its standard error.
        message: String,
    },
    /// git answered something that could not be read.
    #[error("unreadable answer of git {command}: {message}")]
    Unreadable {
        /// The subcommand.
        command: &'static str,
        /// What was wrong.
        message: String,
    },
    /// The operating system failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Its error.
        source: io::Error,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the operating system with what was tried; a full disk is told apart.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull(source.to_string())
            }
            _ => Self::Io { doing, source },
        }
    }

    /// A failed git with its standard error; a full disk is told apart by git's words.
    pub(crate) fn git(command: &str, stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let message = text.trim().to_owned();
        if message.contains("No space left on device") || message.contains("Disk quota exceeded") {
            return Self::DiskFull(message);
        }
        Self::Git {
            command: command.to_owned(),
            message,
        }
    }

    pub(crate) fn unreadable(command: &'static str, message: impl Into<String>) -> Self {
        Self::Unreadable {
            command,
            message: message.into(),
        }
    }
}
