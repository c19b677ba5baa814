//! Where rows are kept: the only crate that knows SQL.
//!
//! [`Db`] is the seam over SQLite and PostgreSQL: every statement is written once, with `$1`, and runs on both. One file of
//! functions a table stands beside it. What is not here: rules of movement, permission, files, git.
//!
//! A use case is one closure and one transaction. It captures ids and plain values, because it may run again; it calls nothing
//! but store functions and pure code, because everybody else's writes wait for it; whom it wakes is told after the commit.
//!
//! ```
//! use footplate_store::{Db, Error, Topic, Tx, settings, tasks};
//! use footplate_model::Timestamp;
//!
//! /// Turns registration of runners off and writes the follow-up work down; `false` when it was off already.
//! async fn close_registration(db: &Db, now: Timestamp) -> Result<bool, Error> {
//!     db.write(async move |tx: &mut Tx<'_>| {
//!         if settings::find(tx, "registration").await?.as_deref() == Some("closed") {
//!             return Ok(false);
//!         }
//!         settings::put(tx, "registration", "closed").await?;
//!         tasks::insert(tx, "forget_registration_tokens", "{}", now).await?;
//!         tx.wake(Topic::Queue);
//!         Ok(true)
//!     })
//!     .await
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! let db = Db::open_sqlite(&folder.path().join("footplate.db")).await?;
//! let now = Timestamp::from_seconds(1_700_000_000);
//! assert!(close_registration(&db, now).await?);
//! assert!(!close_registration(&db, now).await?);
//! # Ok::<(), Error>(()) }).unwrap();
//! ```
//!
//! The error type of the closure is free as long as it is `From<Error>`; an engine's refusal spoils the transaction on both
//! engines: whoever swallows it gets it back instead of the commit.

pub mod agents;
pub mod artifacts;
pub mod claims;
mod db;
mod dialogue;
pub mod environments;
mod error;
mod job_lists;
pub mod job_token_allowlist;
pub mod job_variables;
pub mod jobs;
pub mod members;
mod migrate;
pub mod namespaces;
pub mod new_jobs;
mod notify;
pub mod pipeline_events;
mod pipeline_lists;
pub mod pipelines;
mod postgres;
mod project_lists;
pub mod projects;
pub mod protected_refs;
pub mod push_intents;
pub mod queue;
pub mod registration_tokens;
pub mod resource_groups;
mod rows;
pub mod runners;
mod secret;
pub mod sessions;
pub mod settings;
mod sqlite;
pub mod stages;
pub mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tokens;
mod tx;
pub mod users;
mod value;
pub mod variables;

pub use db::{Db, Written};
pub use error::{Error, Result};
pub use notify::{Subscription, Topic};
pub use rows::id_list;
pub use secret::{Keys, token_hash};
pub use sqlite::SqliteReads;
pub use tx::{Asked, Query, Sql, Tx};
#[doc(hidden)]
pub use tx::{ONLY_POSTGRES, changes_facts, numbered};
pub use value::{Column, Columns, Row, Value};
