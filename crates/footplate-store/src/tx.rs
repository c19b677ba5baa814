//! One transaction and its statements, as enums over the engines, so that store functions are plain.

use std::rc::Rc;

use crate::{
    dialogue::{Dialogue, Slot},
    error::{Error, Result},
    notify::Topic,
    sqlite,
    value::{Row, Value},
};

/// One SQL text for both engines, or one for each. Written only by the macro [`sql!`](crate::sql).
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
    /// It changes rows that are kept in memory ([`Topic::Facts`]).
    pub facts: bool,
}

/// A statement: `sql!("…")` for both engines, `sql!(sqlite "…", postgres "…")` where they must differ, `sql!(postgres "…")` where SQLite has
/// others for the same.
#[macro_export]
macro_rules! sql {
    ($text:expr) => {
        $crate::Sql {
            sqlite: $crate::sql!(@numbered $text),
            postgres: $text,
            facts: const { $crate::changes_facts($text) },
        }
    };
    (sqlite $sqlite:expr, postgres $postgres:expr) => {
        $crate::Sql {
            sqlite: $crate::sql!(@numbered $sqlite),
            postgres: $postgres,
            facts: const { $crate::changes_facts($postgres) },
        }
    };
    (postgres $postgres:expr) => {
        $crate::Sql {
            sqlite: $crate::ONLY_POSTGRES,
            postgres: $postgres,
            facts: const { $crate::changes_facts($postgres) },
        }
    };
    // SQLite takes `$1` for a name and numbers names as they appear; `?1` is the first parameter wherever it stands.
    (@numbered $text:expr) => {{
        const TEXT: &str = $text;
        const BYTES: [u8; TEXT.len()] = $crate::numbered(TEXT);
        const NUMBERED: &str = match core::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("a statement is UTF-8"),
        };
        NUMBERED
    }};
}

/// What SQLite has instead of a statement for PostgreSQL alone; it refuses it.
#[doc(hidden)]
pub const ONLY_POSTGRES: &str = "this statement is for PostgreSQL alone";

/// The text with `?1` for `$1`, at compile time.
#[doc(hidden)]
pub const fn numbered<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        let parameter = text[at] == b'$' && at + 1 < N && text[at + 1].is_ascii_digit();
        bytes[at] = if parameter { b'?' } else { text[at] };
        at += 1;
    }
    bytes
}

/// Tables whose rows are kept in memory.
const FACTS: [&str; 6] = [
    "users",
    "namespaces",
    "projects",
    "ci_variables",
    "runners",
    "runner_managers",
];
/// Columns that change often and that nobody looks for in memory.
const COUNTERS: [&str; 2] = [" SET contacted_at", " SET pipeline_iid"];

/// Whether a statement changes rows that are kept in memory, at compile time. A new row does not: it was not there to be kept, except
/// for variables and for users, who may be the authors of commits.
#[doc(hidden)]
pub const fn changes_facts(text: &str) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        let rest = text.split_at(at).1;
        let named = if starts(rest, b"UPDATE ") {
            Some(7)
        } else if starts(rest, b"DELETE FROM ")
            || starts(rest, b"INSERT INTO users ")
            || starts(rest, b"INSERT INTO ci_variables ")
        {
            Some(12)
        } else {
            None
        };
        if let Some(skip) = named
            && kept(rest.split_at(skip).1)
        {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether a table that is kept in memory is named here, and more of it changes than a counter.
const fn kept(text: &[u8]) -> bool {
    let mut table = 0;
    while table < FACTS.len() {
        let name = FACTS[table].as_bytes();
        if starts(text, name) {
            let rest = text.split_at(name.len()).1;
            let whole = rest.is_empty() || rest[0] == b' ';
            let mut counter = 0;
            let mut counts = false;
            while counter < COUNTERS.len() {
                counts = counts || starts(rest, COUNTERS[counter].as_bytes());
                counter += 1;
            }
            if whole && !counts {
                return true;
            }
        }
        table += 1;
    }
    false
}

const fn starts(text: &[u8], with: &[u8]) -> bool {
    if text.len() < with.len() {
        return false;
    }
    let mut at = 0;
    while at < with.len() {
        if text[at] != with[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A transaction. Store functions take it; only the seam makes one.
pub struct Tx<'a> {
    pub(crate) engine: Engine<'a>,
    pub(crate) wakes: Vec<Topic>,
    /// The first refusal of the engine. From then on the transaction can only be rolled back: PostgreSQL insists on it and
    /// answers a commit with a silent rollback, so that SQLite is held to the same.
    pub(crate) spoiled: Option<Error>,
    /// The last statement has been run.
    ended: bool,
}

pub(crate) enum Engine<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(Dialogue<'a>),
}

impl<'a> Tx<'a> {
    pub(crate) fn new(engine: Engine<'a>) -> Self {
        Self {
            engine,
            wakes: Vec::new(),
            spoiled: None,
            ended: false,
        }
    }

    /// Whether this is PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Begins a statement.
    pub fn query<'t>(&'t mut self, sql: Sql) -> Query<'t, 'a> {
        if sql.facts {
            self.wake(Topic::Facts);
        }
        Query {
            tx: self,
            sql,
            binds: Vec::new(),
        }
    }

    /// Wakes those who wait for the topic, after the commit is durable.
    pub fn wake(&mut self, topic: Topic) {
        if !self.wakes.contains(&topic) {
            self.wakes.push(topic);
        }
    }
}

/// A statement with its bound values.
pub struct Query<'t, 'a> {
    tx: &'t mut Tx<'a>,
    sql: Sql,
    binds: Vec<Value>,
}

impl Query<'_, '_> {
    /// Binds the next parameter, `$1` first.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.binds.push(value.into());
        self
    }

    /// Runs it; the number of rows it changed.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn execute(self) -> Result<u64> {
        self.tx.check()?;
        let result = run_execute(&self.tx.engine, self.sql, &self.binds).await;
        self.tx.note(result)
    }

    /// All rows.
    ///
    /// # Errors
    /// Those of the engine and of `read`.
    pub async fn all<T>(self, read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        self.tx.check()?;
        let result = run_query(&self.tx.engine, self.sql, &self.binds, read).await;
        self.tx.note(result)
    }

    /// All rows of the last statement of a transaction: PostgreSQL commits with it, and gets it alone where there was nothing before.
    /// Any other statement is refused afterwards.
    ///
    /// # Errors
    /// Those of the engine and of `read`.
    pub async fn last<T>(self, mut read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        self.tx.check()?;
        let result = match &self.tx.engine {
            Engine::Sqlite(connection) => sqlite_query(connection, self.sql, &self.binds, read),
            Engine::Postgres(dialogue) => {
                match dialogue.query_and_end(self.sql.postgres, &self.binds).await {
                    Ok(rows) => rows.iter().map(|row| read(&Row::Postgres(row))).collect(),
                    Err(error) => Err(error),
                }
            }
        };
        self.tx.ended = true;
        self.tx.note(result)
    }

    /// Runs it without waiting for its end: PostgreSQL gets it together with the next statement that somebody waits for, or with the
    /// commit, and a refusal is the refusal of that one. For what changes rows and can only be refused where something is broken.
    ///
    /// # Errors
    /// Those of SQLite, which runs it at once.
    pub fn later(self) -> Result<()> {
        self.tx.check()?;
        let result = match &self.tx.engine {
            Engine::Sqlite(connection) => {
                sqlite_execute(connection, self.sql, &self.binds).map(drop)
            }
            Engine::Postgres(dialogue) => {
                dialogue.leave(self.sql.postgres, self.binds, None);
                Ok(())
            }
        };
        self.tx.note(result)
    }

    /// Asks for all rows without waiting for them, as [`Query::later`]; [`Asked::all`] has them.
    ///
    /// # Errors
    /// Those of SQLite, which runs it at once.
    pub fn ask<T: 'static>(
        self,
        read: impl FnMut(&Row<'_>) -> Result<T> + 'static,
    ) -> Result<Asked<T>> {
        self.tx.check()?;
        let result = match &self.tx.engine {
            Engine::Sqlite(connection) => {
                sqlite_query(connection, self.sql, &self.binds, read).map(Place::Here)
            }
            Engine::Postgres(dialogue) => {
                let slot = Slot::default();
                dialogue.leave(self.sql.postgres, self.binds, Some(Rc::clone(&slot)));
                Ok(Place::Coming(slot, Box::new(read)))
            }
        };
        self.tx.note(result).map(Asked)
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// Those of the engine and of `read`.
    pub async fn optional<T>(self, read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Option<T>> {
        Ok(self.all(read).await?.into_iter().next())
    }

    /// The first row, which must be there; `what` names it.
    ///
    /// # Errors
    /// [`Error::NotFound`], those of the engine and of `read`.
    pub async fn one<T>(
        self,
        what: &'static str,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.optional(read).await?.ok_or(Error::NotFound(what))
    }
}

impl Tx<'_> {
    fn check(&self) -> Result<()> {
        match &self.spoiled {
            Some(error) => Err(error.clone()),
            None if self.ended => Err(Error::Closed),
            None => Ok(()),
        }
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let error = match (&self.engine, error) {
                (Engine::Sqlite(connection), Error::Taken(message)) => {
                    Error::Taken(sqlite::taken_index(connection, &message))
                }
                (_, error) => error,
            };
            if error.spoils_transaction() {
                self.spoiled = Some(error.clone());
            }
            error
        })
    }

    /// What becomes of the transaction: its result, unless a statement was refused and the use case went on as if nothing were.
    pub(crate) fn settle<T, E: From<Error>>(&self, result: Result<T, E>) -> Result<T, E> {
        match (&self.spoiled, result) {
            (Some(error), Ok(_)) => Err(error.clone().into()),
            (_, result) => result,
        }
    }
}

/// Rows that were asked for ([`Query::ask`]).
pub struct Asked<T>(Place<T>);

enum Place<T> {
    Here(Vec<T>),
    /// They come with the next answer of PostgreSQL.
    Coming(Slot, Box<ReadRow<T>>),
}

type ReadRow<T> = dyn FnMut(&Row<'_>) -> Result<T>;

impl<T> Asked<T> {
    /// All rows, of the transaction in which they were asked for.
    ///
    /// # Errors
    /// Those of the engine and of reading them.
    pub async fn all(self, tx: &mut Tx<'_>) -> Result<Vec<T>> {
        let (slot, mut read) = match self.0 {
            Place::Here(rows) => return Ok(rows),
            Place::Coming(slot, read) => (slot, read),
        };
        tx.check()?;
        if let (None, Engine::Postgres(dialogue)) = (slot.get(), &tx.engine) {
            let sent = dialogue.flush().await;
            tx.note(sent)?;
        }
        let rows = slot.get().into_iter().flatten();
        rows.map(|row| read(&Row::Postgres(row))).collect()
    }
}

async fn run_execute(engine: &Engine<'_>, sql: Sql, binds: &[Value]) -> Result<u64> {
    match engine {
        Engine::Sqlite(connection) => sqlite_execute(connection, sql, binds),
        Engine::Postgres(dialogue) => dialogue.execute(sql.postgres, binds).await,
    }
}

async fn run_query<T>(
    engine: &Engine<'_>,
    sql: Sql,
    binds: &[Value],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    match engine {
        Engine::Sqlite(connection) => sqlite_query(connection, sql, binds, read),
        Engine::Postgres(dialogue) => {
            let rows = dialogue.query(sql.postgres, binds).await?;
            rows.iter().map(|row| read(&Row::Postgres(row))).collect()
        }
    }
}

fn sqlite_execute(connection: &rusqlite::Connection, sql: Sql, binds: &[Value]) -> Result<u64> {
    let mut statement = connection.prepare_cached(sql.sqlite)?;
    Ok(statement.execute(rusqlite::params_from_iter(binds))? as u64)
}

fn sqlite_query<T>(
    connection: &rusqlite::Connection,
    sql: Sql,
    binds: &[Value],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql.sqlite)?;
    let mut rows = statement.query(rusqlite::params_from_iter(binds))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(&Row::Sqlite(row))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::changes_facts;

    #[test]
    fn knows_what_changes_rows_that_are_kept_in_memory() {
        for text in [
            "UPDATE users SET state = $2 WHERE id = $1",
            "DELETE FROM ci_variables WHERE id = $1",
            "INSERT INTO ci_variables (key) VALUES ($1)",
            "DELETE FROM projects",
            "UPDATE runners SET token_hash = $2, short_token = $3 WHERE id = $1",
            "DELETE FROM runner_managers WHERE runner_id = $1",
        ] {
            assert!(changes_facts(text), "{text}");
        }
        for text in [
            "SELECT id FROM users",
            "UPDATE runners SET contacted_at = $2, polled = (polled OR $3) WHERE id = $1",
            "UPDATE projects SET pipeline_iid = pipeline_iid + 1 WHERE id = $1",
            "UPDATE jobs SET status = $1",
            "INSERT INTO runner_projects (runner_id) VALUES ($1)",
            "UPDATE runners_of_old SET a = 1",
        ] {
            assert!(!changes_facts(text), "{text}");
        }
    }
}
