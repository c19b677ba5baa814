//! Projects.

use footplate_model::{Project, ProjectId, Timestamp};

pub use crate::project_lists::{Filter, Order, count, list, list_ids_of_namespace, list_ordered};
use crate::{Result, Row, Tx, sql};

macro_rules! project_columns {
    () => {
        "id, namespace_id, creator_id, name, path, full_path, full_name, description, visibility, default_branch, archived, topics, settings, \
         created_at, updated_at, last_activity_at, deleting"
    };
}
pub(crate) use project_columns;

pub(crate) fn read(row: &Row<'_>) -> Result<Project> {
    let mut c = row.columns();
    Ok(Project {
        id: c.next()?,
        namespace_id: c.next()?,
        creator_id: c.next()?,
        name: c.next()?,
        path: c.next()?,
        full_path: c.next()?,
        full_name: c.next()?,
        description: c.next()?,
        visibility: c.next()?,
        default_branch: c.next()?,
        archived: c.next()?,
        topics: c.json()?,
        settings: c.json()?,
        created_at: c.next()?,
        updated_at: c.next()?,
        last_activity_at: c.next()?,
        deleting: c.next()?,
    })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Inserts a project; `project.id` is not looked at.
pub async fn insert(tx: &mut Tx<'_>, project: &Project) -> Result<Project> {
    tx.query(sql!(concat!(
        "INSERT INTO projects (namespace_id, creator_id, name, path, full_path, full_name, description, visibility, default_branch, topics, settings, \
         created_at, updated_at, last_activity_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12) RETURNING ",
        project_columns!()
    )))
    .bind(project.namespace_id)
    .bind(project.creator_id)
    .bind(&project.name)
    .bind(&project.path)
    .bind(&project.full_path)
    .bind(&project.full_name)
    .bind(&project.description)
    .bind(project.visibility)
    .bind(&project.default_branch)
    .bind(json(&project.topics))
    .bind(json(&project.settings))
    .bind(project.created_at)
    .one("project", read)
    .await
}

/// The project with this id.
pub async fn find(tx: &mut Tx<'_>, id: ProjectId) -> Result<Option<Project>> {
    tx.query(sql!(concat!(
        "SELECT ",
        project_columns!(),
        " FROM projects WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The project with this path, without regard to case.
pub async fn find_by_path(tx: &mut Tx<'_>, path: &str) -> Result<Option<Project>> {
    tx.query(sql!(concat!(
        "SELECT ",
        project_columns!(),
        " FROM projects WHERE lower(full_path) = lower($1)"
    )))
    .bind(path)
    .optional(read)
    .await
}

/// Where a project that was renamed lives now.
pub async fn find_redirect(tx: &mut Tx<'_>, path: &str) -> Result<Option<ProjectId>> {
    tx.query(sql!(
        "SELECT project_id FROM project_redirects WHERE full_path = lower($1)"
    ))
    .bind(path)
    .optional(|row| row.get(0))
    .await
}

/// Several projects; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Project>> {
    tx.query(sql!(concat!(
        "SELECT ",
        project_columns!(),
        " FROM projects WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Changes what may change.
pub async fn update(tx: &mut Tx<'_>, project: &Project, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE projects SET name = $2, full_name = $3, description = $4, visibility = $5, default_branch = $6, archived = $7, topics = $8, settings = $9, \
         path = $10, full_path = $11, updated_at = $12 WHERE id = $1"
    ))
    .bind(project.id)
    .bind(&project.name)
    .bind(&project.full_name)
    .bind(&project.description)
    .bind(project.visibility)
    .bind(&project.default_branch)
    .bind(project.archived)
    .bind(json(&project.topics))
    .bind(json(&project.settings))
    .bind(&project.path)
    .bind(&project.full_path)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Keeps an old path alive.
pub async fn insert_redirect(tx: &mut Tx<'_>, path: &str, project: ProjectId) -> Result<()> {
    tx.query(sql!("INSERT INTO project_redirects (full_path, project_id) VALUES (lower($1), $2) ON CONFLICT (full_path) DO UPDATE SET project_id = excluded.project_id"))
        .bind(path)
        .bind(project)
        .execute()
        .await?;
    Ok(())
}

/// Notes a push or pipeline.
pub async fn touch(tx: &mut Tx<'_>, id: ProjectId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE projects SET last_activity_at = $2 WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The next pipeline number of the project.
pub async fn next_pipeline_iid(tx: &mut Tx<'_>, id: ProjectId) -> Result<i64> {
    tx.query(sql!(
        "UPDATE projects SET pipeline_iid = pipeline_iid + 1 WHERE id = $1 RETURNING pipeline_iid"
    ))
    .bind(id)
    .one("project", |row| row.get(0))
    .await
}

/// The number of the newest pipeline of a project; 0 before the first.
pub async fn last_pipeline_iid(tx: &mut Tx<'_>, id: ProjectId) -> Result<i64> {
    tx.query(sql!("SELECT pipeline_iid FROM projects WHERE id = $1"))
        .bind(id)
        .one("project", |row| row.get(0))
        .await
}

/// Hides a project that is being deleted.
pub async fn mark_deleting(tx: &mut Tx<'_>, id: ProjectId) -> Result<()> {
    tx.query(sql!("UPDATE projects SET deleting = TRUE WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a project with everything in it.
pub async fn delete(tx: &mut Tx<'_>, id: ProjectId) -> Result<()> {
    tx.query(sql!("DELETE FROM projects WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}
