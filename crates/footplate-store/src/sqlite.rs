//! The SQLite engine: one writer thread with group commit, and readers with connections of their own.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// Use cases that share one durable commit at most.
const GROUP: usize = 64;
/// Reader connections: more than cores help nobody, readers do not wait for the disk's flush.
const READERS: usize = 4;
/// Statements that a connection keeps prepared; more than the program has.
const STATEMENTS: usize = 512;
/// The writer keeps the pages that every commit touches, up to 8 MiB, and moves the log into the file every 16 MiB: pages that change again
/// and again are written there once, and the wait for it is rare.
const WRITER: &str = "PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=4096;";

/// Where reads run. Decided by measurement (`docs/adr/0001-reads-of-sqlite-on-the-callers-thread.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqliteReads {
    /// On threads of their own, so that a slow statement blocks no thread of the async runtime.
    OwnThreads,
    /// On the thread of whoever asks: two hand-overs less, but it stands still meanwhile.
    CallersThread,
}

/// Runs inside the group's transaction, or is told that there is none (`None`); gives back what to do once the fate of the
/// commit is known.
pub(crate) type Job = Box<dyn FnOnce(Option<&Connection>) -> Done + Send>;
pub(crate) type Done = Box<dyn FnOnce(Result<()>) + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;

/// How many use cases were written, by how many durable commits.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) use_cases: AtomicU64,
    pub(crate) commits: AtomicU64,
}

pub(crate) struct Sqlite {
    writer: mpsc::UnboundedSender<Job>,
    pub(crate) reads: SqliteReads,
    readers: Arc<Readers>,
    pub(crate) counts: Arc<Counts>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, reads: SqliteReads) -> Result<Self> {
        let writer = connect(path, false)?;
        writer.execute_batch(WRITER)?;
        let connections = (0..READERS)
            .map(|_| connect(path, true))
            .collect::<Result<Vec<_>>>()?;
        let (sender, queue) = mpsc::unbounded_channel();
        let counts = Arc::<Counts>::default();
        let of_writer = Arc::clone(&counts);
        spawn("sqlite-writer".to_owned(), move || {
            write_loop(&writer, queue, &of_writer);
        })?;
        let readers = Arc::<Readers>::default();
        for (number, connection) in connections.into_iter().enumerate() {
            match reads {
                SqliteReads::CallersThread => readers.lock().idle.push(connection),
                SqliteReads::OwnThreads => {
                    let readers = Arc::clone(&readers);
                    spawn(format!("sqlite-reader-{number}"), move || {
                        while let Some(read) = readers.next() {
                            read(&connection);
                        }
                    })?;
                }
            }
        }
        Ok(Self {
            writer: sender,
            reads,
            readers,
            counts,
        })
    }

    /// Queues a use case for the writer.
    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        self.writer.send(job).map_err(|_| Error::Closed)
    }

    /// Queues a read for the reader threads.
    pub(crate) fn submit_read(&self, read: Read) {
        self.readers.lock().waiting.push_back(read);
        self.readers.changed.notify_one();
    }

    /// Lends a reader connection to the caller's thread.
    pub(crate) fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> T) -> T {
        let mut state = self.readers.lock();
        let connection = loop {
            match state.idle.pop() {
                Some(connection) => break connection,
                None => {
                    state = self
                        .readers
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(state);
        let result = read(&connection);
        self.readers.lock().idle.push(connection);
        self.readers.changed.notify_one();
        result
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.lock().closed = true;
        self.readers.changed.notify_all();
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(name)
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::Engine(error.to_string()))
}

#[derive(Default)]
struct Readers {
    state: Mutex<ReaderState>,
    changed: Condvar,
}

#[derive(Default)]
struct ReaderState {
    waiting: VecDeque<Read>,
    idle: Vec<Connection>,
    closed: bool,
}

impl Readers {
    fn lock(&self) -> std::sync::MutexGuard<'_, ReaderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Read> {
        let mut state = self.lock();
        loop {
            if let Some(read) = state.waiting.pop_front() {
                return Some(read);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn connect(path: &Path, read_only: bool) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on bound values: without this, every other value compiles the statement anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2048; \
         PRAGMA journal_size_limit=67108864;",
    )?;
    if read_only {
        connection.execute_batch("PRAGMA query_only=ON;")?;
    }
    Ok(connection)
}

fn write_loop(connection: &Connection, mut queue: mpsc::UnboundedReceiver<Job>, counts: &Counts) {
    while let Some(first) = queue.blocking_recv() {
        let mut waiting = Vec::new();
        let outcome = run_group(connection, first, &mut queue, &mut waiting);
        if outcome.is_ok() {
            counts.commits.fetch_add(1, Ordering::Relaxed);
            counts
                .use_cases
                .fetch_add(waiting.len() as u64, Ordering::Relaxed);
        }
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
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        waiting.push(first(None));
        return Err(error);
    }
    waiting.push(first(Some(connection)));
    while waiting.len() < GROUP && !connection.is_autocommit() {
        let Ok(job) = queue.try_recv() else { break };
        waiting.push(job(Some(connection)));
    }
    if connection.is_autocommit() {
        // SQLite itself rolled the whole transaction back: disk full, I/O error.
        return Err(Error::Full(
            "the transaction was rolled back by the database".to_owned(),
        ));
    }
    let committed = run(connection, "COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        let _ = run(connection, "ROLLBACK");
    }
    committed
}

/// Runs a word of transaction control, which stays prepared.
fn run(connection: &Connection, word: &str) -> Result<()> {
    Ok(connection.prepare_cached(word)?.execute([]).map(drop)?)
}

/// Runs one use case in its savepoint, so that it alone is rolled back when it fails or panics.
pub(crate) fn in_savepoint<T, E: From<Error>>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    run(connection, "SAVEPOINT use_case")?;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Panicked.into()));
    let end = if result.is_ok() {
        Ok(())
    } else {
        run(connection, "ROLLBACK TO use_case")
    };
    match end.and_then(|()| run(connection, "RELEASE use_case")) {
        Err(error) if result.is_ok() => Err(error.into()),
        Ok(()) | Err(_) => result,
    }
}

/// Runs `work` in one read transaction, so that all its statements see the same state.
pub(crate) fn in_snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> T,
) -> Result<T> {
    run(connection, "BEGIN")?;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(connection)));
    if run(connection, "COMMIT").is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    result.map_err(|_| Error::Panicked)
}

/// The name of the index behind `UNIQUE constraint failed: …`, as PostgreSQL would say it.
pub(crate) fn taken_index(connection: &Connection, message: &str) -> String {
    let cause = message
        .split_once("constraint failed: ")
        .map_or(message, |(_, cause)| cause);
    if let Some(name) = cause
        .strip_prefix("index '")
        .and_then(|name| name.strip_suffix('\''))
    {
        return name.to_owned();
    }
    let columns: Vec<(&str, &str)> = cause
        .split(", ")
        .filter_map(|column| column.split_once('.'))
        .collect();
    let Some((table, _)) = columns.first() else {
        return message.to_owned();
    };
    let wanted: Vec<&str> = columns.iter().map(|(_, column)| *column).collect();
    index_of_columns(connection, table, &wanted.join(","))
        .ok()
        .flatten()
        .unwrap_or_else(|| format!("{table}_pkey"))
}

/// The unique index that was made on exactly these columns; `None` is the primary key.
fn index_of_columns(
    connection: &Connection,
    table: &str,
    columns: &str,
) -> rusqlite::Result<Option<String>> {
    let mut indexes = connection.prepare_cached(
        "SELECT list.name FROM pragma_index_list(?1) list WHERE list.\"unique\" = 1 AND list.origin = 'c' \
         AND (SELECT group_concat(info.name, ',' ORDER BY info.seqno) FROM pragma_index_info(list.name) info) = ?2",
    )?;
    let mut rows = indexes.query([table, columns])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}
