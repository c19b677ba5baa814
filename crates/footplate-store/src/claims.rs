//! What is written when runners take jobs. It was decided from rows that were read before, and it is written only where nobody has moved
//! the pipeline since, which its `lock_version` tells: claims are compare-and-swap (DESIGN §4).
//!
//! On PostgreSQL all of it is one statement, because there a statement costs as much as the barest claim. SQLite, for which a statement
//! costs next to nothing, takes row after row.

use footplate_model::{
    JobId, PipelineId, ProjectId, RunnerId, RunnerManagerId, Status, TimeoutSource, Timestamp,
};
use serde::Serialize;

use crate::{Error, Keys, Result, Tx, queue, rows::hex, sql, stages, token_hash};

/// All that a claim writes.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'c> {
    /// The pipelines, each once, by ascending ids: they are locked in this order, so that two claims never wait for each other in a circle.
    pub pipelines: &'c [Held],
    /// Stages that move.
    pub stages: &'c [StageMove],
    /// The jobs; they are in the queue as long as their pipelines have not moved.
    pub jobs: &'c [Handed],
}

/// A pipeline as it was read, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The pipeline.
    pub id: PipelineId,
    /// Its `lock_version` when it was read; one more from now on.
    pub version: i64,
    /// Another status from now on.
    pub status: Option<Status>,
    /// It runs from now on, and did not before.
    pub begins: bool,
}

/// A stage with another status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageMove {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its position.
    pub position: i64,
    /// Its status from now on.
    pub status: Status,
}

/// What is written down of a job that a runner takes.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The job.
    pub job: JobId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its project.
    pub project: ProjectId,
    /// Who takes it.
    pub runner: RunnerId,
    /// The machine.
    pub manager: RunnerManagerId,
    /// The runner serves the whole instance.
    pub instance_runner: bool,
    /// Seconds.
    pub timeout: i64,
    /// Who set it.
    pub timeout_source: TimeoutSource,
    /// The runner lets a job that is canceled come to its end.
    pub graceful_cancel: bool,
    /// The job's token.
    pub token: String,
    /// Position of what happened in the log of its pipeline.
    pub position: i64,
    /// What happened, compact text of the engine.
    pub event: String,
}

/// Writes a claim; the pipelines that were as they had been read. Nothing is written of the others and of their jobs. `alone` = nothing
/// else happens in the transaction afterwards.
///
/// # Errors
/// Those of the engine.
pub async fn hand_out(
    tx: &mut Tx<'_>,
    keys: &Keys,
    claim: Claim<'_>,
    now: Timestamp,
    alone: bool,
) -> Result<Vec<PipelineId>> {
    if tx.is_postgres() {
        let rows = claim.pipelines.len().max(claim.stages.len());
        let rows = rows.max(claim.jobs.len());
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        return at_once(tx, &document(keys, claim)?, limit, now, alone).await;
    }
    let mut held = Vec::with_capacity(claim.pipelines.len());
    for pipeline in claim.pipelines {
        if hold(tx, pipeline, now).await? {
            held.push(pipeline.id);
        }
    }
    let stages = claim.stages.iter();
    for stage in stages.filter(|stage| held.contains(&stage.pipeline)) {
        stages::set_status(tx, stage.pipeline, stage.position, stage.status)?;
    }
    let jobs = claim.jobs.iter();
    for handed in jobs.filter(|handed| held.contains(&handed.pipeline)) {
        hand(tx, keys, handed, now).await?;
    }
    Ok(held)
}

/// Moves a pipeline, if nobody else has.
async fn hold(tx: &mut Tx<'_>, pipeline: &Held, now: Timestamp) -> Result<bool> {
    let changed = tx
        .query(sql!(
            "UPDATE pipelines SET lock_version = lock_version + 1, status = COALESCE($3, status), \
             updated_at = CASE WHEN $3 IS NULL THEN updated_at ELSE $5 END, started_at = CASE WHEN $4 THEN $5 ELSE started_at END \
             WHERE id = $1 AND lock_version = $2"
        ))
        .bind(pipeline.id)
        .bind(pipeline.version)
        .bind(pipeline.status)
        .bind(pipeline.begins)
        .bind(now)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Hands a job of a held pipeline to its runner.
async fn hand(tx: &mut Tx<'_>, keys: &Keys, handed: &Handed, now: Timestamp) -> Result<()> {
    queue::delete(tx, handed.job).await?;
    tx.query(sql!(
        "UPDATE jobs SET status = 'running', processed = TRUE, started_at = $2, updated_at = $2, acked_at = NULL, runner_id = $3, runner_manager_id = $4, \
         timeout = $5, timeout_source = $6, graceful_cancel = $7 WHERE id = $1"
    ))
    .bind(handed.job)
    .bind(now)
    .bind(handed.runner)
    .bind(handed.manager)
    .bind(handed.timeout)
    .bind(handed.timeout_source)
    .bind(handed.graceful_cancel)
    .later()?;
    tx.query(sql!(
        "INSERT INTO pipeline_events (pipeline_id, position, recorded_at, event) VALUES ($1, $2, $3, $4)"
    ))
    .bind(handed.pipeline)
    .bind(handed.position)
    .bind(now)
    .bind(&handed.event)
    .later()?;
    tx.query(sql!(
        "INSERT INTO running_jobs (job_id, project_id, runner_id, instance_runner, token_hash, token, acked, started_at, seen_at, timeout) \
         VALUES ($1, $2, $3, $4, $5, $6, FALSE, $7, $7, $8)"
    ))
    .bind(handed.job)
    .bind(handed.project)
    .bind(handed.runner)
    .bind(handed.instance_runner)
    .bind(token_hash(&handed.token))
    .bind(keys.encrypt(&handed.token)?)
    .bind(now)
    .bind(handed.timeout)
    .later()
}

/// A claim as one JSON text.
fn document(keys: &Keys, claim: Claim<'_>) -> Result<String> {
    #[derive(Serialize)]
    struct Document<'d> {
        pipelines: Vec<Pipeline>,
        stages: Vec<Stage>,
        jobs: Vec<Row<'d>>,
    }
    #[derive(Serialize)]
    struct Pipeline {
        id: i64,
        version: i64,
        status: Option<&'static str>,
        begins: bool,
    }
    #[derive(Serialize)]
    struct Stage {
        pipeline: i64,
        position: i64,
        status: &'static str,
    }
    #[derive(Serialize)]
    struct Row<'r> {
        job: i64,
        pipeline: i64,
        project: i64,
        runner: i64,
        manager: i64,
        instance: bool,
        hash: String,
        token: String,
        timeout: i64,
        source: &'static str,
        graceful: bool,
        position: i64,
        event: &'r str,
    }
    let pipelines = claim.pipelines.iter().map(|held| Pipeline {
        id: held.id.0,
        version: held.version,
        status: held.status.map(Status::as_str),
        begins: held.begins,
    });
    let stages = claim.stages.iter().map(|stage| Stage {
        pipeline: stage.pipeline.0,
        position: stage.position,
        status: stage.status.as_str(),
    });
    let mut jobs = Vec::with_capacity(claim.jobs.len());
    for handed in claim.jobs {
        jobs.push(Row {
            job: handed.job.0,
            pipeline: handed.pipeline.0,
            project: handed.project.0,
            runner: handed.runner.0,
            manager: handed.manager.0,
            instance: handed.instance_runner,
            hash: hex(&token_hash(&handed.token)),
            token: hex(&keys.encrypt(&handed.token)?),
            timeout: handed.timeout,
            source: handed.timeout_source.as_str(),
            graceful: handed.graceful_cancel,
            position: handed.position,
            event: &handed.event,
        });
    }
    let document = Document {
        pipelines: pipelines.collect(),
        stages: stages.collect(),
        jobs,
    };
    serde_json::to_string(&document).map_err(|error| Error::Engine(error.to_string()))
}

/// The whole claim in one statement. The pipelines are locked in their order; one that another transaction moves meanwhile is looked at
/// again afterwards, and is left alone then.
async fn at_once(
    tx: &mut Tx<'_>,
    document: &str,
    limit: i64,
    now: Timestamp,
    alone: bool,
) -> Result<Vec<PipelineId>> {
    // Not a limit but a hint: without it the planner expects a hundred rows and reads whole tables to find them.
    let statement = tx
        .query(sql!(postgres
            "WITH claim AS MATERIALIZED (SELECT CAST(CAST($1 AS TEXT) AS JSON) AS of), \
             read AS MATERIALIZED (SELECT r.* FROM claim, json_to_recordset(claim.of -> 'pipelines') AS r (id BIGINT, version BIGINT, status TEXT, begins BOOLEAN) LIMIT $3), \
             locked AS (SELECT read.* FROM pipelines JOIN read ON pipelines.id = read.id WHERE pipelines.lock_version = read.version \
              ORDER BY pipelines.id FOR NO KEY UPDATE OF pipelines), \
             held AS (UPDATE pipelines SET lock_version = lock_version + 1, status = COALESCE(locked.status, pipelines.status), \
              updated_at = CASE WHEN locked.status IS NULL THEN updated_at ELSE $2 END, started_at = CASE WHEN locked.begins THEN $2 ELSE started_at END \
              FROM locked WHERE pipelines.id = locked.id RETURNING pipelines.id), \
             moved AS (UPDATE stages SET status = s.status FROM held, \
              (SELECT s.* FROM claim, json_to_recordset(claim.of -> 'stages') AS s (pipeline BIGINT, position BIGINT, status TEXT) LIMIT $3) s \
              WHERE held.id = s.pipeline AND stages.pipeline_id = s.pipeline AND stages.position = s.position), \
             asked AS (SELECT j.* FROM claim, json_to_recordset(claim.of -> 'jobs') AS j (job BIGINT, pipeline BIGINT, project BIGINT, runner BIGINT, \
              manager BIGINT, instance BOOLEAN, hash TEXT, token TEXT, timeout BIGINT, source TEXT, graceful BOOLEAN, position BIGINT, event TEXT) LIMIT $3), \
             handed AS MATERIALIZED (SELECT asked.* FROM asked, held WHERE held.id = asked.pipeline), \
             taken AS (DELETE FROM job_queue USING handed WHERE job_queue.job_id = handed.job), \
             begun AS (UPDATE jobs SET status = 'running', processed = TRUE, started_at = $2, updated_at = $2, acked_at = NULL, runner_id = handed.runner, \
              runner_manager_id = handed.manager, timeout = handed.timeout, timeout_source = handed.source, graceful_cancel = handed.graceful \
              FROM handed WHERE jobs.id = handed.job), \
             told AS (INSERT INTO pipeline_events (pipeline_id, position, recorded_at, event) SELECT pipeline, position, $2, event FROM handed), \
             executing AS (INSERT INTO running_jobs (job_id, project_id, runner_id, instance_runner, token_hash, token, acked, started_at, seen_at, timeout) \
              SELECT job, project, runner, instance, decode(hash, 'hex'), decode(token, 'hex'), FALSE, $2, $2, timeout FROM handed) \
             SELECT id FROM held"
        ))
        .bind(document)
        .bind(now)
        .bind(limit);
    if alone {
        statement.last(|row| row.get(0)).await
    } else {
        statement.all(|row| row.get(0)).await
    }
}
