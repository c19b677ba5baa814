//! Background work as rows, leased by compare-and-swap.

use footplate_model::{TaskId, Timestamp};

use crate::{Result, Row, Topic, Tx, sql};

/// A row of background work.
#[derive(Debug, Clone)]
pub struct Task {
    /// Id.
    pub id: TaskId,
    /// What kind.
    pub kind: String,
    /// JSON.
    pub payload: String,
    /// Not before.
    pub run_at: Timestamp,
    /// How often it was begun.
    pub attempts: i64,
}

fn read(row: &Row<'_>) -> Result<Task> {
    let mut c = row.columns();
    Ok(Task {
        id: c.next()?,
        kind: c.next()?,
        payload: c.next()?,
        run_at: c.next()?,
        attempts: c.next()?,
    })
}

/// Writes work down and wakes the workers after the commit.
pub async fn insert(
    tx: &mut Tx<'_>,
    kind: &str,
    payload: &str,
    run_at: Timestamp,
) -> Result<TaskId> {
    tx.wake(Topic::Tasks);
    tx.query(sql!(
        "INSERT INTO tasks (kind, payload, run_at) VALUES ($1, $2, $3) RETURNING id"
    ))
    .bind(kind)
    .bind(payload)
    .bind(run_at)
    .one("task", |row| row.get(0))
    .await
}

/// Leases up to `limit` due tasks until `until`.
pub async fn lease(
    tx: &mut Tx<'_>,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Task>> {
    let due = tx
        .query(sql!(
            "SELECT id, kind, payload, run_at, attempts FROM tasks WHERE run_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) ORDER BY id LIMIT $2"
        ))
        .bind(now)
        .bind(limit)
        .all(read)
        .await?;
    let mut leased = Vec::new();
    for task in due {
        let won = tx
            .query(sql!(
                "UPDATE tasks SET leased_until = $2, attempts = attempts + 1 WHERE id = $1 AND (leased_until IS NULL OR leased_until <= $3)"
            ))
            .bind(task.id)
            .bind(until)
            .bind(now)
            .execute()
            .await?;
        if won == 1 {
            leased.push(task);
        }
    }
    Ok(leased)
}

/// When the next task wants to run.
pub async fn next_run_at(tx: &mut Tx<'_>) -> Result<Option<Timestamp>> {
    let row = tx
        .query(sql!(
            "SELECT MIN(run_at) FROM tasks WHERE leased_until IS NULL"
        ))
        .optional(|row| row.get::<Option<Timestamp>>(0))
        .await?;
    Ok(row.flatten())
}

/// How many tasks are due now.
pub async fn count_due(tx: &mut Tx<'_>, now: Timestamp) -> Result<i64> {
    tx.query(sql!("SELECT COUNT(*) FROM tasks WHERE run_at <= $1"))
        .bind(now)
        .one("count", |row| row.get(0))
        .await
}

/// Done.
pub async fn delete(tx: &mut Tx<'_>, id: TaskId) -> Result<()> {
    tx.query(sql!("DELETE FROM tasks WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Failed; it is tried again at `run_at`.
pub async fn postpone(tx: &mut Tx<'_>, id: TaskId, run_at: Timestamp, error: &str) -> Result<()> {
    tx.query(sql!(
        "UPDATE tasks SET run_at = $2, leased_until = NULL, last_error = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(run_at)
    .bind(error)
    .execute()
    .await?;
    Ok(())
}

/// Forgets all leases: at start, when no other process can hold one.
pub async fn release_all(tx: &mut Tx<'_>) -> Result<u64> {
    tx.query(sql!(
        "UPDATE tasks SET leased_until = NULL WHERE leased_until IS NOT NULL"
    ))
    .execute()
    .await
}
