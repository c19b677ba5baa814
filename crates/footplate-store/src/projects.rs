//! Projects.

use footplate_model::{NamespaceId, Project, ProjectId, Timestamp, UserId};

use crate::{Result, Row, Tx, sql, users::like};

macro_rules! columns {
    () => {
        "id, namespace_id, creator_id, name, path, full_path, full_name, description, visibility, default_branch, archived, topics, settings, \
         created_at, updated_at, last_activity_at, deleting"
    };
}

fn read(row: &Row<'_>) -> Result<Project> {
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
        columns!()
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
        columns!(),
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
        columns!(),
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
        columns!(),
        " FROM projects WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Which projects a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Looks into path and name; empty = all.
    pub search: String,
    /// Sees everything.
    pub admin: bool,
    /// Who asks.
    pub viewer: Option<UserId>,
    /// Only those of which the viewer is a member.
    pub membership: bool,
    /// Only those in this namespace.
    pub namespace: Option<NamespaceId>,
    /// Ids below (descending) or above (ascending) this one.
    pub beyond: Option<i64>,
}

/// A page of the projects that the viewer may see, by id.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: &Filter,
    ascending: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Project>> {
    let query = if ascending {
        tx.query(sql!(concat!(
            "SELECT ",
            columns!(),
            " FROM projects p WHERE deleting = FALSE AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
             AND (CAST($6 AS BIGINT) IS NULL OR namespace_id = $6) AND (CAST($7 AS BIGINT) IS NULL OR id > $7) \
             AND (($3 = TRUE AND $5 = FALSE) OR ($5 = FALSE AND (visibility = 'public' OR (visibility = 'internal' AND CAST($4 AS BIGINT) IS NOT NULL))) \
               OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = $4) \
               OR EXISTS (SELECT 1 FROM namespaces n WHERE n.id = p.namespace_id AND n.user_id = $4) \
               OR EXISTS (SELECT 1 FROM group_members g JOIN namespaces n ON n.id = g.group_id WHERE g.user_id = $4 AND (p.full_path LIKE n.full_path || '/%'))) \
             ORDER BY id LIMIT $8 OFFSET $9"
        )))
    } else {
        tx.query(sql!(concat!(
            "SELECT ",
            columns!(),
            " FROM projects p WHERE deleting = FALSE AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
             AND (CAST($6 AS BIGINT) IS NULL OR namespace_id = $6) AND (CAST($7 AS BIGINT) IS NULL OR id < $7) \
             AND (($3 = TRUE AND $5 = FALSE) OR ($5 = FALSE AND (visibility = 'public' OR (visibility = 'internal' AND CAST($4 AS BIGINT) IS NOT NULL))) \
               OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = $4) \
               OR EXISTS (SELECT 1 FROM namespaces n WHERE n.id = p.namespace_id AND n.user_id = $4) \
               OR EXISTS (SELECT 1 FROM group_members g JOIN namespaces n ON n.id = g.group_id WHERE g.user_id = $4 AND (p.full_path LIKE n.full_path || '/%'))) \
             ORDER BY id DESC LIMIT $8 OFFSET $9"
        )))
    };
    query
        .bind(&filter.search)
        .bind(like(&filter.search))
        .bind(filter.admin)
        .bind(filter.viewer)
        .bind(filter.membership)
        .bind(filter.namespace)
        .bind(filter.beyond)
        .bind(limit)
        .bind(offset)
        .all(read)
        .await
}

/// How many projects that filter finds.
pub async fn count(tx: &mut Tx<'_>, filter: &Filter) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM projects p WHERE deleting = FALSE AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
         AND (CAST($6 AS BIGINT) IS NULL OR namespace_id = $6) \
         AND (($3 = TRUE AND $5 = FALSE) OR ($5 = FALSE AND (visibility = 'public' OR (visibility = 'internal' AND CAST($4 AS BIGINT) IS NOT NULL))) \
           OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = $4) \
           OR EXISTS (SELECT 1 FROM namespaces n WHERE n.id = p.namespace_id AND n.user_id = $4) \
           OR EXISTS (SELECT 1 FROM group_members g JOIN namespaces n ON n.id = g.group_id WHERE g.user_id = $4 AND (p.full_path LIKE n.full_path || '/%')))"
    ))
    .bind(&filter.search)
    .bind(like(&filter.search))
    .bind(filter.admin)
    .bind(filter.viewer)
    .bind(filter.membership)
    .bind(filter.namespace)
    .one("count", |row| row.get(0))
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
