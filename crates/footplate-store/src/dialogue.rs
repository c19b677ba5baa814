//! A transaction on PostgreSQL, as a dialogue with the server. What nobody waits for is sent together with what somebody does: a way
//! there and back costs as much as a short statement.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use deadpool_postgres::Client;
use tokio_postgres::{Row, error::SqlState, types::ToSql};

use crate::{
    error::{Error, Result},
    value::Value,
};

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One state for all statements, and nothing is changed.
    Read,
    /// Each statement sees what was committed before it, so that what is locked by writing is read afresh afterwards.
    Write,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Self::Read => "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Self::Write => "START TRANSACTION ISOLATION LEVEL READ COMMITTED",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server does not know of it yet.
    New,
    Open,
    Ended,
}

/// Rows that come with the next answer.
pub(crate) type Slot = Rc<OnceCell<Vec<Row>>>;

/// A statement that is not sent yet.
struct Unsent {
    sql: &'static str,
    binds: Vec<Value>,
    rows: Option<Slot>,
}

/// A transaction; one that is dropped before its end is rolled back.
pub(crate) struct Dialogue<'c> {
    client: &'c Client,
    mode: Mode,
    state: Cell<State>,
    unsent: RefCell<Vec<Unsent>>,
}

/// What the server says to one statement.
enum Answer {
    Done,
    Changed(u64),
    Rows(Vec<Row>),
}

type Sent<'s> = Pin<Box<dyn Future<Output = Result<Answer, tokio_postgres::Error>> + 's>>;

impl<'c> Dialogue<'c> {
    pub(crate) fn new(client: &'c Client, mode: Mode) -> Self {
        Self {
            client,
            mode,
            state: Cell::new(State::New),
            unsent: RefCell::default(),
        }
    }

    /// Leaves a statement to be sent with the next one that somebody waits for, or with the commit.
    pub(crate) fn leave(&self, sql: &'static str, binds: Vec<Value>, rows: Option<Slot>) {
        self.unsent.borrow_mut().push(Unsent { sql, binds, rows });
    }

    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn execute(&self, sql: &'static str, binds: &[Value]) -> Result<u64> {
        match self.say(Some((sql, binds, false)), None).await? {
            Answer::Changed(count) => Ok(count),
            Answer::Done | Answer::Rows(_) => Ok(0),
        }
    }

    /// Runs a statement; its rows.
    pub(crate) async fn query(&self, sql: &'static str, binds: &[Value]) -> Result<Vec<Row>> {
        match self.say(Some((sql, binds, true)), None).await? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Done | Answer::Changed(_) => Ok(Vec::new()),
        }
    }

    /// Runs the last statement and ends the transaction with it; its rows. What was written is durable afterwards. Where nothing was said
    /// before, the statement is a transaction by itself.
    pub(crate) async fn query_and_end(
        &self,
        sql: &'static str,
        binds: &[Value],
    ) -> Result<Vec<Row>> {
        let alone = self.state.get() == State::New && self.unsent.borrow().is_empty();
        let answer = if alone {
            let statement = self.prepare(sql).await?;
            match self.statement(&statement, binds, true).await {
                Ok(answer) => answer,
                // The server refused it as it went down. Where the connection just ends, nobody knows what became of it.
                Err(error) if goes_down(&error) => return Err(Error::Busy(error.to_string())),
                Err(error) => return Err(error.into()),
            }
        } else {
            self.say(Some((sql, binds, true)), Some("COMMIT")).await?
        };
        self.state.set(State::Ended);
        match answer {
            Answer::Rows(rows) => Ok(rows),
            Answer::Done | Answer::Changed(_) => Ok(Vec::new()),
        }
    }

    /// Sends what was left.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.say(None, None).await.map(drop)
    }

    /// Ends it well: what was written is durable afterwards. Nobody waits for the end of one that only reads.
    pub(crate) async fn end(self) -> Result<()> {
        if self.mode == Mode::Read {
            self.hang_up("COMMIT");
        } else if self.state.get() == State::Open || !self.unsent.borrow().is_empty() {
            self.say(None, Some("COMMIT")).await?;
            self.state.set(State::Ended);
        }
        Ok(())
    }

    /// Sends what was left, then a statement, then a word; the answer to the statement. The first refusal counts, since the server
    /// refuses everything after it.
    async fn say(
        &self,
        statement: Option<(&'static str, &[Value], bool)>,
        word: Option<&'static str>,
    ) -> Result<Answer> {
        let left = self.unsent.take();
        // Whatever the server does not know yet is prepared before: the order of what follows is the order of the first polls.
        let mut prepared = Vec::with_capacity(left.len());
        for unsent in &left {
            prepared.push(self.prepare(unsent.sql).await?);
        }
        let last = match statement {
            Some((sql, binds, rows)) => Some((self.prepare(sql).await?, binds, rows)),
            None => None,
        };
        let began = self.state.get() == State::New;
        let mut sent: Vec<Sent<'_>> = Vec::with_capacity(left.len() + 3);
        if began {
            sent.push(self.script(self.mode.begin()));
        }
        for (unsent, statement) in left.iter().zip(&prepared) {
            sent.push(self.statement(statement, &unsent.binds, unsent.rows.is_some()));
        }
        if let Some((statement, binds, rows)) = &last {
            sent.push(self.statement(statement, binds, *rows));
        }
        if let Some(word) = word {
            sent.push(self.script(word));
        }
        self.state.set(State::Open);
        let answers = match in_order(sent).await {
            Ok(answers) => answers,
            // Nothing has been committed: it may run again on another connection.
            Err(error) if word.is_none() && lost(&error) => {
                return Err(Error::Busy(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut answers = answers.into_iter().skip(usize::from(began));
        for (unsent, answer) in left.iter().zip(&mut answers) {
            if let (Some(slot), Answer::Rows(rows)) = (&unsent.rows, answer) {
                let _ = slot.set(rows);
            }
        }
        Ok(answers.next().unwrap_or(Answer::Done))
    }

    async fn prepare(&self, sql: &'static str) -> Result<tokio_postgres::Statement> {
        let prepared = self.client.prepare_cached(sql).await;
        prepared.map_err(|error| match lost(&error) {
            true => Error::Busy(error.to_string()),
            false => error.into(),
        })
    }

    fn script(&self, text: &'static str) -> Sent<'_> {
        Box::pin(async move {
            self.client.batch_execute(text).await?;
            Ok(Answer::Done)
        })
    }

    fn statement<'s>(
        &'s self,
        statement: &'s tokio_postgres::Statement,
        binds: &'s [Value],
        rows: bool,
    ) -> Sent<'s> {
        Box::pin(async move {
            let binds: Vec<&(dyn ToSql + Sync)> = binds.iter().map(|value| value as _).collect();
            Ok(if rows {
                Answer::Rows(self.client.query(statement, &binds).await?)
            } else {
                Answer::Changed(self.client.execute(statement, &binds).await?)
            })
        })
    }

    /// Sends a last word and does not wait for the answer. Whoever gets the connection next is answered after it.
    fn hang_up(&self, word: &'static str) {
        if self.state.replace(State::Ended) == State::Open {
            let _ =
                pin!(self.client.batch_execute(word)).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Drop for Dialogue<'_> {
    fn drop(&mut self) {
        self.hang_up("ROLLBACK");
    }
}

/// Whether the server has closed the connection, as it does when it is restarted.
fn lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || goes_down(error)
}

/// Whether the server refuses because it goes down, or ends this connection.
fn goes_down(error: &tokio_postgres::Error) -> bool {
    let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
    error.code().is_some_and(|code| ends.contains(code))
}

/// Waits for all; the first error. Each is polled first in its turn, which is when it is sent. What cannot even be sent, because a
/// value does not fit its parameter, keeps everything after it from being sent: a commit above all.
async fn in_order(mut futures: Vec<Sent<'_>>) -> Result<Vec<Answer>, tokio_postgres::Error> {
    let mut answers: Vec<Option<Result<Answer, tokio_postgres::Error>>> =
        Vec::with_capacity(futures.len());
    poll_fn(|context| {
        let (mut open, mut end) = (false, futures.len());
        for (place, future) in futures.iter_mut().enumerate() {
            if place == answers.len() {
                answers.push(None);
            }
            if answers[place].is_some() {
                continue;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    let unsendable = answer.is_err() && place + 1 == answers.len();
                    answers[place] = Some(answer);
                    if unsendable {
                        end = place + 1;
                        break;
                    }
                }
                Poll::Pending => open = true,
            }
        }
        futures.truncate(end);
        if open { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}
