//! Lists of projects, as their viewer may see them.

use footplate_model::{NamespaceId, Project, ProjectId, UserId};

use crate::{
    Query, Result, Tx,
    projects::{project_columns, read},
    sql,
    users::like,
};

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
    /// … and in the groups inside it.
    pub include_subgroups: bool,
    /// Ids below (descending) or above (ascending) this one.
    pub beyond: Option<i64>,
}

/// How a project list is ordered; equal ones by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By id, which is by creation.
    #[default]
    Id,
    /// By display name.
    Name,
    /// By the last part of the path.
    Path,
    /// By the last change of a setting.
    UpdatedAt,
    /// By the last push or pipeline.
    LastActivityAt,
}

// Inside a group means below its path: compared as text, because `_` in a path must not stand for any character.
macro_rules! filter {
    () => {
        " FROM projects p WHERE deleting = FALSE AND ($1 = '' OR lower(full_path) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\') \
         AND (CAST($6 AS BIGINT) IS NULL OR namespace_id = $6 OR ($7 = TRUE AND EXISTS (SELECT 1 FROM namespaces n WHERE n.id = $6 \
           AND substr(p.full_path, 1, length(n.full_path) + 1) = n.full_path || '/'))) \
         AND (($3 = TRUE AND $5 = FALSE) OR ($5 = FALSE AND (visibility = 'public' OR (visibility = 'internal' AND CAST($4 AS BIGINT) IS NOT NULL))) \
           OR EXISTS (SELECT 1 FROM project_members m WHERE m.project_id = p.id AND m.user_id = $4) \
           OR EXISTS (SELECT 1 FROM namespaces n WHERE n.id = p.namespace_id AND n.user_id = $4) \
           OR EXISTS (SELECT 1 FROM group_members g JOIN namespaces n ON n.id = g.group_id WHERE g.user_id = $4 \
             AND substr(p.full_path, 1, length(n.full_path) + 1) = n.full_path || '/'))"
    };
}

macro_rules! listed {
    () => {
        concat!("SELECT ", project_columns!(), filter!())
    };
}

fn bind_filter<'t, 'a>(query: Query<'t, 'a>, filter: &Filter) -> Query<'t, 'a> {
    query
        .bind(&filter.search)
        .bind(like(&filter.search))
        .bind(filter.admin)
        .bind(filter.viewer)
        .bind(filter.membership)
        .bind(filter.namespace)
        .bind(filter.include_subgroups)
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
            listed!(),
            " AND (CAST($8 AS BIGINT) IS NULL OR id > $8) ORDER BY id LIMIT $9 OFFSET $10"
        )))
    } else {
        tx.query(sql!(concat!(
            listed!(),
            " AND (CAST($8 AS BIGINT) IS NULL OR id < $8) ORDER BY id DESC LIMIT $9 OFFSET $10"
        )))
    };
    bind_filter(query, filter)
        .bind(filter.beyond)
        .bind(limit)
        .bind(offset)
        .all(read)
        .await
}

/// A page in another order; `filter.beyond` is only for the order by id.
pub async fn list_ordered(
    tx: &mut Tx<'_>,
    filter: &Filter,
    order: Order,
    ascending: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Project>> {
    let query = match (order, ascending) {
        (Order::Id, _) => return list(tx, filter, ascending, limit, offset).await,
        (Order::Name, true) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY lower(name), id LIMIT $8 OFFSET $9"
        ))),
        (Order::Name, false) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY lower(name) DESC, id DESC LIMIT $8 OFFSET $9"
        ))),
        (Order::Path, true) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY lower(path), id LIMIT $8 OFFSET $9"
        ))),
        (Order::Path, false) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY lower(path) DESC, id DESC LIMIT $8 OFFSET $9"
        ))),
        (Order::UpdatedAt, true) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY updated_at, id LIMIT $8 OFFSET $9"
        ))),
        (Order::UpdatedAt, false) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY updated_at DESC, id DESC LIMIT $8 OFFSET $9"
        ))),
        (Order::LastActivityAt, true) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY last_activity_at, id LIMIT $8 OFFSET $9"
        ))),
        (Order::LastActivityAt, false) => tx.query(sql!(concat!(
            listed!(),
            " ORDER BY last_activity_at DESC, id DESC LIMIT $8 OFFSET $9"
        ))),
    };
    bind_filter(query, filter)
        .bind(limit)
        .bind(offset)
        .all(read)
        .await
}

/// How many projects that filter finds; `beyond` is not looked at.
pub async fn count(tx: &mut Tx<'_>, filter: &Filter) -> Result<i64> {
    let query = tx.query(sql!(concat!("SELECT COUNT(*)", filter!())));
    bind_filter(query, filter)
        .one("count", |row| row.get(0))
        .await
}

/// Ids of all projects in a namespace, those being deleted included: before a group goes.
pub async fn list_ids_of_namespace(
    tx: &mut Tx<'_>,
    namespace: NamespaceId,
) -> Result<Vec<ProjectId>> {
    tx.query(sql!(
        "SELECT id FROM projects WHERE namespace_id = $1 ORDER BY id"
    ))
    .bind(namespace)
    .all(|row| row.get(0))
    .await
}
