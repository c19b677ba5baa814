//! The queue of pending script jobs and the table of executing ones.

use std::collections::{BTreeMap, VecDeque};

use footplate_model::{JobId, NamespaceId, PipelineId, ProjectId, RunnerId, Timestamp};
use serde_json::{Value as Json, json};

use crate::{Keys, Result, Row, Topic, Tx, id_list, rows::hex, sql, token_hash};

/// Projects with so many jobs on instance runners are all alike.
const MANY: i64 = 100;

/// What decides which runners may take a pending job.
#[derive(Debug, Clone)]
pub struct Offer {
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

/// Offers jobs to runners that differ in nothing but their ids, and wakes those that wait. One that is offered already stays so.
pub async fn insert(tx: &mut Tx<'_>, offer: &Offer, jobs: &[JobId], now: Timestamp) -> Result<()> {
    tx.wake(Topic::Queue);
    tx.query(sql!(
        "INSERT INTO job_queue (job_id, project_id, pipeline_id, tags_key, protected, instance_runners, group_runners, queued_at) \
         SELECT CAST(value AS BIGINT), $2, $3, $4, $5, $6, $7, $8 FROM json_each($1) WHERE TRUE ON CONFLICT (job_id) DO NOTHING"
    ))
    .bind(id_list(jobs.iter().map(|job| job.0)))
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

/// Takes several jobs out of the queue, for those who claim them; the ones that were still there. `jobs` is a JSON list.
pub async fn take(tx: &mut Tx<'_>, jobs: &str) -> Result<Vec<JobId>> {
    tx.query(sql!(
        "DELETE FROM job_queue WHERE job_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) RETURNING job_id"
    ))
    .bind(jobs)
    .all(|row| row.get(0))
    .await
}

/// The tag sets that are waiting. Steps from one to the next in the index, however many jobs wait.
pub async fn list_tag_sets(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    tx.query(sql!(
        "WITH RECURSIVE sets (tags_key) AS (SELECT MIN(tags_key) FROM job_queue UNION ALL \
         SELECT (SELECT MIN(q.tags_key) FROM job_queue q WHERE q.tags_key > sets.tags_key) FROM sets WHERE sets.tags_key IS NOT NULL) \
         SELECT tags_key FROM sets WHERE tags_key IS NOT NULL"
    ))
    .all(|row| row.get(0))
    .await
}

/// What a runner may take.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Tag sets that it has all tags of, as a JSON list.
    pub tag_sets: String,
    /// Only jobs on protected refs.
    pub protected_only: bool,
    /// Candidates that are looked at.
    pub limit: i64,
}

// Projects with waiting jobs: steps from one to the next in the index.
macro_rules! waiting {
    () => {
        "waiting (id) AS (SELECT MIN(project_id) FROM job_queue UNION ALL \
         SELECT (SELECT MIN(q.project_id) FROM job_queue q WHERE q.project_id > waiting.id) FROM waiting WHERE waiting.id IS NOT NULL) "
    };
}

// `IS TRUE` keeps PostgreSQL from starting at the tags and sorting all that have them: the index by age is walked instead.
// The first job of a waiting project that fits an instance runner; `$1` tag sets, `$2` only protected.
macro_rules! first_for_instance {
    () => {
        "(SELECT q.job_id FROM job_queue q WHERE q.project_id = w.id AND q.instance_runners = TRUE AND (q.tags_key IN (SELECT value FROM json_each($1))) IS TRUE \
         AND ($2 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT 1)"
    };
}

// … and that fits a group runner.
macro_rules! first_for_group {
    () => {
        "(SELECT q.job_id FROM job_queue q WHERE q.project_id = w.id AND q.group_runners = TRUE AND (q.tags_key IN (SELECT value FROM json_each($1))) IS TRUE \
         AND ($2 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT 1)"
    };
}

/// Candidates for an instance runner, fair between projects (`runner-protocol.md §3.2`): each next one is of the project that would
/// have the fewest jobs on instance runners when those before it were taken. A hundred count as many as a thousand.
pub async fn list_for_instance(
    tx: &mut Tx<'_>,
    wanted: &Wanted,
) -> Result<Vec<(JobId, PipelineId)>> {
    let projects: Vec<(ProjectId, i64)> = tx
        .query(sql!(concat!(
            "WITH RECURSIVE ",
            waiting!(),
            "SELECT id, running FROM (SELECT w.id, (SELECT COUNT(*) FROM (SELECT 1 FROM running_jobs r WHERE r.project_id = w.id AND r.instance_runner = TRUE \
             LIMIT 100) counted) AS running, ",
            first_for_instance!(),
            " AS first FROM waiting w WHERE w.id IS NOT NULL) listed WHERE first IS NOT NULL ORDER BY running, first LIMIT $3"
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .bind(wanted.limit)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    let enough = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let mut turns = Turns::default();
    let mut others = projects.into_iter().peekable();
    let mut list = Vec::new();
    while list.len() < enough {
        // Projects are read as their turn comes: those with as many running as the next turn has.
        while let Some((project, running)) =
            others.next_if(|(_, running)| turns.next().is_none_or(|next| *running <= next))
        {
            turns.add(running, of_project(tx, project, wanted).await?);
        }
        match turns.take() {
            Some(next) => list.push(next),
            None => break,
        }
    }
    Ok(list)
}

/// Whose turn it is: waiting jobs by project, the project with the fewest running first, then the one with the oldest job.
#[derive(Default)]
struct Turns(BTreeMap<(i64, JobId), VecDeque<(JobId, PipelineId)>>);

impl Turns {
    fn add(&mut self, running: i64, jobs: impl Into<VecDeque<(JobId, PipelineId)>>) {
        let jobs = jobs.into();
        if let Some((first, _)) = jobs.front() {
            self.0.insert((running, *first), jobs);
        }
    }

    /// How many jobs the project runs whose turn it is.
    fn next(&self) -> Option<i64> {
        self.0.first_key_value().map(|((running, _), _)| *running)
    }

    fn take(&mut self) -> Option<(JobId, PipelineId)> {
        let ((running, _), mut jobs) = self.0.pop_first()?;
        let taken = jobs.pop_front();
        self.add((running + 1).min(MANY), jobs);
        taken
    }
}

/// Candidates for a group runner: projects inside the group and below, oldest first.
pub async fn list_for_group(
    tx: &mut Tx<'_>,
    group: NamespaceId,
    wanted: &Wanted,
) -> Result<Vec<(JobId, PipelineId)>> {
    let projects = tx
        .query(sql!(concat!(
            "WITH RECURSIVE inside (id) AS (SELECT id FROM namespaces WHERE id = $4 UNION ALL \
             SELECT n.id FROM namespaces n JOIN inside i ON n.parent_id = i.id), ",
            waiting!(),
            "SELECT id FROM (SELECT w.id, ",
            first_for_group!(),
            " AS first FROM waiting w JOIN projects p ON p.id = w.id WHERE p.namespace_id IN (SELECT id FROM inside)) listed \
             WHERE first IS NOT NULL ORDER BY first LIMIT $3"
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .bind(wanted.limit)
        .bind(group)
        .all(|row| row.get(0))
        .await?;
    let mut list = of_projects(tx, &projects, wanted).await?;
    list.sort_unstable();
    Ok(list)
}

/// Candidates for a project runner, oldest first.
pub async fn list_for_project_runner(
    tx: &mut Tx<'_>,
    runner: RunnerId,
    wanted: &Wanted,
) -> Result<Vec<(JobId, PipelineId)>> {
    let projects = tx
        .query(sql!(concat!(
            "SELECT id FROM (SELECT w.project_id AS id, ",
            "(SELECT q.job_id FROM job_queue q WHERE q.project_id = w.project_id AND (q.tags_key IN (SELECT value FROM json_each($1))) IS TRUE \
             AND ($2 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT 1)",
            " AS first FROM runner_projects w WHERE w.runner_id = $4) listed WHERE first IS NOT NULL ORDER BY first LIMIT $3"
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .bind(wanted.limit)
        .bind(runner)
        .all(|row| row.get(0))
        .await?;
    let mut list = of_projects(tx, &projects, wanted).await?;
    list.sort_unstable();
    Ok(list)
}

/// The oldest fitting jobs of projects that have some, project by project, until there are enough.
async fn of_projects(
    tx: &mut Tx<'_>,
    projects: &[ProjectId],
    wanted: &Wanted,
) -> Result<Vec<(JobId, PipelineId)>> {
    let enough = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let mut list: Vec<(JobId, PipelineId)> = Vec::new();
    for project in projects {
        if list.len() >= enough {
            break;
        }
        list.extend(of_project(tx, *project, wanted).await?);
    }
    Ok(list)
}

/// The oldest fitting jobs of a project.
async fn of_project(
    tx: &mut Tx<'_>,
    project: ProjectId,
    wanted: &Wanted,
) -> Result<Vec<(JobId, PipelineId)>> {
    tx.query(sql!(
        "SELECT job_id, pipeline_id FROM job_queue WHERE project_id = $1 AND (tags_key IN (SELECT value FROM json_each($2))) IS TRUE \
         AND ($3 = FALSE OR protected = TRUE) ORDER BY job_id LIMIT $4"
    ))
    .bind(project)
    .bind(&wanted.tag_sets)
    .bind(wanted.protected_only)
    .bind(wanted.limit)
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

/// What is written down of a job that a runner takes.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'h> {
    /// The job.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Who takes it.
    pub runner_id: RunnerId,
    /// The runner serves the whole instance.
    pub instance_runner: bool,
    /// The job's token.
    pub token: &'h str,
    /// Seconds.
    pub timeout: i64,
}

/// Writes down that runners have jobs, with the jobs' tokens; one statement for all.
pub async fn insert_running(
    tx: &mut Tx<'_>,
    keys: &Keys,
    handed: &[Handed<'_>],
    now: Timestamp,
) -> Result<()> {
    let mut rows = Vec::with_capacity(handed.len());
    for of in handed {
        rows.push(json!({
            "job": of.job_id, "project": of.project_id, "runner": of.runner_id, "instance": of.instance_runner,
            "hash": hex(&token_hash(of.token)), "token": hex(&keys.encrypt(of.token)?), "timeout": of.timeout,
        }));
    }
    tx.query(sql!(
        "INSERT INTO running_jobs (job_id, project_id, runner_id, instance_runner, token_hash, token, acked, started_at, seen_at, timeout) \
         SELECT CAST(json_extract(value, '$.job') AS BIGINT), CAST(json_extract(value, '$.project') AS BIGINT), CAST(json_extract(value, '$.runner') AS BIGINT), \
         CAST(json_extract(value, '$.instance') AS BOOLEAN), unhex(json_extract(value, '$.hash')), unhex(json_extract(value, '$.token')), FALSE, $2, $2, \
         CAST(json_extract(value, '$.timeout') AS BIGINT) FROM json_each($1)"
    ))
    .bind(Json::from(rows).to_string())
    .bind(now)
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

/// A contact of the runner that took the job; `false` when that was taken back meanwhile.
pub async fn touch_running(tx: &mut Tx<'_>, running: &Running, now: Timestamp) -> Result<bool> {
    let touched = tx
        .query(sql!(
            "UPDATE running_jobs SET seen_at = $3, acked = TRUE WHERE job_id = $1 AND started_at = $2"
        ))
        .bind(running.job_id)
        .bind(running.started_at)
        .bind(now)
        .execute()
        .await?;
    Ok(touched == 1)
}

/// Takes a job back from a runner that was never heard of; `false` when it called meanwhile.
pub async fn delete_unacked(tx: &mut Tx<'_>, job: JobId) -> Result<bool> {
    let deleted = tx
        .query(sql!(
            "DELETE FROM running_jobs WHERE job_id = $1 AND acked = FALSE"
        ))
        .bind(job)
        .execute()
        .await?;
    Ok(deleted == 1)
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

/// Jobs of a project that instance runners execute; counts to six, since more are shown as `5+`.
pub async fn count_running_on_instance(tx: &mut Tx<'_>, project: ProjectId) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM running_jobs WHERE project_id = $1 AND instance_runner = TRUE LIMIT 6) counted"
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

/// How many jobs wait for a runner; counts to a thousand.
pub async fn count_to_thousand(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM job_queue LIMIT 1000) counted"
    ))
    .one("count", |row| row.get(0))
    .await
}

/// How many jobs execute.
pub async fn count_running(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query(sql!("SELECT COUNT(*) FROM running_jobs"))
        .one("count", |row| row.get(0))
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
