//! The seam: `Db::read` and `Db::write` run an async closure in one transaction on either engine (DESIGN §4).

use std::{
    future::Future,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::sync::oneshot;

use crate::{
    error::{Error, Result},
    migrate,
    notify::{Hub, Subscription, Topic},
    postgres::Postgres,
    sqlite::{Sqlite, in_savepoint},
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
        let db = Self {
            engine: Arc::new(DbEngine::Sqlite(Sqlite::open(path)?)),
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

    /// Wakes those who wait for something that is not in a row, such as a trace's new bytes.
    pub fn wake(&self, topic: Topic) {
        self.hub.wake(topic);
    }

    /// Runs statements that change nothing; all see the same state.
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
            DbEngine::Sqlite(sqlite) => {
                let reader = sqlite.reader().await?;
                reader.run(|connection| ready(work(&mut Tx::new(Engine::Sqlite(connection)))))?
            }
            DbEngine::Postgres(postgres) => on_postgres(postgres, self.hub.clone(), work).await,
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
            DbEngine::Sqlite(sqlite) => on_sqlite(sqlite, self.hub.clone(), work).await,
            DbEngine::Postgres(postgres) => on_postgres(postgres, self.hub.clone(), work).await,
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

async fn on_sqlite<T, E, F>(sqlite: &Sqlite, hub: Hub, work: F) -> Result<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    sqlite.submit(Box::new(move |connection| {
        let mut wakes = Vec::new();
        let result = in_savepoint(connection, || {
            let mut tx = Tx::new(Engine::Sqlite(connection));
            let result = ready(work(&mut tx));
            wakes = tx.wakes;
            result
        });
        Box::new(move |committed| {
            let result = match committed {
                Ok(()) => result,
                Err(message) if result.is_ok() => Err(Error::Full(message.to_string()).into()),
                Err(_) => result,
            };
            if result.is_ok() {
                wakes.into_iter().for_each(|topic| hub.wake(topic));
            }
            let _ = reply.send(result);
        })
    }))?;
    answer.await.map_err(|_| Error::Closed)?
}

async fn on_postgres<T, E, F>(postgres: &Postgres, hub: Hub, work: F) -> Result<T, E>
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
                match once(&pool, &hub, &work).await {
                    Outcome::Done(result) => break result,
                    Outcome::Transient(error) if tries >= TRIES => break Err(error.into()),
                    Outcome::Transient(_) => {
                        tokio::time::sleep(std::time::Duration::from_millis(u64::from(tries) * 3))
                            .await;
                    }
                }
            };
            let _ = reply.send(result);
        })
    }))?;
    answer.await.map_err(|_| Error::Panicked)?
}

enum Outcome<T, E> {
    Done(Result<T, E>),
    Transient(Error),
}

async fn once<T, E, F>(pool: &deadpool_postgres::Pool, hub: &Hub, work: &F) -> Outcome<T, E>
where
    F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<T, E>,
    E: From<Error>,
{
    let mut client = match pool.get().await {
        Ok(client) => client,
        Err(error) => return Outcome::Done(Err(Error::from(error).into())),
    };
    let transaction = match client.transaction().await {
        Ok(transaction) => transaction,
        Err(error) => return Outcome::Done(Err(Error::from(error).into())),
    };
    let mut tx = Tx::new(Engine::Postgres(transaction));
    let result = work(&mut tx).await;
    let transient = std::mem::take(&mut tx.transient);
    let (wakes, Engine::Postgres(transaction)) = (tx.wakes, tx.engine) else {
        return Outcome::Done(Err(Error::Closed.into()));
    };
    match result {
        Ok(value) => match transaction.commit().await.map_err(Error::from) {
            Ok(()) => {
                wakes.into_iter().for_each(|topic| hub.wake(topic));
                Outcome::Done(Ok(value))
            }
            Err(error) if error.is_transient() => Outcome::Transient(error),
            Err(error) => Outcome::Done(Err(error.into())),
        },
        Err(error) => {
            let _ = transaction.rollback().await;
            match transient {
                Some(message) => Outcome::Transient(Error::Busy(message)),
                None => Outcome::Done(Err(error)),
            }
        }
    }
}

impl Db {
    /// Runs a script of statements without parameters, in one transaction (migrations only).
    pub(crate) async fn batch(&self, script: String) -> Result<()> {
        match &*self.engine {
            DbEngine::Sqlite(sqlite) => {
                let (reply, answer) = oneshot::channel();
                sqlite.submit(Box::new(move |connection| {
                    let result = in_savepoint(connection, || {
                        connection.execute_batch(&script).map_err(Error::from)
                    });
                    Box::new(move |committed| {
                        let _ = reply.send(
                            committed
                                .map_err(|message| Error::Engine(message.to_string()))
                                .and(result),
                        );
                    })
                }))?;
                answer.await.map_err(|_| Error::Closed)?
            }
            DbEngine::Postgres(postgres) => {
                let mut client = postgres.pool().get().await?;
                let transaction = client.transaction().await?;
                transaction.batch_execute(&script).await?;
                Ok(transaction.commit().await?)
            }
        }
    }
}
