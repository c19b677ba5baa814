//! The SQLite engine: one writer thread with group commit, and reader connections.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc};

use crate::error::{Error, Result};

/// Use cases that share one durable commit at most.
const GROUP: usize = 64;
/// Reader connections: more than cores help nobody, readers do not wait for the disk's flush.
const READERS: usize = 4;

/// Runs inside the group's transaction; gives back what to do once the commit's fate is known.
type Job = Box<dyn FnOnce(&Connection) -> Done + Send>;
type Done = Box<dyn FnOnce(Result<(), Arc<str>>) + Send>;

pub(crate) struct Sqlite {
    writer: mpsc::UnboundedSender<Job>,
    readers: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let writer = connect(path, false)?;
        let readers = (0..READERS)
            .map(|_| connect(path, true))
            .collect::<Result<Vec<_>>>()?;
        let (sender, queue) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write_loop(&writer, queue))
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self {
            writer: sender,
            readers: Arc::new(Mutex::new(readers)),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        self.writer.send(job).map_err(|_| Error::Closed)
    }

    /// A reader connection; goes back when dropped.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let connection = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Ok(Reader {
            connection,
            pool: Arc::clone(&self.readers),
            _permit: permit,
        })
    }
}

pub(crate) struct Reader {
    connection: Option<Connection>,
    pool: Arc<Mutex<Vec<Connection>>>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Reader {
    /// Runs `work` in one read transaction, so that all its statements see the same state.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Connection) -> T) -> Result<T> {
        let connection = self.connection.as_ref().ok_or(Error::Closed)?;
        connection.execute_batch("BEGIN")?;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(connection)));
        connection.execute_batch("COMMIT")?;
        result.map_err(|_| Error::Panicked)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}

fn connect(path: &Path, read_only: bool) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(PathBuf::from(path), flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096; PRAGMA mmap_size=268435456;",
    )?;
    if read_only {
        connection.execute_batch("PRAGMA query_only=ON;")?;
    }
    Ok(connection)
}

fn write_loop(connection: &Connection, mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut waiting = Vec::new();
        let outcome = run_group(connection, first, &mut queue, &mut waiting);
        let outcome = outcome.map_err(|error| Arc::<str>::from(error.to_string()));
        for done in waiting {
            done(outcome.clone());
        }
    }
}

fn run_group(
    connection: &Connection,
    first: Job,
    queue: &mut mpsc::UnboundedReceiver<Job>,
    waiting: &mut Vec<Done>,
) -> Result<()> {
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    waiting.push(first(connection));
    begun?;
    while waiting.len() < GROUP && !connection.is_autocommit() {
        let Ok(job) = queue.try_recv() else { break };
        waiting.push(job(connection));
    }
    if connection.is_autocommit() {
        // SQLite itself rolled the whole transaction back: disk full, I/O error.
        return Err(Error::Full(
            "the transaction was rolled back by the database".to_owned(),
        ));
    }
    let committed = connection.execute_batch("COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    Ok(committed?)
}

/// Runs one use case in its savepoint; `Err` of the savepoint itself means that the group is lost.
pub(crate) fn in_savepoint<T, E: From<Error>>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if connection.is_autocommit() {
        return Err(Error::Full("no transaction could be begun".to_owned()).into());
    }
    connection
        .execute_batch("SAVEPOINT use_case")
        .map_err(Error::from)?;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Panicked.into()));
    let end = if result.is_ok() {
        "RELEASE use_case"
    } else {
        "ROLLBACK TO use_case; RELEASE use_case"
    };
    match connection.execute_batch(end) {
        Ok(()) => result,
        Err(error) if result.is_ok() => Err(Error::from(error).into()),
        Err(_) => result,
    }
}
