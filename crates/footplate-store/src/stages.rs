//! Stages of pipelines.

use footplate_model::{PipelineId, Stage, Status};

use crate::{Result, Row, Tx, sql};

fn read(row: &Row<'_>) -> Result<Stage> {
    let mut c = row.columns();
    Ok(Stage {
        id: c.next()?,
        pipeline_id: c.next()?,
        position: c.next()?,
        name: c.next()?,
        status: c.next()?,
    })
}

/// Inserts a stage.
pub async fn insert(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    position: i64,
    name: &str,
    status: Status,
) -> Result<()> {
    tx.query(sql!(
        "INSERT INTO stages (pipeline_id, position, name, status) VALUES ($1, $2, $3, $4)"
    ))
    .bind(pipeline)
    .bind(position)
    .bind(name)
    .bind(status)
    .execute()
    .await?;
    Ok(())
}

/// The stages of a pipeline in order.
pub async fn list(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<Stage>> {
    tx.query(sql!("SELECT id, pipeline_id, position, name, status FROM stages WHERE pipeline_id = $1 ORDER BY position")).bind(pipeline).all(read).await
}

/// Writes the status of a stage.
pub fn set_status(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    position: i64,
    status: Status,
) -> Result<()> {
    tx.query(sql!(
        "UPDATE stages SET status = $3 WHERE pipeline_id = $1 AND position = $2"
    ))
    .bind(pipeline)
    .bind(position)
    .bind(status)
    .later()
}
