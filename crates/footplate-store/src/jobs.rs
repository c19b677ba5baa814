//! Jobs of every kind.

use footplate_model::{
    ArtifactSummary, Job, JobId, JobKind, PipelineId, ProjectId, Status, Timestamp, UserId,
};

pub use crate::job_lists::{
    count_of_pipeline, list_named, list_of_commit, list_of_project, list_of_runner,
    page_of_pipeline,
};
use crate::{Asked, Columns, Result, Row, Tx, sql};

macro_rules! job_columns {
    () => {
        "id, kind, project_id, pipeline_id, name, stage, stage_idx, status, when_, allow_failure, scheduling_type, needs, ref, tag, protected, user_id, tag_list, \
         definition_id, start_in, environment, resource_group, interruptible, retried, processed, enqueue_immediately, exit_code, failure_reason, coverage, \
         coverage_regex, created_at, updated_at, queued_at, started_at, finished_at, scheduled_at, erased_at, erased_by, runner_id, runner_manager_id, timeout, \
         timeout_source, acked_at, graceful_cancel, debug, has_trace, trace_size, trace_resends, artifacts, artifacts_expire_at, artifacts_access, \
         downstream_pipeline_id, bridge_errors, target_url, description"
    };
}
pub(crate) use job_columns;

pub(crate) fn read(row: &Row<'_>) -> Result<Job> {
    read_columns(&mut row.columns())
}

fn read_columns(c: &mut Columns<'_>) -> Result<Job> {
    Ok(Job {
        id: c.next()?,
        kind: c.next()?,
        project_id: c.next()?,
        pipeline_id: c.next()?,
        name: c.next()?,
        stage: c.next()?,
        stage_idx: c.next()?,
        status: c.next()?,
        when: c.next()?,
        allow_failure: c.next()?,
        scheduling_type: c.next()?,
        needs: c.json()?,
        ref_name: c.next()?,
        tag: c.next()?,
        protected: c.next()?,
        user_id: c.next()?,
        tag_list: c.json()?,
        definition_id: c.next()?,
        start_in: c.next()?,
        environment: c.next()?,
        resource_group: c.next()?,
        interruptible: c.next()?,
        retried: c.next()?,
        processed: c.next()?,
        enqueue_immediately: c.next()?,
        exit_code: c.next()?,
        failure_reason: c.next()?,
        coverage: c.next()?,
        coverage_regex: c.next()?,
        created_at: c.next()?,
        updated_at: c.next()?,
        queued_at: c.next()?,
        started_at: c.next()?,
        finished_at: c.next()?,
        scheduled_at: c.next()?,
        erased_at: c.next()?,
        erased_by: c.next()?,
        runner_id: c.next()?,
        runner_manager_id: c.next()?,
        timeout: c.next()?,
        timeout_source: c.next()?,
        acked_at: c.next()?,
        graceful_cancel: c.next()?,
        debug: c.next()?,
        has_trace: c.next()?,
        trace_size: c.next()?,
        trace_resends: c.next()?,
        artifacts: c.json()?,
        artifacts_expire_at: c.next()?,
        artifacts_access: c.next()?,
        downstream_pipeline_id: c.next()?,
        bridge_errors: c.next()?,
        target_url: c.next()?,
        description: c.next()?,
    })
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A compiled definition.
pub async fn find_definition(tx: &mut Tx<'_>, id: i64) -> Result<Option<String>> {
    tx.query(sql!("SELECT definition FROM job_definitions WHERE id = $1"))
        .bind(id)
        .optional(|row| row.get(0))
        .await
}

/// A job of the queue with what stands around it when it is claimed.
#[derive(Debug)]
pub struct Waiting {
    /// The job.
    pub job: Job,
    /// What it was compiled to; empty where that is gone.
    pub definition: String,
    /// Status of its stage.
    pub stage: Option<Status>,
    /// It has variables of its own.
    pub variables: bool,
}

/// Those of several jobs that are in the queue, by id; `ids` is a JSON list.
pub fn ask_waiting(tx: &mut Tx<'_>, ids: &str) -> Result<Asked<Waiting>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        ", (SELECT d.definition FROM job_definitions d WHERE d.id = jobs.definition_id), \
         (SELECT s.status FROM stages s WHERE s.pipeline_id = jobs.pipeline_id AND s.position = jobs.stage_idx), \
         EXISTS (SELECT 1 FROM job_variables v WHERE v.job_id = jobs.id) \
         FROM jobs WHERE id IN (SELECT job_id FROM job_queue WHERE job_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))) ORDER BY id"
    )))
    .bind(ids)
    .ask(|row| {
        let mut c = row.columns();
        Ok(Waiting {
            job: read_columns(&mut c)?,
            definition: c.next::<Option<String>>()?.unwrap_or_default(),
            stage: c.next()?,
            variables: c.next()?,
        })
    })
}

/// The jobs of a pipeline that others may take something from: attempts that count, in stages before `stage` or with one of the names (a
/// JSON list), that have artifacts, had some, or have variables to pass on. By id.
pub fn ask_giving(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    stage: i64,
    names: &str,
) -> Result<Asked<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE pipeline_id = $1 AND retried = FALSE AND (stage_idx < $2 OR name IN (SELECT value FROM json_each($3))) \
         AND (artifacts <> '[]' OR erased_at IS NOT NULL OR EXISTS (SELECT 1 FROM job_variables v WHERE v.job_id = jobs.id AND v.dotenv = TRUE)) ORDER BY id"
    )))
    .bind(pipeline)
    .bind(stage)
    .bind(names)
    .ask(read)
}

/// All compiled definitions of a pipeline, by id.
pub async fn list_definitions(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<(i64, String)>> {
    tx.query(sql!(
        "SELECT id, definition FROM job_definitions WHERE pipeline_id = $1 ORDER BY id"
    ))
    .bind(pipeline)
    .all(|row| Ok((row.get(0)?, row.get(1)?)))
    .await
}

/// Jobs whose ids differ only in the last 8 bits are counted together (`job_counts`).
pub(crate) const BUCKET: i64 = 256;
/// So many buckets are summed up once more (`job_sums`).
pub(crate) const BUCKETS: i64 = 64;

/// Inserts one job as it is but for its id; those of a new pipeline: [`crate::new_jobs`].
pub async fn insert(tx: &mut Tx<'_>, new: &Job) -> Result<JobId> {
    let id = insert_row(tx, new).await?;
    if new.kind == JobKind::Build {
        count(tx, new.project_id, &[id]).await?;
    }
    Ok(id)
}

/// Takes new jobs into the counts, with one statement for all that are counted together.
pub(crate) async fn count(tx: &mut Tx<'_>, project: ProjectId, ids: &[JobId]) -> Result<()> {
    for (bucket, jobs) in together(ids, BUCKET) {
        tx.query(sql!(
            "INSERT INTO job_counts (project_id, bucket, jobs) VALUES ($1, $2, $3) \
             ON CONFLICT (project_id, bucket) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs"
        ))
        .bind(project)
        .bind(bucket)
        .bind(jobs)
        .execute()
        .await?;
    }
    for (bucket, jobs) in together(ids, BUCKET * BUCKETS) {
        tx.query(sql!(
            "INSERT INTO job_sums (project_id, bucket, jobs) VALUES ($1, $2, $3) \
             ON CONFLICT (project_id, bucket) DO UPDATE SET jobs = job_sums.jobs + excluded.jobs"
        ))
        .bind(project)
        .bind(bucket)
        .bind(jobs)
        .execute()
        .await?;
    }
    Ok(())
}

/// Buckets of so many ids each, with how many of these are in them; ids that follow each other are counted at once.
fn together(ids: &[JobId], size: i64) -> impl Iterator<Item = (i64, i64)> {
    let bucket = move |id: &JobId| id.0 / size;
    ids.chunk_by(move |one, other| bucket(one) == bucket(other))
        .map(move |ids| {
            let jobs = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            (bucket(&ids[0]), jobs)
        })
}

/// Takes the jobs of a pipeline that goes out of the counts.
pub(crate) async fn discount(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<()> {
    tx.query(sql!(
        "UPDATE job_counts SET jobs = jobs - (SELECT COUNT(*) FROM jobs j WHERE j.pipeline_id = $1 AND j.kind = 'build' AND j.id / 256 = job_counts.bucket) \
         WHERE project_id = (SELECT project_id FROM pipelines WHERE id = $1) \
         AND bucket IN (SELECT j.id / 256 FROM jobs j WHERE j.pipeline_id = $1 AND j.kind = 'build')"
    ))
    .bind(pipeline)
    .execute()
    .await?;
    tx.query(sql!(
        "UPDATE job_sums SET jobs = jobs - (SELECT COUNT(*) FROM jobs j WHERE j.pipeline_id = $1 AND j.kind = 'build' AND j.id / 16384 = job_sums.bucket) \
         WHERE project_id = (SELECT project_id FROM pipelines WHERE id = $1) \
         AND bucket IN (SELECT j.id / 16384 FROM jobs j WHERE j.pipeline_id = $1 AND j.kind = 'build')"
    ))
    .bind(pipeline)
    .execute()
    .await?;
    Ok(())
}

async fn insert_row(tx: &mut Tx<'_>, new: &Job) -> Result<JobId> {
    tx.query(sql!(
        "INSERT INTO jobs (kind, project_id, pipeline_id, name, stage, stage_idx, status, when_, allow_failure, scheduling_type, needs, ref, tag, protected, \
         user_id, tag_list, definition_id, start_in, environment, resource_group, interruptible, processed, enqueue_immediately, coverage, coverage_regex, created_at, \
         updated_at, debug, artifacts_access, target_url, description, queued_at, started_at, finished_at, failure_reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $26, $27, $28, $29, $30, \
         $31, $32, $33, $34) RETURNING id"
    ))
    .bind(new.kind)
    .bind(new.project_id)
    .bind(new.pipeline_id)
    .bind(&new.name)
    .bind(&new.stage)
    .bind(new.stage_idx)
    .bind(new.status)
    .bind(new.when)
    .bind(new.allow_failure)
    .bind(new.scheduling_type)
    .bind(json(&new.needs))
    .bind(&new.ref_name)
    .bind(new.tag)
    .bind(new.protected)
    .bind(new.user_id)
    .bind(json(&new.tag_list))
    .bind(new.definition_id)
    .bind(new.start_in)
    .bind(&new.environment)
    .bind(&new.resource_group)
    .bind(new.interruptible)
    .bind(new.processed)
    .bind(new.enqueue_immediately)
    .bind(new.coverage)
    .bind(&new.coverage_regex)
    .bind(new.created_at)
    .bind(new.debug)
    .bind(new.artifacts_access)
    .bind(&new.target_url)
    .bind(&new.description)
    .bind(new.queued_at)
    .bind(new.started_at)
    .bind(new.finished_at)
    .bind(new.failure_reason)
    .one("job", |row| row.get(0))
    .await
}

/// The job with this id, of any kind.
pub async fn find(tx: &mut Tx<'_>, id: JobId) -> Result<Option<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// All jobs of a pipeline, retried ones included, by id.
pub async fn list_of_pipeline(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE pipeline_id = $1 ORDER BY id"
    )))
    .bind(pipeline)
    .all(read)
    .await
}

/// What counts of a job for its pipeline as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Status.
    pub status: Status,
    /// A failure does not count.
    pub allow_failure: bool,
    /// Coverage that its trace told.
    pub coverage: Option<f64>,
}

/// The outcomes of a pipeline's jobs, retried ones left out, by id.
pub async fn list_outcomes(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<Outcome>> {
    tx.query(sql!(
        "SELECT status, allow_failure, coverage FROM jobs WHERE pipeline_id = $1 AND retried = FALSE ORDER BY id"
    ))
    .bind(pipeline)
    .all(|row| {
        Ok(Outcome {
            status: row.get(0)?,
            allow_failure: row.get(1)?,
            coverage: row.get(2)?,
        })
    })
    .await
}

/// Several jobs; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) ORDER BY id"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Writes everything that the engine moves.
pub async fn update_movement(tx: &mut Tx<'_>, job: &Job, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET status = $2, allow_failure = $3, user_id = $4, retried = $5, processed = $6, enqueue_immediately = $7, exit_code = $8, failure_reason = $9, \
         queued_at = $10, started_at = $11, finished_at = $12, scheduled_at = $13, runner_id = $14, runner_manager_id = $15, updated_at = $16 WHERE id = $1"
    ))
    .bind(job.id)
    .bind(job.status)
    .bind(job.allow_failure)
    .bind(job.user_id)
    .bind(job.retried)
    .bind(job.processed)
    .bind(job.enqueue_immediately)
    .bind(job.exit_code)
    .bind(job.failure_reason)
    .bind(job.queued_at)
    .bind(job.started_at)
    .bind(job.finished_at)
    .bind(job.scheduled_at)
    .bind(job.runner_id)
    .bind(job.runner_manager_id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The runner's first authenticated call for the job.
pub async fn set_acked(tx: &mut Tx<'_>, id: JobId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET acked_at = $2 WHERE id = $1 AND acked_at IS NULL"
    ))
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The first bytes of a trace arrived.
pub async fn set_has_trace(tx: &mut Tx<'_>, id: JobId, debug: bool) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET has_trace = TRUE, debug = (debug OR $2) WHERE id = $1"
    ))
    .bind(id)
    .bind(debug)
    .execute()
    .await?;
    Ok(())
}

/// What is known when a job has ended.
pub async fn set_ending(
    tx: &mut Tx<'_>,
    id: JobId,
    has_trace: bool,
    trace_size: Option<i64>,
    coverage: Option<f64>,
) -> Result<()> {
    tx.query(sql!("UPDATE jobs SET has_trace = $2, trace_size = $3, coverage = COALESCE($4, coverage) WHERE id = $1"))
        .bind(id)
        .bind(has_trace)
        .bind(trace_size)
        .bind(coverage)
        .execute()
        .await?;
    Ok(())
}

/// Counts a 412; the new count.
pub async fn count_trace_resend(tx: &mut Tx<'_>, id: JobId) -> Result<i64> {
    tx.query(sql!(
        "UPDATE jobs SET trace_resends = trace_resends + 1 WHERE id = $1 RETURNING trace_resends"
    ))
    .bind(id)
    .one("job", |row| row.get(0))
    .await
}

/// Writes the artifact summary.
pub async fn set_artifacts(
    tx: &mut Tx<'_>,
    id: JobId,
    artifacts: &[ArtifactSummary],
    expire_at: Option<Timestamp>,
) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET artifacts = $2, artifacts_expire_at = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(serde_json::to_string(artifacts).unwrap_or_default())
    .bind(expire_at)
    .execute()
    .await?;
    Ok(())
}

/// Marks a job as erased: no trace, no artifacts.
pub async fn set_erased(
    tx: &mut Tx<'_>,
    id: JobId,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET erased_at = $2, erased_by = $3, has_trace = FALSE, trace_size = NULL, artifacts = '[]', artifacts_expire_at = NULL, updated_at = $2 WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .bind(by)
    .execute()
    .await?;
    Ok(())
}

/// The downstream pipeline of a bridge, or why there is none.
pub async fn set_downstream(
    tx: &mut Tx<'_>,
    id: JobId,
    pipeline: Option<PipelineId>,
    errors: Option<&str>,
) -> Result<()> {
    tx.query(sql!(
        "UPDATE jobs SET downstream_pipeline_id = $2, bridge_errors = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(pipeline)
    .bind(errors)
    .execute()
    .await?;
    Ok(())
}

/// Delayed jobs whose time has come.
pub async fn list_overdue(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!("SELECT id, pipeline_id FROM jobs WHERE status = 'scheduled' AND scheduled_at <= $1 ORDER BY scheduled_at LIMIT $2"))
        .bind(now)
        .bind(limit)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// Bridges that are pending or running: the tick looks whether their downstream moved without them.
pub async fn list_waiting_bridges(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!(
        "SELECT j.id, j.pipeline_id FROM jobs j JOIN pipelines p ON p.id = j.pipeline_id WHERE j.kind = 'bridge' AND j.status IN ('pending', 'running') \
         AND p.status IN ('created', 'waiting_for_resource', 'preparing', 'pending', 'running', 'canceling', 'manual', 'scheduled') ORDER BY j.id LIMIT $1"
    ))
    .bind(limit)
    .all(|row| Ok((row.get(0)?, row.get(1)?)))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_one_bucket_are_counted_at_once() {
        let ids: Vec<JobId> = (252..=514).map(JobId).collect();
        let counted: Vec<_> = together(&ids, BUCKET).collect();
        assert_eq!(counted, [(0, 4), (1, 256), (2, 3)]);
        // Others took ids in between.
        let ids = [5, BUCKET, 6].map(JobId);
        let counted: Vec<_> = together(&ids, BUCKET).collect();
        assert_eq!(counted, [(0, 1), (1, 1), (0, 1)]);
        assert_eq!(together(&[], BUCKET).count(), 0);
    }
}
