//! The queue of pending script jobs and the table of executing ones.

use footplate_model::{JobId, NamespaceId, PipelineId, ProjectId, RunnerId, Timestamp};

use crate::{Keys, Result, Row, Topic, Tx, sql, token_hash};

/// A pending job that runners may take.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The job.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its sorted tags as a JSON list.
    pub tags_key: String,
    /// It runs on a protected ref.
    pub protected: bool,
    /// Instance runners may take it.
    pub instance_runners: bool,
    /// Group runners may take it.
    pub group_runners: bool,
}

/// Offers a job to runners and wakes those that wait.
pub async fn insert(tx: &mut Tx<'_>, offer: &Offer, now: Timestamp) -> Result<()> {
    tx.wake(Topic::Queue);
    tx.query(sql!(
        "INSERT INTO job_queue (job_id, project_id, pipeline_id, tags_key, protected, instance_runners, group_runners, queued_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id) DO NOTHING"
    ))
    .bind(offer.job_id)
    .bind(offer.project_id)
    .bind(offer.pipeline_id)
    .bind(&offer.tags_key)
    .bind(offer.protected)
    .bind(offer.instance_runners)
    .bind(offer.group_runners)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Takes a job out of the queue; `false` if another was first.
pub async fn delete(tx: &mut Tx<'_>, job: JobId) -> Result<bool> {
    Ok(tx
        .query(sql!("DELETE FROM job_queue WHERE job_id = $1"))
        .bind(job)
        .execute()
        .await?
        == 1)
}

/// The tag sets that are waiting.
pub async fn list_tag_sets(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    tx.query(sql!("SELECT DISTINCT tags_key FROM job_queue"))
        .all(|row| row.get(0))
        .await
}

/// Candidates for an instance runner, fair between projects (`runner-protocol.md §3.2`); `tag_sets` is a JSON list.
pub async fn list_for_instance(
    tx: &mut Tx<'_>,
    tag_sets: &str,
    protected_only: bool,
    limit: i64,
) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!(
        "SELECT q.job_id, q.pipeline_id FROM job_queue q LEFT JOIN (SELECT project_id, COUNT(*) AS running FROM running_jobs WHERE instance_runner = TRUE \
         GROUP BY project_id) r ON r.project_id = q.project_id WHERE q.instance_runners = TRUE AND q.tags_key IN (SELECT value FROM json_each($1)) \
         AND ($2 = FALSE OR q.protected = TRUE) ORDER BY COALESCE(r.running, 0), q.job_id LIMIT $3"
    ))
    .bind(tag_sets)
    .bind(protected_only)
    .bind(limit)
    .all(|row| Ok((row.get(0)?, row.get(1)?)))
    .await
}

/// Candidates for a group runner: projects inside the group and below.
pub async fn list_for_group(
    tx: &mut Tx<'_>,
    group: NamespaceId,
    tag_sets: &str,
    protected_only: bool,
    limit: i64,
) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!(
        "WITH RECURSIVE inside (id) AS (SELECT id FROM namespaces WHERE id = $1 UNION ALL SELECT n.id FROM namespaces n JOIN inside i ON n.parent_id = i.id) \
         SELECT q.job_id, q.pipeline_id FROM job_queue q JOIN projects p ON p.id = q.project_id WHERE p.namespace_id IN (SELECT id FROM inside) \
         AND q.group_runners = TRUE AND q.tags_key IN (SELECT value FROM json_each($2)) AND ($3 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT $4"
    ))
    .bind(group)
    .bind(tag_sets)
    .bind(protected_only)
    .bind(limit)
    .all(|row| Ok((row.get(0)?, row.get(1)?)))
    .await
}

/// Candidates for a project runner.
pub async fn list_for_project_runner(
    tx: &mut Tx<'_>,
    runner: RunnerId,
    tag_sets: &str,
    protected_only: bool,
    limit: i64,
) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!(
        "SELECT q.job_id, q.pipeline_id FROM job_queue q JOIN runner_projects a ON a.project_id = q.project_id WHERE a.runner_id = $1 \
         AND q.tags_key IN (SELECT value FROM json_each($2)) AND ($3 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT $4"
    ))
    .bind(runner)
    .bind(tag_sets)
    .bind(protected_only)
    .bind(limit)
    .all(|row| Ok((row.get(0)?, row.get(1)?)))
    .await
}

/// Jobs that have waited since before `before`.
pub async fn list_older(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(JobId, PipelineId, Timestamp)>> {
    tx.query(sql!("SELECT job_id, pipeline_id, queued_at FROM job_queue WHERE queued_at <= $1 ORDER BY queued_at LIMIT $2"))
        .bind(before)
        .bind(limit)
        .all(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .await
}

/// An executing job.
#[derive(Debug, Clone)]
pub struct Running {
    /// The job.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Who has it.
    pub runner_id: RunnerId,
    /// The runner has called for it.
    pub acked: bool,
    /// When it was handed out.
    pub started_at: Timestamp,
    /// Last contact.
    pub seen_at: Timestamp,
    /// Seconds.
    pub timeout: i64,
}

fn read(row: &Row<'_>) -> Result<Running> {
    let mut c = row.columns();
    Ok(Running {
        job_id: c.next()?,
        project_id: c.next()?,
        runner_id: c.next()?,
        acked: c.next()?,
        started_at: c.next()?,
        seen_at: c.next()?,
        timeout: c.next()?,
    })
}

/// Writes down that a runner has a job, with the job's token.
pub async fn insert_running(
    tx: &mut Tx<'_>,
    keys: &Keys,
    running: &Running,
    instance_runner: bool,
    token: &str,
) -> Result<()> {
    tx.query(sql!(
        "INSERT INTO running_jobs (job_id, project_id, runner_id, instance_runner, token_hash, token, acked, started_at, seen_at, timeout) \
         VALUES ($1, $2, $3, $4, $5, $6, FALSE, $7, $7, $8)"
    ))
    .bind(running.job_id)
    .bind(running.project_id)
    .bind(running.runner_id)
    .bind(instance_runner)
    .bind(token_hash(token))
    .bind(keys.encrypt(token)?)
    .bind(running.started_at)
    .bind(running.timeout)
    .execute()
    .await?;
    Ok(())
}

/// The executing job with this token.
pub async fn find_running_by_token(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<Running>> {
    tx.query(sql!("SELECT job_id, project_id, runner_id, acked, started_at, seen_at, timeout FROM running_jobs WHERE token_hash = $1"))
        .bind(hash)
        .optional(read)
        .await
}

/// The row of an executing job.
pub async fn find_running(tx: &mut Tx<'_>, job: JobId) -> Result<Option<Running>> {
    tx.query(sql!("SELECT job_id, project_id, runner_id, acked, started_at, seen_at, timeout FROM running_jobs WHERE job_id = $1"))
        .bind(job)
        .optional(read)
        .await
}

/// The token of an executing job, which is masked in its trace.
pub async fn find_running_token(
    tx: &mut Tx<'_>,
    keys: &Keys,
    job: JobId,
) -> Result<Option<String>> {
    let sealed = tx
        .query(sql!("SELECT token FROM running_jobs WHERE job_id = $1"))
        .bind(job)
        .optional(|row| row.get::<Vec<u8>>(0))
        .await?;
    sealed.map(|sealed| keys.decrypt(&sealed)).transpose()
}

/// A contact of the runner.
pub async fn touch_running(tx: &mut Tx<'_>, job: JobId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE running_jobs SET seen_at = $2, acked = TRUE WHERE job_id = $1"
    ))
    .bind(job)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The job no longer executes; its token is dead.
pub async fn delete_running(tx: &mut Tx<'_>, job: JobId) -> Result<()> {
    tx.query(sql!("DELETE FROM running_jobs WHERE job_id = $1"))
        .bind(job)
        .execute()
        .await?;
    Ok(())
}

/// Every executing job.
pub async fn list_running(tx: &mut Tx<'_>) -> Result<Vec<Running>> {
    tx.query(sql!("SELECT job_id, project_id, runner_id, acked, started_at, seen_at, timeout FROM running_jobs ORDER BY job_id")).all(read).await
}

/// An outage of ours does not count as silence of theirs: moves every last contact to the present.
pub async fn touch_all_running(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64> {
    tx.query(sql!("UPDATE running_jobs SET seen_at = $1"))
        .bind(now)
        .execute()
        .await
}

/// How many jobs a runner executes.
pub async fn count_running_of_runner(tx: &mut Tx<'_>, runner: RunnerId) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM running_jobs WHERE runner_id = $1"
    ))
    .bind(runner)
    .one("count", |row| row.get(0))
    .await
}

/// Jobs of a project that instance runners execute.
pub async fn count_running_on_instance(tx: &mut Tx<'_>, project: ProjectId) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM running_jobs WHERE project_id = $1 AND instance_runner = TRUE"
    ))
    .bind(project)
    .one("count", |row| row.get(0))
    .await
}

/// How many jobs wait for a runner.
pub async fn count(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query(sql!("SELECT COUNT(*) FROM job_queue"))
        .one("count", |row| row.get(0))
        .await
}

/// How many jobs execute.
pub async fn count_running(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query(sql!("SELECT COUNT(*) FROM running_jobs"))
        .one("count", |row| row.get(0))
        .await
}

/// The offer of a job that waits.
pub async fn find(tx: &mut Tx<'_>, job: JobId) -> Result<Option<Offer>> {
    tx.query(sql!(
        "SELECT job_id, project_id, pipeline_id, tags_key, protected, instance_runners, group_runners FROM job_queue WHERE job_id = $1"
    ))
    .bind(job)
    .optional(|row| {
        let mut c = row.columns();
        Ok(Offer {
            job_id: c.next()?,
            project_id: c.next()?,
            pipeline_id: c.next()?,
            tags_key: c.next()?,
            protected: c.next()?,
            instance_runners: c.next()?,
            group_runners: c.next()?,
        })
    })
    .await
}

/// Writes a project's switches into the offers that wait: instance and group runners may or may not take them from now on.
pub async fn set_switches(
    tx: &mut Tx<'_>,
    project: ProjectId,
    instance_runners: bool,
    group_runners: bool,
) -> Result<()> {
    tx.wake(Topic::Queue);
    tx.query(sql!(
        "UPDATE job_queue SET instance_runners = $2, group_runners = $3 WHERE project_id = $1"
    ))
    .bind(project)
    .bind(instance_runners)
    .bind(group_runners)
    .execute()
    .await?;
    Ok(())
}
