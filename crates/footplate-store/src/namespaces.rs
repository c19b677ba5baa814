//! Groups and personal namespaces.

use footplate_model::{Namespace, NamespaceId, NamespaceKind, Timestamp, UserId, Visibility};

use crate::{Result, Row, Tx, sql, users::like};

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
