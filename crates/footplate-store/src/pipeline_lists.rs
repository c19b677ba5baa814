//! Lists of a project's pipelines, as their page and the REST API narrow and order them (`rest-api.md §7.2`).

use footplate_model::{Pipeline, PipelineSource, ProjectId, Timestamp, UserId};

use crate::{
    Query, Result, Tx,
    pipelines::{pipeline_columns, read},
    sql,
    tx::Sql,
};

/// What a pipeline list is narrowed to; absent = not at all (`rest-api.md §7.2`).
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Statuses as a JSON list.
    pub statuses: Option<String>,
    /// Exact ref.
    pub ref_name: Option<String>,
    /// Full SHA.
    pub sha: Option<String>,
    /// With or without configuration errors.
    pub yaml_errors: Option<bool>,
    /// Who made it.
    pub user: Option<UserId>,
    /// Exact name.
    pub name: Option<String>,
    /// Source; without one child pipelines are hidden.
    pub source: Option<PipelineSource>,
    /// Bounds, inclusive.
    pub updated_after: Option<Timestamp>,
    /// Bounds, inclusive.
    pub updated_before: Option<Timestamp>,
    /// Bounds, inclusive.
    pub created_after: Option<Timestamp>,
    /// Bounds, inclusive.
    pub created_before: Option<Timestamp>,
    /// Only the newest per ref: `Some(true)` tags, `Some(false)` branches.
    pub newest_of_tags: Option<bool>,
}

impl Filter {
    /// Nothing is asked but what every list hides.
    fn is_plain(&self) -> bool {
        let bounds = [
            self.updated_after,
            self.updated_before,
            self.created_after,
            self.created_before,
        ];
        self.narrow() == Narrow::Ordinary
            && self.statuses.is_none()
            && self.yaml_errors.is_none()
            && self.user.is_none()
            && self.name.is_none()
            && self.source.is_none()
            && self.newest_of_tags.is_none()
            && bounds.iter().all(Option::is_none)
    }

    /// The index that serves it best.
    fn narrow(&self) -> Narrow {
        match self {
            Self {
                source: Some(PipelineSource::ParentPipeline),
                ..
            } => Narrow::Any,
            Self { sha: Some(_), .. } => Narrow::Sha,
            Self {
                ref_name: Some(_), ..
            } => Narrow::Ref,
            Self {
                statuses: Some(statuses),
                ..
            } if !statuses.contains(',') => Narrow::Status,
            Self {
                updated_after: Some(_),
                ..
            } => Narrow::Updated,
            _ => Narrow::Ordinary,
        }
    }
}

/// A condition that is said once more without `OR`, so that an index can be used for it. All others are said with `OR` only: SQLite
/// would take the index of `updated_at` even where nobody asks for it, and sort all pipelines of a project for each page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrow {
    Any,
    Ordinary,
    Ref,
    Sha,
    Status,
    Updated,
}

/// How a pipeline list is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By id.
    Id,
    /// By status, then id.
    Status,
    /// By ref, then id.
    Ref,
    /// By last change, then id.
    UpdatedAt,
    /// By user, then id.
    UserId,
}

macro_rules! filter {
    () => {
        " FROM pipelines p WHERE project_id = $1 AND (CAST($2 AS TEXT) IS NULL OR status IN (SELECT value FROM json_each($2))) \
         AND (CAST($3 AS TEXT) IS NULL OR ref = $3) AND (CAST($4 AS TEXT) IS NULL OR sha = $4) \
         AND (CAST($5 AS BIGINT) IS NULL OR (yaml_errors IS NOT NULL AND $5 = 1) OR (yaml_errors IS NULL AND $5 = 0)) \
         AND (CAST($6 AS BIGINT) IS NULL OR user_id = $6) AND (CAST($7 AS TEXT) IS NULL OR name = $7) \
         AND ((CAST($8 AS TEXT) IS NULL AND source <> 'parent_pipeline') OR source = $8) \
         AND (CAST($9 AS TIMESTAMPTZ) IS NULL OR updated_at >= $9) AND (CAST($10 AS TIMESTAMPTZ) IS NULL OR updated_at <= $10) \
         AND (CAST($11 AS TIMESTAMPTZ) IS NULL OR created_at >= $11) AND (CAST($12 AS TIMESTAMPTZ) IS NULL OR created_at <= $12) \
         AND (CAST($13 AS BIGINT) IS NULL OR id IN (SELECT MAX(id) FROM pipelines q WHERE q.project_id = $1 AND q.source <> 'parent_pipeline' \
              AND ((q.tag = TRUE AND $13 = 1) OR (q.tag = FALSE AND $13 = 0)) GROUP BY q.ref))"
    };
}

macro_rules! ordinary {
    () => {
        " AND source <> 'parent_pipeline'"
    };
}

macro_rules! of_ref {
    () => {
        " AND ref = $3"
    };
}

macro_rules! of_sha {
    () => {
        " AND sha = $4"
    };
}

macro_rules! of_status {
    () => {
        " AND status = (SELECT value FROM json_each($2) LIMIT 1)"
    };
}

macro_rules! of_updated {
    () => {
        " AND updated_at >= $9"
    };
}

macro_rules! listed {
    () => {
        concat!("SELECT ", pipeline_columns!(), filter!())
    };
}

macro_rules! newest_first {
    () => {
        " ORDER BY id DESC LIMIT $14 OFFSET $15"
    };
}

macro_rules! oldest_first {
    () => {
        " ORDER BY id LIMIT $14 OFFSET $15"
    };
}

macro_rules! counted {
    () => {
        concat!("SELECT COUNT(*) FROM (SELECT 1", filter!())
    };
}

macro_rules! up_to_limit {
    () => {
        " LIMIT 10001) AS counted"
    };
}

fn by_id(narrow: Narrow, ascending: bool) -> Sql {
    match (narrow, ascending) {
        (Narrow::Any, false) => sql!(concat!(listed!(), newest_first!())),
        (Narrow::Any, true) => sql!(concat!(listed!(), oldest_first!())),
        (Narrow::Ordinary, false) => sql!(concat!(listed!(), ordinary!(), newest_first!())),
        (Narrow::Ordinary, true) => sql!(concat!(listed!(), ordinary!(), oldest_first!())),
        (Narrow::Ref, false) => sql!(concat!(listed!(), of_ref!(), newest_first!())),
        (Narrow::Ref, true) => sql!(concat!(listed!(), of_ref!(), oldest_first!())),
        (Narrow::Sha, false) => sql!(concat!(listed!(), of_sha!(), newest_first!())),
        (Narrow::Sha, true) => sql!(concat!(listed!(), of_sha!(), oldest_first!())),
        (Narrow::Status, false) => sql!(concat!(listed!(), of_status!(), newest_first!())),
        (Narrow::Status, true) => sql!(concat!(listed!(), of_status!(), oldest_first!())),
        (Narrow::Updated, false) => sql!(concat!(listed!(), of_updated!(), newest_first!())),
        (Narrow::Updated, true) => sql!(concat!(listed!(), of_updated!(), oldest_first!())),
    }
}

fn ordered(order: Order, ascending: bool, narrow: Narrow) -> Sql {
    match (order, ascending) {
        (Order::Id, _) => by_id(narrow, ascending),
        (Order::Status, false) => sql!(concat!(
            listed!(),
            " ORDER BY status DESC, id DESC LIMIT $14 OFFSET $15"
        )),
        (Order::Status, true) => sql!(concat!(
            listed!(),
            " ORDER BY status, id LIMIT $14 OFFSET $15"
        )),
        (Order::Ref, false) => sql!(concat!(
            listed!(),
            " ORDER BY ref DESC, id DESC LIMIT $14 OFFSET $15"
        )),
        (Order::Ref, true) => sql!(concat!(listed!(), " ORDER BY ref, id LIMIT $14 OFFSET $15")),
        (Order::UpdatedAt, false) => sql!(concat!(
            listed!(),
            " ORDER BY updated_at DESC, id DESC LIMIT $14 OFFSET $15"
        )),
        (Order::UpdatedAt, true) => sql!(concat!(
            listed!(),
            " ORDER BY updated_at, id LIMIT $14 OFFSET $15"
        )),
        (Order::UserId, false) => sql!(concat!(
            listed!(),
            " ORDER BY user_id DESC NULLS LAST, id DESC LIMIT $14 OFFSET $15"
        )),
        (Order::UserId, true) => sql!(concat!(
            listed!(),
            " ORDER BY user_id NULLS FIRST, id LIMIT $14 OFFSET $15"
        )),
    }
}

fn bind_filter<'t, 'a>(query: Query<'t, 'a>, project: ProjectId, filter: &Filter) -> Query<'t, 'a> {
    query
        .bind(project)
        .bind(&filter.statuses)
        .bind(&filter.ref_name)
        .bind(&filter.sha)
        .bind(filter.yaml_errors.map(i64::from))
        .bind(filter.user)
        .bind(&filter.name)
        .bind(filter.source)
        .bind(filter.updated_after)
        .bind(filter.updated_before)
        .bind(filter.created_after)
        .bind(filter.created_before)
        .bind(filter.newest_of_tags.map(i64::from))
}

/// A page of the list that asks for nothing: its ids are found in one index, and only its own rows are read, wherever it is.
async fn list_plain(
    tx: &mut Tx<'_>,
    project: ProjectId,
    ascending: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Pipeline>> {
    tx.query(if ascending {
        sql!(concat!(
            "SELECT ",
            pipeline_columns!(),
            " FROM pipelines p WHERE id IN (SELECT q.id FROM pipelines q WHERE q.project_id = $1 AND q.source <> 'parent_pipeline' \
              ORDER BY q.id LIMIT $2 OFFSET $3) ORDER BY id"
        ))
    } else {
        sql!(concat!(
            "SELECT ",
            pipeline_columns!(),
            " FROM pipelines p WHERE id IN (SELECT q.id FROM pipelines q WHERE q.project_id = $1 AND q.source <> 'parent_pipeline' \
              ORDER BY q.id DESC LIMIT $2 OFFSET $3) ORDER BY id DESC"
        ))
    })
    .bind(project)
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// A page of a project's pipelines.
pub async fn list(
    tx: &mut Tx<'_>,
    project: ProjectId,
    filter: &Filter,
    order: Order,
    ascending: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Pipeline>> {
    if filter.is_plain() && order == Order::Id {
        return list_plain(tx, project, ascending, limit, offset).await;
    }
    let query = tx.query(ordered(order, ascending, filter.narrow()));
    bind_filter(query, project, filter)
        .bind(limit)
        .bind(offset)
        .all(read)
        .await
}

/// How many pipelines the filter finds, counted up to 10,001.
pub async fn count(tx: &mut Tx<'_>, project: ProjectId, filter: &Filter) -> Result<i64> {
    if filter.is_plain() {
        // The most common list of all, from one index.
        return tx
            .query(sql!("SELECT COUNT(*) FROM (SELECT 1 FROM pipelines WHERE project_id = $1 AND source <> 'parent_pipeline' LIMIT 10001) AS counted"))
            .bind(project)
            .one("count", |row| row.get(0))
            .await;
    }
    let query = tx.query(match filter.narrow() {
        Narrow::Any => sql!(concat!(counted!(), up_to_limit!())),
        Narrow::Ordinary => sql!(concat!(counted!(), ordinary!(), up_to_limit!())),
        Narrow::Ref => sql!(concat!(counted!(), of_ref!(), up_to_limit!())),
        Narrow::Sha => sql!(concat!(counted!(), of_sha!(), up_to_limit!())),
        Narrow::Status => sql!(concat!(counted!(), of_status!(), up_to_limit!())),
        Narrow::Updated => sql!(concat!(counted!(), of_updated!(), up_to_limit!())),
    });
    bind_filter(query, project, filter)
        .one("count", |row| row.get(0))
        .await
}
