//! The PostgreSQL engine: threads of its own on which transactions run as tasks, each with a pool.
//!
//! A transaction's future need not be `Send`, and a caller who goes away must not break it off: so each one is handed as a
//! closure to a thread with a local task set.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use tokio::{sync::mpsc, task::LocalSet};
use tokio_postgres::{Config, NoTls, config::SslMode};

use crate::error::{Error, Result};

const THREADS: usize = 2;
const CONNECTIONS: usize = 24;
/// For a free connection of the pool, and for a new one to the server.
const WAIT: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce(Pool) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

pub(crate) struct Postgres {
    threads: Vec<mpsc::UnboundedSender<Job>>,
    next: AtomicUsize,
}

impl Postgres {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let config = parse(url)?;
        let threads = (0..THREADS)
            .map(|number| thread(number, pool(config.clone())?))
            .collect::<Result<_>>()?;
        Ok(Self {
            threads,
            next: AtomicUsize::new(0),
        })
    }

    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        self.threads[number].send(job).map_err(|_| Error::Closed)
    }
}

/// The connections of one thread: what drives a connection runs where its transactions do, so that a statement wakes no other thread.
fn pool(config: Config) -> Result<Pool> {
    let manager = Manager::from_config(
        config,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Pool::builder(manager)
        .max_size(CONNECTIONS / THREADS)
        // The connection that was used last has its statements prepared and planned.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(CONNECT))
        .build()
        .map_err(|error| Error::Engine(error.to_string()))
}

/// Reads a connection URL; refuses one that demands what this build cannot do.
fn parse(url: &str) -> Result<Config> {
    let no_tls = || {
        Error::Engine(
            "the PostgreSQL URL demands TLS (sslmode), which this build does not speak: use sslmode=disable over a private \
             network or a local socket, or a TLS tunnel"
                .to_owned(),
        )
    };
    if url.contains("sslmode=verify") {
        return Err(no_tls());
    }
    let mut config: Config = url
        .parse()
        .map_err(|error| Error::Engine(format!("the PostgreSQL URL cannot be read: {error}")))?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(no_tls());
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_application_name().is_none() {
        config.application_name("footplate");
    }
    Ok(config)
}

fn thread(number: usize, pool: Pool) -> Result<mpsc::UnboundedSender<Job>> {
    let (sender, mut queue) = mpsc::unbounded_channel::<Job>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Engine(error.to_string()))?;
    std::thread::Builder::new()
        .name(format!("postgres-{number}"))
        .spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                while let Some(job) = queue.recv().await {
                    tokio::task::spawn_local(job(pool.clone()));
                }
            });
        })
        .map_err(|error| Error::Engine(error.to_string()))?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_url_that_demands_tls_is_refused_in_plain_words() {
        for mode in ["require", "verify-full", "verify-ca"] {
            let error = parse(&format!("postgres://me@host/db?sslmode={mode}")).unwrap_err();
            assert!(error.to_string().contains("demands TLS"), "{error}");
        }
        assert!(parse("postgres://me@host/db?sslmode=disable").is_ok());
        assert!(parse("postgres://me@host/db").is_ok());
    }
}
