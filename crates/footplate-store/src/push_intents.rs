//! Recorded pushes whose pipelines are not all made yet (DESIGN §3, third walkthrough).

use footplate_model::{ProjectId, PushIntentId, Timestamp, UserId};

use crate::{Result, Row, Tx, sql};

/// A recorded push.
#[derive(Debug, Clone)]
pub struct PushIntent {
    /// Id.
    pub id: PushIntentId,
    /// The project.
    pub project_id: ProjectId,
    /// Who pushed.
    pub user_id: UserId,
    /// Ref updates as JSON.
    pub updates: String,
    /// Push options as a JSON list.
    pub options: String,
    /// When.
    pub created_at: Timestamp,
}

fn read(row: &Row<'_>) -> Result<PushIntent> {
    let mut c = row.columns();
    Ok(PushIntent {
        id: c.next()?,
        project_id: c.next()?,
        user_id: c.next()?,
        updates: c.next()?,
        options: c.next()?,
        created_at: c.next()?,
    })
}

/// Writes a push down before git moves a ref.
pub async fn insert(
    tx: &mut Tx<'_>,
    project: ProjectId,
    user: UserId,
    updates: &str,
    options: &str,
    now: Timestamp,
) -> Result<PushIntentId> {
    tx.query(sql!("INSERT INTO push_intents (project_id, user_id, updates, options, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id"))
        .bind(project)
        .bind(user)
        .bind(updates)
        .bind(options)
        .bind(now)
        .one("push intent", |row| row.get(0))
        .await
}

/// One that is still open.
pub async fn find(tx: &mut Tx<'_>, id: PushIntentId) -> Result<Option<PushIntent>> {
    tx.query(sql!("SELECT id, project_id, user_id, updates, options, created_at FROM push_intents WHERE id = $1")).bind(id).optional(read).await
}

/// All that are still open.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<PushIntent>> {
    tx.query(sql!(
        "SELECT id, project_id, user_id, updates, options, created_at FROM push_intents ORDER BY id"
    ))
    .all(read)
    .await
}

/// Resolved.
pub async fn delete(tx: &mut Tx<'_>, id: PushIntentId) -> Result<()> {
    tx.query(sql!("DELETE FROM push_intents WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}
