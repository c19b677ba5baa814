//! The PostgreSQL engine: a pool, and threads of its own on which transactions run as tasks.
//!
//! A transaction's future need not be `Send`, and a caller who goes away must not break it off: so each one is handed as a
//! closure to a thread with a local task set.

use deadpool_postgres::{ManagerConfig, Pool, RecyclingMethod, Runtime};
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::mpsc, task::LocalSet};
use tokio_postgres::NoTls;

use crate::error::{Error, Result};

const THREADS: usize = 2;
const CONNECTIONS: usize = 24;

type Job = Box<dyn FnOnce(Pool) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

pub(crate) struct Postgres {
    pool: Pool,
    threads: Vec<mpsc::UnboundedSender<Job>>,
    next: AtomicUsize,
}

impl Postgres {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let mut config = deadpool_postgres::Config::new();
        config.url = Some(url.to_owned());
        config.manager = Some(ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        });
        config.pool = Some(deadpool_postgres::PoolConfig::new(CONNECTIONS));
        let pool = config
            .create_pool(Some(Runtime::Tokio1), NoTls)
            .map_err(|error| Error::Engine(error.to_string()))?;
        let threads = (0..THREADS)
            .map(|number| thread(number, pool.clone()))
            .collect::<Result<_>>()?;
        Ok(Self {
            pool,
            threads,
            next: AtomicUsize::new(0),
        })
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        self.threads[number].send(job).map_err(|_| Error::Closed)
    }
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
