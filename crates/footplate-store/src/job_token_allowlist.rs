//! Which projects' and groups' job tokens may reach a project (`rest-api.md §10.3`). The project itself is always allowed and has no row.

use footplate_model::{NamespaceId, ProjectId};

use crate::{Result, Tx, sql};

/// Adds a project; `false` when it is on the list.
pub async fn insert_project(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target: ProjectId,
) -> Result<bool> {
    insert(tx, project, target.0, 0).await
}

/// Adds a group with everything below it; `false` when it is on the list.
pub async fn insert_group(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target: NamespaceId,
) -> Result<bool> {
    insert(tx, project, 0, target.0).await
}

async fn insert(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target_project: i64,
    target_group: i64,
) -> Result<bool> {
    Ok(tx
        .query(sql!(
            "INSERT INTO job_token_allowlist (project_id, target_project_id, target_group_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        ))
        .bind(project)
        .bind(target_project)
        .bind(target_group)
        .execute()
        .await?
        == 1)
}

/// Removes a project; whether it was on the list.
pub async fn delete_project(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target: ProjectId,
) -> Result<bool> {
    delete(tx, project, target.0, 0).await
}

/// Removes a group; whether it was on the list.
pub async fn delete_group(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target: NamespaceId,
) -> Result<bool> {
    delete(tx, project, 0, target.0).await
}

async fn delete(
    tx: &mut Tx<'_>,
    project: ProjectId,
    target_project: i64,
    target_group: i64,
) -> Result<bool> {
    Ok(tx
        .query(sql!(
            "DELETE FROM job_token_allowlist WHERE project_id = $1 AND target_project_id = $2 AND target_group_id = $3"
        ))
        .bind(project)
        .bind(target_project)
        .bind(target_group)
        .execute()
        .await?
        == 1)
}

/// The projects on the list, at most 200.
pub async fn list_projects(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<ProjectId>> {
    tx.query(sql!(
        "SELECT a.target_project_id FROM job_token_allowlist a JOIN projects p ON p.id = a.target_project_id WHERE a.project_id = $1 AND p.deleting = FALSE \
         ORDER BY a.target_project_id"
    ))
    .bind(project)
    .all(|row| row.get(0))
    .await
}

/// The groups on the list, at most 200.
pub async fn list_groups(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<NamespaceId>> {
    tx.query(sql!(
        "SELECT a.target_group_id FROM job_token_allowlist a JOIN namespaces n ON n.id = a.target_group_id WHERE a.project_id = $1 \
         ORDER BY a.target_group_id"
    ))
    .bind(project)
    .all(|row| row.get(0))
    .await
}

/// Whether a job token of `from` may reach `to`: the project itself, one on the list, or one inside a group on the list.
pub async fn allows(tx: &mut Tx<'_>, to: ProjectId, from: ProjectId) -> Result<bool> {
    if to == from {
        return Ok(true);
    }
    let found = tx
        .query(sql!(
            "WITH RECURSIVE around (id, parent_id) AS (SELECT n.id, n.parent_id FROM namespaces n JOIN projects p ON p.namespace_id = n.id WHERE p.id = $2 \
               UNION ALL SELECT n.id, n.parent_id FROM namespaces n JOIN around a ON n.id = a.parent_id) \
             SELECT project_id FROM job_token_allowlist WHERE project_id = $1 AND (target_project_id = $2 OR target_group_id IN (SELECT id FROM around)) LIMIT 1"
        ))
        .bind(to)
        .bind(from)
        .optional(|row| row.get::<ProjectId>(0))
        .await?;
    Ok(found.is_some())
}
