//! Bare repositories, smart HTTP by the git binary, reading and writing trees and commits.
//!
//! This crate owns where a project's repository lies, every call of the `git` binary (2.36 or newer) and the two
//! directions of smart HTTP. It knows no permissions, pipelines or rows: a push is handed to the caller as a list of
//! commands before git sees it ([`Push`]), and its outcome afterwards ([`PushOutcome`]). Nothing goes through a shell,
//! and names are checked before they reach a command line.

mod archive;
mod branches;
mod cat_file;
mod command;
mod commit;
mod commit_files;
mod diff;
mod error;
mod file;
pub mod http;
mod log;
mod names;
mod refs;
mod repositories;
mod repository;
mod resolve;
mod signature;
mod stage;
mod stale_locks;
mod tags;
mod tree;

pub use archive::ArchiveFormat;
pub use branches::Branch;
pub use commit::{Commit, CommitStats};
pub use commit_files::{Action, Change, CommitFiles, Person};
pub use diff::{Diff, DiffLimits, FileDiff};
pub use error::{Error, Result};
pub use file::{Blob, FileInfo};
pub use http::{
    ByteStream, Encoding, Push, PushCommands, PushOutcome, Rejection, RequestBody, Service,
    UpdateResult,
};
pub use log::{CommitQuery, Order};
pub use names::{GitRef, Sha, is_valid_ref_name};
pub use refs::{RefEntry, RefUpdate};
pub use repositories::{Repositories, RepositoryOptions};
pub use repository::Repository;
pub use signature::Signature;
pub use tags::Tag;
pub use tree::{EntryKind, TreeEntry};
