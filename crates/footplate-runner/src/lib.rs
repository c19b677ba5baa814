//! The built-in runner: a client of the runner protocol that executes scripts by the host's shell.
//!
//! It knows the protocol and nothing of the server. Each job has its own folder and process group; what it started is
//! written down before it starts, so that a runner which was killed finds and ends what it left. Containers are not here.

mod archive;
mod artifacts;
mod cache;
mod client;
mod job;
mod leftovers;
mod mask;
mod payload;
mod poll;
mod shell;
mod sources;
mod trace;
mod variables;

use std::{path::PathBuf, time::Duration};

pub use poll::run;

/// How a runner works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Root of the server; may have a path.
    pub url: String,
    /// Runner authentication token.
    pub token: String,
    /// How it calls itself.
    pub name: String,
    /// Builds, cache and state live below.
    pub folder: PathBuf,
    /// Jobs side by side.
    pub concurrency: usize,
    /// `bash` or `sh`, found on `PATH`.
    pub shell: String,
    /// Between two requests that the server did not hold.
    pub poll_interval: Duration,
}

/// Why a runner ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server cannot be spoken to.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// The server does not take the token any more.
    #[error("the server does not accept the runner's token any more")]
    Refused,
    /// A job cannot be run, and why.
    #[error("{0}")]
    Job(String),
}

/// Chooses the TLS implementation, once in a process.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The shell that there is: `bash`, else `sh`.
pub fn find_shell() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join("bash").is_file());
    if found { "bash" } else { "sh" }.to_owned()
}
