//! Pipelines and the facts that are kept with them.

use std::collections::BTreeSet;

use footplate_model::{JobId, Pipeline, PipelineId, ProjectId, Status, Timestamp, UserId};

pub use crate::pipeline_lists::{Filter, Order, count, list};
use crate::{Asked, Columns, Result, Row, Tx, jobs, sql};

macro_rules! pipeline_columns {
    () => {
        "id, iid, project_id, ref, tag, sha, before_sha, source, user_id, status, protected, name, yaml_errors, failure_reason, on_job_failure, on_new_commit, \
         source_job_id, parent_id, depth, auto_canceled_by, committed_at, created_at, updated_at, started_at, finished_at, duration, lock_version"
    };
}
pub(crate) use pipeline_columns;

pub(crate) fn read(row: &Row<'_>) -> Result<Pipeline> {
    read_columns(&mut row.columns())
}

fn read_columns(c: &mut Columns<'_>) -> Result<Pipeline> {
    Ok(Pipeline {
        id: c.next()?,
        iid: c.next()?,
        project_id: c.next()?,
        ref_name: c.next()?,
        tag: c.next()?,
        sha: c.next()?,
        before_sha: c.next()?,
        source: c.next()?,
        user_id: c.next()?,
        status: c.next()?,
        protected: c.next()?,
        name: c.next()?,
        yaml_errors: c.next()?,
        failure_reason: c.next()?,
        on_job_failure: c.next()?,
        on_new_commit: c.next()?,
        source_job_id: c.next()?,
        parent_id: c.next()?,
        depth: c.next()?,
        auto_canceled_by: c.next()?,
        committed_at: c.next()?,
        created_at: c.next()?,
        updated_at: c.next()?,
        started_at: c.next()?,
        finished_at: c.next()?,
        duration: c.next()?,
        lock_version: c.next()?,
    })
}

/// The id of a pipeline that is to be inserted later; nobody else gets it, also when nothing comes of it.
pub async fn reserve(tx: &mut Tx<'_>) -> Result<PipelineId> {
    let next = tx
        .query(sql!(sqlite "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'pipelines' RETURNING seq", postgres "SELECT nextval(pg_get_serial_sequence('pipelines', 'id'))"))
        .optional(|row| row.get(0))
        .await?;
    match next {
        Some(id) => Ok(id),
        // SQLite counts from the first row on.
        None => {
            tx.query(sql!(sqlite "INSERT INTO sqlite_sequence (name, seq) VALUES ('pipelines', 1) RETURNING seq", postgres "SELECT nextval(pg_get_serial_sequence('pipelines', 'id'))"))
                .one("pipeline", |row| row.get(0))
                .await
        }
    }
}

/// Inserts a pipeline with its reserved id; the lock version is not looked at. `push_key` names the ref update of a push, so that
/// a push makes no second pipeline: [`crate::Error::Taken`] then.
pub async fn insert(tx: &mut Tx<'_>, new: &Pipeline, push_key: Option<&str>) -> Result<Pipeline> {
    tx.query(sql!(concat!(
        "INSERT INTO pipelines (id, iid, project_id, ref, tag, sha, before_sha, source, user_id, status, protected, name, yaml_errors, failure_reason, \
         on_job_failure, on_new_commit, source_job_id, parent_id, depth, committed_at, created_at, updated_at, finished_at, push_intent_key) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $21, $22, $23) RETURNING ",
        pipeline_columns!()
    )))
    .bind(new.id)
    .bind(new.iid)
    .bind(new.project_id)
    .bind(&new.ref_name)
    .bind(new.tag)
    .bind(&new.sha)
    .bind(&new.before_sha)
    .bind(new.source)
    .bind(new.user_id)
    .bind(new.status)
    .bind(new.protected)
    .bind(&new.name)
    .bind(&new.yaml_errors)
    .bind(new.failure_reason)
    .bind(new.on_job_failure)
    .bind(new.on_new_commit)
    .bind(new.source_job_id)
    .bind(new.parent_id)
    .bind(new.depth)
    .bind(new.committed_at)
    .bind(new.created_at)
    .bind(new.finished_at)
    .bind(push_key)
    .one("pipeline", read)
    .await
}

/// Locks the pipeline by writing it (DESIGN §4), and gives it back.
pub async fn lock(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "UPDATE pipelines SET lock_version = lock_version + 1 WHERE id = $1 RETURNING ",
        pipeline_columns!()
    )))
    .bind(id)
    .optional(read)
    .await
}

/// Locks pipelines by writing them, one after the other by their ids, so that two who lock several never wait for each other in a circle.
pub fn lock_all(tx: &mut Tx<'_>, ids: &BTreeSet<PipelineId>) -> Result<()> {
    for id in ids {
        tx.query(sql!(
            "UPDATE pipelines SET lock_version = lock_version + 1 WHERE id = $1"
        ))
        .bind(*id)
        .later()?;
    }
    Ok(())
}

/// A pipeline with what a claim has to know around it.
#[derive(Debug)]
pub struct Standing {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The variables given with it, encrypted.
    pub variables: Option<Vec<u8>>,
    /// Position of its first stage.
    pub first_stage: Option<i64>,
    /// Entries of its log.
    pub events: i64,
}

/// Pipelines as claims look at them; `ids` is a JSON list.
pub fn ask_standing(tx: &mut Tx<'_>, ids: &str) -> Result<Asked<Standing>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        ", (SELECT f.variables FROM pipeline_facts f WHERE f.pipeline_id = pipelines.id), \
         (SELECT MIN(s.position) FROM stages s WHERE s.pipeline_id = pipelines.id), \
         (SELECT COALESCE(MAX(e.position), 0) FROM pipeline_events e WHERE e.pipeline_id = pipelines.id) \
         FROM pipelines WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .ask(|row| {
        let mut c = row.columns();
        Ok(Standing {
            pipeline: read_columns(&mut c)?,
            variables: c.next()?,
            first_stage: c.next()?,
            events: c.next()?,
        })
    })
}

/// The pipeline with this id.
pub async fn find(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The pipeline that a push's ref update made.
pub async fn find_by_push_key(tx: &mut Tx<'_>, key: &str) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE push_intent_key = $1"
    )))
    .bind(key)
    .optional(read)
    .await
}

/// Several pipelines; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Pipelines that were started by a job of this one.
pub async fn list_downstream(tx: &mut Tx<'_>, id: PipelineId) -> Result<Vec<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE source_job_id IN (SELECT id FROM jobs WHERE pipeline_id = $1 AND kind = 'bridge') ORDER BY id"
    )))
    .bind(id)
    .all(read)
    .await
}

/// The newest pipeline of a ref (and commit, when given) with an ordinary source.
pub async fn find_latest(
    tx: &mut Tx<'_>,
    project: ProjectId,
    ref_name: &str,
    sha: Option<&str>,
) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE project_id = $1 AND ref = $2 AND (CAST($3 AS TEXT) IS NULL OR sha = $3) AND source <> 'parent_pipeline' ORDER BY id DESC LIMIT 1"
    )))
    .bind(project)
    .bind(ref_name)
    .bind(sha)
    .optional(read)
    .await
}

/// The newest pipeline of a commit on any ref.
pub async fn find_latest_of_commit(
    tx: &mut Tx<'_>,
    project: ProjectId,
    sha: &str,
) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE project_id = $1 AND sha = $2 AND source <> 'parent_pipeline' ORDER BY id DESC LIMIT 1"
    )))
    .bind(project)
    .bind(sha)
    .optional(read)
    .await
}

/// The newest successful pipelines of a ref, newest first.
pub async fn list_successful(
    tx: &mut Tx<'_>,
    project: ProjectId,
    ref_name: &str,
    limit: i64,
) -> Result<Vec<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE project_id = $1 AND ref = $2 AND status = 'success' AND source <> 'parent_pipeline' ORDER BY id DESC LIMIT $3"
    )))
    .bind(project)
    .bind(ref_name)
    .bind(limit)
    .all(read)
    .await
}

/// Writes what the engine decides about a pipeline.
#[derive(Debug, Clone)]
pub struct Movement {
    /// Status.
    pub status: Status,
    /// First time running.
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Option<Timestamp>,
    /// Seconds.
    pub duration: Option<i64>,
}

/// Writes a pipeline's movement.
pub fn set_movement(tx: &mut Tx<'_>, id: PipelineId, to: &Movement, now: Timestamp) -> Result<()> {
    tx.query(sql!("UPDATE pipelines SET status = $2, started_at = $3, finished_at = $4, duration = $5, updated_at = $6 WHERE id = $1"))
        .bind(id)
        .bind(to.status)
        .bind(to.started_at)
        .bind(to.finished_at)
        .bind(to.duration)
        .bind(now)
        .later()
}

/// Sets the name.
pub async fn set_name(tx: &mut Tx<'_>, id: PipelineId, name: &str, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE pipelines SET name = $2, updated_at = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(name)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Alive pipelines that nothing has touched since `before`: the tick processes them again.
pub async fn list_stale(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<Vec<PipelineId>> {
    tx.query(sql!(
        "SELECT id FROM pipelines WHERE status IN ('created', 'waiting_for_resource', 'preparing', 'waiting_for_callback', 'pending', 'running', 'canceling', 'scheduled') \
         AND updated_at <= $1 ORDER BY updated_at LIMIT $2"
    ))
    .bind(before)
    .bind(limit)
    .all(|row| row.get(0))
    .await
}

/// Deletes a pipeline with its jobs.
pub async fn delete(tx: &mut Tx<'_>, id: PipelineId) -> Result<()> {
    jobs::discount(tx, id).await?;
    tx.query(sql!("DELETE FROM jobs WHERE pipeline_id = $1"))
        .bind(id)
        .execute()
        .await?;
    tx.query(sql!("DELETE FROM pipelines WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Variables (sealed JSON) and inputs (JSON) given at creation, and the why of every job.
pub async fn insert_facts(
    tx: &mut Tx<'_>,
    id: PipelineId,
    variables: Vec<u8>,
    inputs: &str,
    why: &str,
) -> Result<()> {
    tx.query(sql!(
        "INSERT INTO pipeline_facts (pipeline_id, variables, inputs, why) VALUES ($1, $2, $3, $4)"
    ))
    .bind(id)
    .bind(variables)
    .bind(inputs)
    .bind(why)
    .execute()
    .await?;
    Ok(())
}

/// The variables given with a pipeline, encrypted.
pub async fn find_variables(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<Vec<u8>>> {
    let found = tx
        .query(sql!(
            "SELECT variables FROM pipeline_facts WHERE pipeline_id = $1"
        ))
        .bind(id)
        .optional(|row| row.get(0))
        .await?;
    Ok(found.flatten())
}

/// The why of every job, as JSON.
pub async fn find_why(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<String>> {
    tx.query(sql!(
        "SELECT why FROM pipeline_facts WHERE pipeline_id = $1"
    ))
    .bind(id)
    .optional(|row| row.get(0))
    .await
}

/// The bridge's downstream pipeline, if it was made.
pub async fn find_by_source_job(tx: &mut Tx<'_>, job: JobId) -> Result<Option<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE source_job_id = $1 ORDER BY id DESC LIMIT 1"
    )))
    .bind(job)
    .optional(read)
    .await
}

/// The typed inputs that were given at creation, as a JSON object.
pub async fn find_inputs(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<String>> {
    tx.query(sql!(
        "SELECT inputs FROM pipeline_facts WHERE pipeline_id = $1"
    ))
    .bind(id)
    .optional(|row| row.get(0))
    .await
}

/// Older pipelines of a ref that are alive and no older than `since`: candidates of auto-cancel (`pipeline-processing.md §10.2`).
pub async fn list_alive_of_ref(
    tx: &mut Tx<'_>,
    project: ProjectId,
    ref_name: &str,
    before: PipelineId,
    since: Timestamp,
) -> Result<Vec<Pipeline>> {
    tx.query(sql!(concat!(
        "SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE project_id = $1 AND ref = $2 AND id < $3 AND created_at >= $4 AND status IN \
         ('created', 'waiting_for_resource', 'preparing', 'waiting_for_callback', 'pending', 'running', 'canceling') AND source NOT IN \
         ('webide', 'parent_pipeline', 'ondemand_dast_scan', 'ondemand_dast_validation', 'security_orchestration_policy') ORDER BY id"
    )))
    .bind(project)
    .bind(ref_name)
    .bind(before)
    .bind(since)
    .all(read)
    .await
}

/// A pipeline and all child pipelines below it, parents first.
pub async fn list_descendants(tx: &mut Tx<'_>, id: PipelineId) -> Result<Vec<Pipeline>> {
    tx.query(sql!(concat!(
        "WITH RECURSIVE below (id) AS (SELECT id FROM pipelines WHERE id = $1 UNION ALL SELECT p.id FROM pipelines p JOIN below b ON p.parent_id = b.id) SELECT ",
        pipeline_columns!(),
        " FROM pipelines WHERE id IN (SELECT id FROM below) ORDER BY depth, id"
    )))
    .bind(id)
    .all(read)
    .await
}

/// How many pipelines the family of this one has: its root parent and all below that (`pipeline-processing.md §12.1`).
pub async fn count_family(tx: &mut Tx<'_>, id: PipelineId) -> Result<i64> {
    tx.query(sql!(
        "WITH RECURSIVE above (id, parent_id) AS (SELECT id, parent_id FROM pipelines WHERE id = $1 \
           UNION ALL SELECT p.id, p.parent_id FROM pipelines p JOIN above a ON p.id = a.parent_id), \
         family (id) AS (SELECT id FROM above WHERE parent_id IS NULL UNION ALL SELECT p.id FROM pipelines p JOIN family f ON p.parent_id = f.id) \
         SELECT COUNT(*) FROM family"
    ))
    .bind(id)
    .one("count", |row| row.get(0))
    .await
}

/// How many of the project were made since `since`, of one user and commit: the rate of `pipeline-processing.md §2.1` step 5.
pub async fn count_recent(
    tx: &mut Tx<'_>,
    project: ProjectId,
    sha: &str,
    user: Option<UserId>,
    since: Timestamp,
) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM pipelines WHERE project_id = $1 AND sha = $2 AND created_at >= $3 AND COALESCE(user_id, 0) = COALESCE(CAST($4 AS BIGINT), 0)"
    ))
    .bind(project)
    .bind(sha)
    .bind(since)
    .bind(user)
    .one("count", |row| row.get(0))
    .await
}
