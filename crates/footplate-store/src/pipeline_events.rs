//! The event log of a pipeline: what was decided, in order (DESIGN §6). It replays to the same rows.

use footplate_model::{PipelineId, Timestamp};

use crate::{Result, Tx, sql};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Position in the pipeline, from 1.
    pub position: i64,
    /// When.
    pub recorded_at: Timestamp,
    /// The event, compact text of the engine.
    pub event: String,
}

/// Adds an entry; the pipeline is locked by the same transaction, so that no position is taken twice.
pub async fn append(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    event: &str,
    now: Timestamp,
) -> Result<i64> {
    tx.query(sql!(
        "INSERT INTO pipeline_events (pipeline_id, position, recorded_at, event) \
         VALUES ($1, (SELECT COALESCE(MAX(position), 0) + 1 FROM pipeline_events WHERE pipeline_id = $1), $2, $3) RETURNING position"
    ))
    .bind(pipeline)
    .bind(now)
    .bind(event)
    .one("pipeline event", |row| row.get(0))
    .await
}

/// A page of the log: entries after a position, 0 = from the beginning.
pub async fn list(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    after: i64,
    limit: i64,
) -> Result<Vec<Recorded>> {
    tx.query(sql!(
        "SELECT position, recorded_at, event FROM pipeline_events WHERE pipeline_id = $1 AND position > $2 ORDER BY position LIMIT $3"
    ))
    .bind(pipeline)
    .bind(after)
    .bind(limit)
    .all(|row| {
        Ok(Recorded {
            position: row.get(0)?,
            recorded_at: row.get(1)?,
            event: row.get(2)?,
        })
    })
    .await
}
