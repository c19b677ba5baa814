//! What a database may answer instead of rows.

/// A failure of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A row that must exist does not.
    #[error("no such row: {0}")]
    NotFound(&'static str),
    /// A unique key is taken; the text is the name of the index, the same on both engines (`TABLE_pkey` for a primary key).
    #[error("already taken: {0}")]
    Taken(String),
    /// Another transaction was in the way; the seam has already tried again.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The disk is full.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The file or its folder cannot be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The file or an index is damaged.
    #[error("the database is damaged, restore a backup: {0}")]
    Corrupt(String),
    /// The schema was made by a newer version of the program.
    #[error(
        "the database has schema {found}, this program knows {known}: it was used by a newer version; install that one or restore a backup"
    )]
    NewerSchema {
        /// Number in the database.
        found: i64,
        /// Newest number that this program knows.
        known: i64,
    },
    /// A column holds what it must not.
    #[error("column {column} holds an unexpected value: {message}")]
    Column {
        /// Position in the row, from 0.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A secret cannot be decrypted with the key file.
    #[error("a secret cannot be read with this key file: {0}")]
    Secret(&'static str),
    /// Anything else.
    #[error("database: {0}")]
    Engine(String),
    /// A use case panicked; its transaction was rolled back.
    #[error("a transaction panicked")]
    Panicked,
    /// The database was shut down.
    #[error("the database is closed")]
    Closed,
}

/// The result of a store function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same transaction may succeed when it is run again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    /// Whether the engine refused the statement, after which the transaction can only be rolled back.
    pub(crate) fn spoils_transaction(&self) -> bool {
        !matches!(
            self,
            Self::NotFound(_) | Self::Column { .. } | Self::Secret(_)
        )
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = error.to_string();
        match error.sqlite_error() {
            Some(cause) => match cause.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(text),
                // 4874: no room for the shared memory of the write-ahead log
                ErrorCode::DiskFull => Self::Full(text),
                ErrorCode::SystemIoFailure if cause.extended_code == 4874 => Self::Full(text),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(text),
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    Self::ReadOnly(text)
                }
                // 2067 unique, 1555 primary key, 2579 rowid
                ErrorCode::ConstraintViolation
                    if [2067, 1555, 2579].contains(&cause.extended_code) =>
                {
                    Self::Taken(text)
                }
                _ => Self::Engine(text),
            },
            None => Self::Engine(text),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(cause) = error.as_db_error() else {
            return Self::Engine(chain(&error));
        };
        let text = cause.to_string();
        let code = cause.code();
        if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        {
            Self::Busy(text)
        } else if *code == SqlState::UNIQUE_VIOLATION {
            Self::Taken(cause.constraint().unwrap_or(&text).to_owned())
        } else if *code == SqlState::DISK_FULL {
            Self::Full(text)
        } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            Self::ReadOnly(text)
        } else if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
            Self::Corrupt(text)
        } else {
            Self::Engine(text)
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Engine(chain(&error))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
