//! The one application error. `footplate-api` maps it once to GitLab's bodies (`rest-api.md §1.7`).

use std::collections::BTreeMap;

/// What a use case may refuse or fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404. The text is the whole message, such as `404 Project Not Found`.
    #[error("{0}")]
    NotFound(&'static str),
    /// 404 whose message carries a value.
    #[error("{0}")]
    NotFoundText(String),
    /// 401: who are you?
    #[error("unauthorized: {0:?}")]
    Unauthorized(Unauthorized),
    /// 403, with GitLab's reason behind `403 Forbidden - ` where there is one.
    #[error("forbidden: {0:?}")]
    Forbidden(Option<String>),
    /// 400 `400 Bad request - <reason>`.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// 400 with messages per attribute; `base` holds those of the whole.
    #[error("invalid: {0:?}")]
    Invalid(BTreeMap<String, Vec<String>>),
    /// 400 `{"error": …}`: a parameter is missing or of the wrong kind.
    #[error("parameter: {0}")]
    Parameter(String),
    /// Another refusal that has a status of its own: 405, 409, 410, 412, 413, 415, 422, 429, 501, 503.
    #[error("refused with {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The whole text of `message`.
        message: String,
    },
    /// A unique key is taken. Use cases turn it into GitLab's words; elsewhere it is a 409.
    #[error("taken: {0}")]
    Conflict(String),
    /// Ours: a database, disk or git failure. Logged where it is answered; the client sees 500.
    #[error("internal: {0}")]
    Internal(String),
}

/// Why a credential was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unauthorized {
    /// No or an unknown credential.
    Plain,
    /// With a reason behind `401 Unauthorized - `.
    Reason(String),
    /// The access token has expired.
    Expired,
    /// The access token was revoked.
    Revoked,
    /// The token lacks a scope; the value lists those that would do. This one is a 403.
    InsufficientScope(&'static str),
    /// A whole message of its own, such as `Job is not running`.
    Message(&'static str),
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `404 Not found` (lower-case f): a record that was looked up by id.
    pub const RECORD_NOT_FOUND: Self = Self::NotFound("404 Not found");
    /// `404 Not Found`: the unnamed helper.
    pub const NOTHING_FOUND: Self = Self::NotFound("404 Not Found");
    /// `404 Project Not Found`.
    pub const PROJECT_NOT_FOUND: Self = Self::NotFound("404 Project Not Found");
    /// `403 Forbidden`.
    pub const FORBIDDEN: Self = Self::Forbidden(None);
    /// `401 Unauthorized`.
    pub const UNAUTHORIZED: Self = Self::Unauthorized(Unauthorized::Plain);

    /// `403 Forbidden - <reason>`.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self::Forbidden(Some(reason.into()))
    }

    /// 400 with one message at one attribute.
    pub fn invalid(attribute: &str, message: impl Into<String>) -> Self {
        Self::Invalid(BTreeMap::from([(
            attribute.to_owned(),
            vec![message.into()],
        )]))
    }

    /// 400 with messages about the whole object.
    pub fn base(messages: Vec<String>) -> Self {
        Self::Invalid(BTreeMap::from([("base".to_owned(), messages)]))
    }

    /// Any failure of ours.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// A refusal with a status of its own.
    pub fn refused(status: u16, message: impl Into<String>) -> Self {
        Self::Refused {
            status,
            message: message.into(),
        }
    }
}

impl From<footplate_store::Error> for Error {
    fn from(error: footplate_store::Error) -> Self {
        use footplate_store::Error as Store;
        match error {
            Store::Full(_) | Store::ReadOnly(_) | Store::Busy(_) => {
                tracing::error!(%error, "the database refused a transaction");
                Self::refused(503, "503 Service Unavailable")
            }
            Store::Taken(key) => Self::Conflict(key),
            Store::NotFound(_)
            | Store::Corrupt(_)
            | Store::NewerSchema { .. }
            | Store::Column { .. }
            | Store::Secret(_)
            | Store::Engine(_)
            | Store::Panicked
            | Store::Closed => Self::internal(error),
        }
    }
}

impl From<footplate_git::Error> for Error {
    fn from(error: footplate_git::Error) -> Self {
        use footplate_git::Error as Git;
        match error {
            Git::NotFound(_) => Self::NOTHING_FOUND,
            Git::InvalidRef(_)
            | Git::InvalidSha(_)
            | Git::InvalidPath(_)
            | Git::AmbiguousRef(_)
            | Git::RefExists(_)
            | Git::RefChanged(_)
            | Git::FileExists(_)
            | Git::DirectoryExists(_)
            | Git::NoFile(_)
            | Git::FileChanged(_)
            | Git::NothingToCommit
            | Git::Protocol(_) => Self::BadRequest(error.to_string()),
            Git::TooLarge { .. } => Self::refused(413, "413 Request Entity Too Large"),
            Git::DiskFull(_) => {
                tracing::error!(%error, "the disk is full");
                Self::refused(503, "503 Service Unavailable")
            }
            Git::NoRepository(_)
            | Git::RepositoryExists(_)
            | Git::Timeout { .. }
            | Git::Git { .. }
            | Git::Unreadable { .. }
            | Git::Io { .. } => Self::internal(error),
        }
    }
}

impl From<footplate_blob::Error> for Error {
    fn from(error: footplate_blob::Error) -> Self {
        use footplate_blob::Error as Blob;
        match error {
            Blob::TooLarge { .. } => Self::refused(413, "413 Request Entity Too Large"),
            Blob::Upload(_) => Self::BadRequest(error.to_string()),
            Blob::DiskFull(_) => {
                tracing::error!(%error, "the disk is full");
                Self::refused(503, "503 Service Unavailable")
            }
            Blob::RefusedEntry(_) | Blob::BrokenArchive(_) | Blob::UnsupportedArchive(_) => {
                Self::NOTHING_FOUND
            }
            other => Self::internal(other),
        }
    }
}
