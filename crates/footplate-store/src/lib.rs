//! Where rows are kept: the only crate that knows SQL.
//!
//! [`Db`] is the seam over SQLite and PostgreSQL: every statement is written once, with `$1`, and runs on both. One file of
//! functions a table stands beside it. What is not here: rules of movement, permission, files, git.

pub mod agents;
pub mod artifacts;
mod db;
pub mod environments;
mod error;
pub mod job_variables;
pub mod jobs;
pub mod members;
mod migrate;
pub mod namespaces;
mod notify;
pub mod pipelines;
mod postgres;
pub mod projects;
pub mod protected_refs;
pub mod push_intents;
pub mod queue;
pub mod resource_groups;
pub mod runners;
mod secret;
pub mod sessions;
pub mod settings;
mod sqlite;
pub mod stages;
pub mod tasks;
pub mod tokens;
mod tx;
pub mod users;
mod value;
pub mod variables;

pub use db::Db;
pub use error::{Error, Result};
pub use notify::{Subscription, Topic};
pub use secret::{Keys, token_hash};
pub use tx::{Query, Sql, Tx};
pub use value::{Column, Columns, Row, Value};
