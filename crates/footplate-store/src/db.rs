//! The seam: `Db::read` and `Db::write` run an async closure in one transaction on either engine (DESIGN §4).

use std::{
    future::Future,
    path::Path,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    dialogue::{Dialogue, Mode},
    error::{Error, Result},
    migrate,
    notify::{Hub, Subscription, Topic},
    postgres::Postgres,
    sqlite::{Sqlite, SqliteReads, in_savepoint, in_snapshot},
    tx::{Engine, Tx},
};

/// How often a transaction is run again after a serialization failure or deadlock.
const TRIES: u32 = 8;

/// A database of either engine. Clones share it.
#[derive(Clone)]
pub struct Db {
    engine: Arc<DbEngine>,
    hub: Hub,
}

/// What the writer has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Use cases, those that were rolled back included.
    pub use_cases: u64,
    /// Durable commits.
    pub commits: u64,
}

enum DbEngine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    /// Opens or creates a SQLite file and brings its schema up to date.
    ///
    /// # Errors
    /// The file cannot be opened or written, or its schema is newer than this program.
    pub async fn open_sqlite(path: &Path) -> Result<Self> {
        Self::open_sqlite_with(path, SqliteReads::CallersThread).await
    }

    /// As [`Db::open_sqlite`], with a choice of where reads run: for measurements.
    ///
    /// # Errors
    /// As [`Db::open_sqlite`].
    pub async fn open_sqlite_with(path: &Path, reads: SqliteReads) -> Result<Self> {
        let db = Self {
            engine: Arc::new(DbEngine::Sqlite(Sqlite::open(path, reads)?)),
            hub: Hub::default(),
        };
        migrate::run(&db).await?;
        Ok(db)
    }

    /// Connects to PostgreSQL and brings the schema up to date.
    ///
    /// # Errors
    /// The server cannot be reached, or the schema is newer than this program.
    pub async fn open_postgres(url: &str) -> Result<Self> {
        let db = Self {
            engine: Arc::new(DbEngine::Postgres(Postgres::open(url)?)),
            hub: Hub::default(),
        };
        migrate::run(&db).await?;
        Ok(db)
    }

    /// Opens what the URL names: `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// As the two above, and for another scheme.
    pub async fn open(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(Path::new(path)).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else {
            Err(Error::Engine(
                "the database URL must begin with `sqlite:` or `postgres://`".to_owned(),
            ))
        }
    }

    /// Whether this is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(*self.engine, DbEngine::Postgres(_))
    }

    /// Registers for a topic; look at the rows afterwards, then wait.
    pub fn subscribe(&self, topic: Topic) -> Subscription {
        self.hub.subscribe(topic)
    }

    /// How often a topic was woken since somebody first waited for it without a break.
    pub fn wakes(&self, topic: Topic) -> u64 {
        self.hub.count(topic)
    }

    /// Wakes those who wait for something that is not in a row, such as a trace's new bytes.
    pub fn wake(&self, topic: Topic) {
        self.hub.wake(topic);
    }

    /// Use cases written so far and the durable commits that carried them; PostgreSQL groups by itself and is not counted.
    pub fn written(&self) -> Option<Written> {
        match &*self.engine {
            DbEngine::Sqlite(sqlite) => Some(Written {
                use_cases: sqlite.counts.use_cases.load(Ordering::Relaxed),
                commits: sqlite.counts.commits.load(Ordering::Relaxed),
            }),
            DbEngine::Postgres(_) => None,
        }
    }

    /// Runs statements that change nothing; all see the same state. A statement that writes is [`Error::ReadOnly`].
    ///
    /// # Errors
    /// Those of the closure and of the engine.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &*self.engine {
            DbEngine::Sqlite(sqlite) => read_sqlite(sqlite, work).await,
            DbEngine::Postgres(postgres) => {
                on_postgres(postgres, self.hub.clone(), Mode::Read, work).await
            }
        }
    }

    /// Runs a use case: commits on `Ok`, rolls back on `Err`. The closure may run again after a serialization failure.
    /// It goes on to its end when the caller goes away, and wake-ups that it registered are sent after the commit.
    ///
    /// # Errors
    /// Those of the closure and of the engine.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &*self.engine {
            DbEngine::Sqlite(sqlite) => write_sqlite(sqlite, self.hub.clone(), work).await,
            DbEngine::Postgres(postgres) => {
                on_postgres(postgres, self.hub.clone(), Mode::Write, work).await
            }
        }
    }
}

/// Drives a future that only waits for SQLite, which never lets it wait.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a transaction waited for something other than the database"),
    }
}

async fn read_sqlite<T, E, F>(sqlite: &Sqlite, work: F) -> Result<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let read = move |connection: &rusqlite::Connection| {
        in_snapshot(connection, |connection| {
            ready(work(&mut Tx::new(Engine::Sqlite(connection))))
        })
        .unwrap_or_else(|error| Err(error.into()))
    };
    match sqlite.reads {
        SqliteReads::CallersThread => sqlite.with_reader(read),
        SqliteReads::OwnThreads => {
            let (reply, answer) = oneshot::channel();
            sqlite.submit_read(Box::new(move |connection| {
                if !reply.is_closed() {
                    let _ = reply.send(read(connection));
                }
            }));
            answer.await.map_err(|_| Error::Closed)?
        }
    }
}

async fn write_sqlite<T, E, F>(sqlite: &Sqlite, hub: Hub, work: F) -> Result<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    sqlite.submit(Box::new(move |connection| {
        let mut wakes = Vec::new();
        let result = connection.map(|connection| {
            in_savepoint(connection, || {
                let mut tx = Tx::new(Engine::Sqlite(connection));
                let result = ready(work(&mut tx));
                wakes = std::mem::take(&mut tx.wakes);
                tx.settle(result)
            })
        });
        Box::new(move |committed| {
            let result = match (committed, result) {
                (Ok(()), Some(result)) => result,
                (Err(_), Some(Err(error))) => Err(error),
                (Err(error), _) => Err(error.into()),
                (Ok(()), None) => Err(Error::Closed.into()),
            };
            if result.is_ok() {
                wakes.into_iter().for_each(|topic| hub.wake(topic));
            }
            let _ = reply.send(result);
        })
    }))?;
    answer.await.map_err(|_| Error::Closed)?
}

async fn on_postgres<T, E, F>(postgres: &Postgres, hub: Hub, mode: Mode, work: F) -> Result<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    postgres.submit(Box::new(move |pool| {
        Box::pin(async move {
            let mut tries = 0;
            let result = loop {
                tries += 1;
                match once(&pool, &hub, mode, &work).await {
                    Outcome::Done(result) => break result,
                    Outcome::Transient(error) if tries >= TRIES => break Err(error.into()),
                    Outcome::Transient(_) => tokio::time::sleep(pause(tries)).await,
                }
            };
            let _ = reply.send(result);
        })
    }))?;
    answer.await.map_err(|_| Error::Panicked)?
}

/// Longer from try to try, and never the same for two that met.
fn pause(tries: u32) -> Duration {
    let jitter: f64 = rand::random();
    Duration::from_millis(u64::from(tries) * 4).mul_f64(0.5 + jitter)
}

enum Outcome<T, E> {
    Done(Result<T, E>),
    Transient(Error),
}

async fn once<T, E, F>(
    pool: &deadpool_postgres::Pool,
    hub: &Hub,
    mode: Mode,
    work: &F,
) -> Outcome<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E>,
    E: From<Error>,
{
    let client = match pool.get().await {
        Ok(client) => client,
        Err(error) => return Outcome::Done(Err(Error::from(error).into())),
    };
    let mut tx = Tx::new(Engine::Postgres(Dialogue::new(&client, mode)));
    let result = work(&mut tx).await;
    let result = tx.settle(result);
    let spoiled = tx.spoiled.take();
    let (wakes, Engine::Postgres(dialogue)) = (tx.wakes, tx.engine) else {
        return Outcome::Done(Err(Error::Closed.into()));
    };
    match result {
        Ok(value) => match dialogue.end().await {
            Ok(()) => {
                wakes.into_iter().for_each(|topic| hub.wake(topic));
                Outcome::Done(Ok(value))
            }
            Err(error) if error.is_transient() => Outcome::Transient(error),
            Err(error) => Outcome::Done(Err(error.into())),
        },
        Err(error) => match spoiled {
            Some(cause) if cause.is_transient() => Outcome::Transient(cause),
            Some(_) | None => Outcome::Done(Err(error)),
        },
    }
}

impl Db {
    /// Runs a script of statements without parameters, in one transaction (migrations only).
    pub(crate) async fn batch(&self, script: String) -> Result<()> {
        match &*self.engine {
            DbEngine::Sqlite(sqlite) => {
                let (reply, answer) = oneshot::channel();
                sqlite.submit(Box::new(move |connection| {
                    let result = connection.map_or(Ok(()), |connection| {
                        in_savepoint(connection, || {
                            connection.execute_batch(&script).map_err(Error::from)
                        })
                    });
                    Box::new(move |committed| {
                        let _ = reply.send(result.and(committed));
                    })
                }))?;
                answer.await.map_err(|_| Error::Closed)?
            }
            DbEngine::Postgres(postgres) => {
                let (reply, answer) = oneshot::channel();
                postgres.submit(Box::new(move |pool| {
                    Box::pin(async move {
                        let _ = reply.send(run_script(&pool, &script).await);
                    })
                }))?;
                answer.await.map_err(|_| Error::Closed)?
            }
        }
    }
}

async fn run_script(pool: &deadpool_postgres::Pool, script: &str) -> Result<()> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(script).await?;
    Ok(transaction.commit().await?)
}
