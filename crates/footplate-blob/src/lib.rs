//! Traces and artifacts: put, get range, append, delete.
//!
//! [`BlobStore`] keeps whole files under checked keys: streamed in, hashed on the way, durable before they are there.
//! [`Traces`] grow and can be read meanwhile. [`Archive`] and [`gzip`] read what runners upload without ever extracting it. Rows, permissions and the
//! protocol's status codes are the caller's.

pub mod archive;
mod error;
mod file_stream;
pub mod gzip;
mod key;
mod store;
pub mod trace;

pub use archive::Archive;
pub use error::{Error, Result};
pub use file_stream::ByteStream;
pub use key::Key;
pub use store::{Blob, BlobStore, Listed, Received, Stored};
pub use trace::{Appended, Secrets, Section, TraceState, Traces};
