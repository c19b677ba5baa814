//! Environments, as far as their name, slug and tier.

use footplate_model::{EnvironmentId, ProjectId, Timestamp};

use crate::{Result, Tx, sql};

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
    tx.query(sql!(
        "INSERT INTO environments (project_id, name, slug, tier, state, created_at, updated_at) VALUES ($1, $2, $3, $4, 'available', $5, $5) \
         ON CONFLICT (project_id, name) DO UPDATE SET updated_at = excluded.updated_at RETURNING id, name, slug, tier"
    ))
    .bind(project)
    .bind(name)
    .bind(slug)
    .bind(tier)
    .bind(now)
    .one("environment", |row| Ok(Environment { id: row.get(0)?, name: row.get(1)?, slug: row.get(2)?, tier: row.get(3)? }))
    .await
}

/// The environment with this name.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    project: ProjectId,
    name: &str,
) -> Result<Option<Environment>> {
    tx.query(sql!(
        "SELECT id, name, slug, tier FROM environments WHERE project_id = $1 AND name = $2"
    ))
    .bind(project)
    .bind(name)
    .optional(|row| {
        Ok(Environment {
            id: row.get(0)?,
            name: row.get(1)?,
            slug: row.get(2)?,
            tier: row.get(3)?,
        })
    })
    .await
}
