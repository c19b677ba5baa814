//! Environments, as far as their name, slug and tier.

use footplate_model::{EnvironmentId, ProjectId, Timestamp};

use crate::{Result, Row, Tx, sql, users::like};

/// An environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Id.
    pub id: EnvironmentId,
    /// Name.
    pub name: String,
    /// Slug.
    pub slug: String,
    /// Tier.
    pub tier: String,
    /// `available`, `stopping` or `stopped`.
    pub state: String,
    /// URL of the last deployment.
    pub external_url: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, name, slug, tier, state, external_url, created_at, updated_at"
    };
}

fn read(row: &Row<'_>) -> Result<Environment> {
    let mut c = row.columns();
    Ok(Environment {
        id: c.next()?,
        name: c.next()?,
        slug: c.next()?,
        tier: c.next()?,
        state: c.next()?,
        external_url: c.next()?,
        created_at: c.next()?,
        updated_at: c.next()?,
    })
}

/// Makes sure that an environment exists; gives it back.
pub async fn ensure(
    tx: &mut Tx<'_>,
    project: ProjectId,
    name: &str,
    slug: &str,
    tier: &str,
    now: Timestamp,
) -> Result<Environment> {
    tx.query(sql!(concat!(
        "INSERT INTO environments (project_id, name, slug, tier, state, created_at, updated_at) VALUES ($1, $2, $3, $4, 'available', $5, $5) \
         ON CONFLICT (project_id, name) DO UPDATE SET updated_at = excluded.updated_at RETURNING ",
        columns!()
    )))
    .bind(project)
    .bind(name)
    .bind(slug)
    .bind(tier)
    .bind(now)
    .one("environment", read)
    .await
}

/// The environment with this name.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    project: ProjectId,
    name: &str,
) -> Result<Option<Environment>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM environments WHERE project_id = $1 AND name = $2"
    )))
    .bind(project)
    .bind(name)
    .optional(read)
    .await
}

/// The environment with this id.
pub async fn find(
    tx: &mut Tx<'_>,
    project: ProjectId,
    id: EnvironmentId,
) -> Result<Option<Environment>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM environments WHERE project_id = $1 AND id = $2"
    )))
    .bind(project)
    .bind(id)
    .optional(read)
    .await
}

/// A page of a project's environments by name; `search` looks into names, empty = all, `state` `None` = all.
pub async fn list(
    tx: &mut Tx<'_>,
    project: ProjectId,
    search: &str,
    state: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Environment>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM environments WHERE project_id = $1 AND ($2 = '' OR lower(name) LIKE $3 ESCAPE '\\') AND (CAST($4 AS TEXT) IS NULL OR state = $4) \
         ORDER BY name LIMIT $5 OFFSET $6"
    )))
    .bind(project)
    .bind(search)
    .bind(like(search))
    .bind(state)
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// How many environments that search finds.
pub async fn count(
    tx: &mut Tx<'_>,
    project: ProjectId,
    search: &str,
    state: Option<&str>,
) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM environments WHERE project_id = $1 AND ($2 = '' OR lower(name) LIKE $3 ESCAPE '\\') AND (CAST($4 AS TEXT) IS NULL OR state = $4)"
    ))
    .bind(project)
    .bind(search)
    .bind(like(search))
    .bind(state)
    .one("count", |row| row.get(0))
    .await
}

/// Writes tier, state and URL.
pub async fn update(tx: &mut Tx<'_>, changed: &Environment, now: Timestamp) -> Result<()> {
    tx.query(sql!("UPDATE environments SET tier = $2, state = $3, external_url = $4, updated_at = $5 WHERE id = $1"))
        .bind(changed.id)
        .bind(&changed.tier)
        .bind(&changed.state)
        .bind(&changed.external_url)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Deletes an environment.
pub async fn delete(tx: &mut Tx<'_>, id: EnvironmentId) -> Result<()> {
    tx.query(sql!("DELETE FROM environments WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}
