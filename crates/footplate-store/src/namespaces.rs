//! Groups and personal namespaces.

use footplate_model::{Namespace, NamespaceId, NamespaceKind, Timestamp, UserId, Visibility};

use crate::{Query, Result, Row, Tx, sql, users::like};

macro_rules! columns {
    () => {
        "id, user_id, name, path, full_path, full_name, parent_id, description, visibility, shared_runners_enabled, created_at"
    };
}

fn read(row: &Row<'_>) -> Result<Namespace> {
    let mut c = row.columns();
    let id = c.next()?;
    let user: Option<UserId> = c.next()?;
    Ok(Namespace {
        id,
        kind: user.map_or(NamespaceKind::Group, NamespaceKind::User),
        name: c.next()?,
        path: c.next()?,
        full_path: c.next()?,
        full_name: c.next()?,
        parent_id: c.next()?,
        description: c.next()?,
        visibility: c.next()?,
        shared_runners_enabled: c.next()?,
        created_at: c.next()?,
    })
}

/// What a new group or personal namespace needs.
#[derive(Debug, Clone)]
pub struct NewNamespace {
    /// Display name.
    pub name: String,
    /// Last part of the path.
    pub path: String,
    /// Whole path.
    pub full_path: String,
    /// Whole display name.
    pub full_name: String,
    /// The group around it.
    pub parent_id: Option<NamespaceId>,
    /// Description.
    pub description: String,
    /// Who may see it.
    pub visibility: Visibility,
}

/// Inserts a group; a personal namespace becomes one by [`set_user`].
pub async fn insert(tx: &mut Tx<'_>, new: &NewNamespace, now: Timestamp) -> Result<Namespace> {
    tx.query(sql!(concat!(
        "INSERT INTO namespaces (name, path, full_path, full_name, parent_id, description, visibility, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
        columns!()
    )))
    .bind(&new.name)
    .bind(&new.path)
    .bind(&new.full_path)
    .bind(&new.full_name)
    .bind(new.parent_id)
    .bind(&new.description)
    .bind(new.visibility)
    .bind(now)
    .one("namespace", read)
    .await
}

/// Makes a namespace the personal one of a user.
pub async fn set_user(tx: &mut Tx<'_>, id: NamespaceId, user: UserId) -> Result<()> {
    tx.query(sql!("UPDATE namespaces SET user_id = $2 WHERE id = $1"))
        .bind(id)
        .bind(user)
        .execute()
        .await?;
    Ok(())
}

/// The namespace with this id.
pub async fn find(tx: &mut Tx<'_>, id: NamespaceId) -> Result<Option<Namespace>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM namespaces WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The namespace with this path, without regard to case.
pub async fn find_by_path(tx: &mut Tx<'_>, path: &str) -> Result<Option<Namespace>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM namespaces WHERE lower(full_path) = lower($1)"
    )))
    .bind(path)
    .optional(read)
    .await
}

/// The namespace and all groups around it, the closest first.
pub async fn list_ancestors(tx: &mut Tx<'_>, id: NamespaceId) -> Result<Vec<Namespace>> {
    let mut list = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let Some(namespace) = find(tx, id).await? else {
            break;
        };
        next = namespace.parent_id;
        list.push(namespace);
    }
    Ok(list)
}

/// A page of groups by path; `search` empty = all.
pub async fn list_groups(
    tx: &mut Tx<'_>,
    search: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Namespace>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM namespaces WHERE user_id IS NULL AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
         ORDER BY full_path, id LIMIT $3 OFFSET $4"
    )))
    .bind(search)
    .bind(like(search))
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// The groups directly inside one.
pub async fn list_children(tx: &mut Tx<'_>, id: NamespaceId) -> Result<Vec<Namespace>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM namespaces WHERE parent_id = $1 ORDER BY path"
    )))
    .bind(id)
    .all(read)
    .await
}

/// Changes what may change.
pub async fn update(tx: &mut Tx<'_>, namespace: &Namespace) -> Result<()> {
    tx.query(sql!("UPDATE namespaces SET name = $2, full_name = $3, description = $4, visibility = $5, shared_runners_enabled = $6 WHERE id = $1"))
        .bind(namespace.id)
        .bind(&namespace.name)
        .bind(&namespace.full_name)
        .bind(&namespace.description)
        .bind(namespace.visibility)
        .bind(namespace.shared_runners_enabled)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a namespace without projects and groups.
pub async fn delete(tx: &mut Tx<'_>, id: NamespaceId) -> Result<()> {
    tx.query(sql!("DELETE FROM namespaces WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Which groups a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Looks into path and name; empty = all.
    pub search: String,
    /// Sees everything.
    pub admin: bool,
    /// Who asks.
    pub viewer: Option<UserId>,
    /// Only groups of which the viewer is Owner.
    pub owned: bool,
    /// Only groups that are in no other.
    pub top_level: bool,
    /// Only groups somewhere below this one.
    pub below: Option<NamespaceId>,
}

// A member of a group is one of the groups inside it; whoever is a member of an inner group or of a project sees the outer ones.
macro_rules! visible {
    () => {
        " FROM namespaces s WHERE user_id IS NULL AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
         AND ($5 = FALSE OR parent_id IS NULL) AND (CAST($6 AS BIGINT) IS NULL OR EXISTS (SELECT 1 FROM namespaces o WHERE o.id = $6 \
           AND substr(s.full_path, 1, length(o.full_path) + 1) = o.full_path || '/')) \
         AND ($7 = FALSE OR EXISTS (SELECT 1 FROM group_members m JOIN namespaces o ON o.id = m.group_id WHERE m.user_id = $4 AND m.access_level >= 50 \
           AND substr(s.full_path || '/', 1, length(o.full_path) + 1) = o.full_path || '/')) \
         AND ($3 = TRUE OR visibility = 'public' OR (visibility = 'internal' AND CAST($4 AS BIGINT) IS NOT NULL) \
           OR EXISTS (SELECT 1 FROM group_members m JOIN namespaces o ON o.id = m.group_id WHERE m.user_id = $4 \
             AND (substr(s.full_path || '/', 1, length(o.full_path) + 1) = o.full_path || '/' \
               OR substr(o.full_path || '/', 1, length(s.full_path) + 1) = s.full_path || '/')) \
           OR EXISTS (SELECT 1 FROM project_members m JOIN projects p ON p.id = m.project_id WHERE m.user_id = $4 \
             AND substr(p.full_path, 1, length(s.full_path) + 1) = s.full_path || '/'))"
    };
}

/// A page of the groups that the viewer may see, by path.
pub async fn list_visible(
    tx: &mut Tx<'_>,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Vec<Namespace>> {
    let query = tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        visible!(),
        " ORDER BY lower(full_path), id LIMIT $8 OFFSET $9"
    )));
    bind_filter(query, filter)
        .bind(limit)
        .bind(offset)
        .all(read)
        .await
}

/// How many groups that filter finds.
pub async fn count_visible(tx: &mut Tx<'_>, filter: &Filter) -> Result<i64> {
    let query = tx.query(sql!(concat!("SELECT COUNT(*)", visible!())));
    bind_filter(query, filter)
        .one("count", |row| row.get(0))
        .await
}

fn bind_filter<'t, 'a>(query: Query<'t, 'a>, filter: &Filter) -> Query<'t, 'a> {
    query
        .bind(&filter.search)
        .bind(like(&filter.search))
        .bind(filter.admin)
        .bind(filter.viewer)
        .bind(filter.top_level)
        .bind(filter.below)
        .bind(filter.owned)
}

/// Several namespaces; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Namespace>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM namespaces WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) ORDER BY id"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Writes new paths and names of a namespace and of everything inside it: `from` is the full path so far.
pub async fn rename(
    tx: &mut Tx<'_>,
    id: NamespaceId,
    path: &str,
    from: &Namespace,
    full_path: &str,
    full_name: &str,
) -> Result<()> {
    tx.query(sql!("UPDATE namespaces SET path = $2 WHERE id = $1"))
        .bind(id)
        .bind(path)
        .execute()
        .await?;
    tx.query(sql!(
        "UPDATE namespaces SET full_path = CAST($2 AS TEXT) || substr(full_path, length(CAST($1 AS TEXT)) + 1), \
         full_name = CAST($4 AS TEXT) || substr(full_name, length(CAST($3 AS TEXT)) + 1) \
         WHERE substr(full_path || '/', 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || '/'"
    ))
    .bind(&from.full_path)
    .bind(full_path)
    .bind(&from.full_name)
    .bind(full_name)
    .execute()
    .await?;
    tx.query(sql!(
        "INSERT INTO project_redirects (full_path, project_id) SELECT lower(full_path), id FROM projects \
         WHERE substr(full_path, 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || '/' \
         ON CONFLICT (full_path) DO UPDATE SET project_id = excluded.project_id"
    ))
    .bind(&from.full_path)
    .execute()
    .await?;
    tx.query(sql!(
        "UPDATE projects SET full_path = CAST($2 AS TEXT) || substr(full_path, length(CAST($1 AS TEXT)) + 1), \
         full_name = CAST($4 AS TEXT) || substr(full_name, length(CAST($3 AS TEXT)) + 1) \
         WHERE substr(full_path, 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || '/'"
    ))
    .bind(&from.full_path)
    .bind(full_path)
    .bind(&from.full_name)
    .bind(full_name)
    .execute()
    .await?;
    Ok(())
}
