//! The queue of pending script jobs and the table of executing ones.

use std::collections::{BTreeMap, VecDeque};

use footplate_model::{JobId, NamespaceId, PipelineId, ProjectId, RunnerId, Timestamp};

use crate::{Asked, Result, Row, Topic, Tx, id_list, sql};

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

// Limits are written into the statements: a planner that knows them need not plan anew for each look.
macro_rules! candidates {
    () => {
        "128"
    };
}
macro_rules! projects {
    () => {
        "64"
    };
}

/// Candidates that a look at the queue brings, at most.
pub const CANDIDATES: usize = number(candidates!());
/// Projects that a look at the queue considers, at most.
const PROJECTS: usize = number(projects!());

const fn number(text: &str) -> usize {
    match usize::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a limit is a number"),
    }
}

/// A job of the queue that a runner may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The job.
    pub job: JobId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its project.
    pub project: ProjectId,
    /// Jobs of its project on instance runners when those before it were taken; 0 for other runners.
    pub running: i64,
}

/// What a runner may take.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Tag sets that it has all tags of, as a JSON list.
    pub tag_sets: String,
    /// Only jobs on protected refs.
    pub protected_only: bool,
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
pub async fn list_for_instance(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<Vec<Candidate>> {
    let projects: Vec<(ProjectId, i64)> = tx
        .query(sql!(concat!(
            "WITH RECURSIVE ",
            waiting!(),
            "SELECT id, running FROM (SELECT w.id, (SELECT COUNT(*) FROM (SELECT 1 FROM running_jobs r WHERE r.project_id = w.id AND r.instance_runner = TRUE \
             LIMIT 100) counted) AS running, ",
            first_for_instance!(),
            " AS first FROM waiting w WHERE w.id IS NOT NULL) listed WHERE first IS NOT NULL ORDER BY running, first LIMIT ",
            projects!()
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    // Beyond it a project that was not considered might be next.
    let last = projects.last().filter(|_| projects.len() == PROJECTS);
    let last = last.map_or(i64::MAX, |(_, running)| *running);
    let mut turns = Turns::default();
    let mut others = projects.into_iter().peekable();
    let mut list = Vec::new();
    while list.len() < CANDIDATES {
        // Projects are read as their turn comes: those with as many running as the next turn has.
        let next = turns.next().or(others.peek().map(|(_, running)| *running));
        let turn = std::iter::from_fn(|| others.next_if(|(_, running)| Some(*running) <= next));
        let turn: Vec<(ProjectId, i64)> = turn.collect();
        let ids = turn.iter().map(|(project, _)| *project);
        let jobs = of_projects(tx, ids, wanted).await?;
        for ((_, running), jobs) in turn.iter().zip(jobs) {
            turns.add(*running, jobs);
        }
        match turns.take(last) {
            Some(next) => list.push(next),
            None => break,
        }
    }
    Ok(list)
}

/// Whose turn it is: waiting jobs by project, the project with the fewest running first, then the one with the oldest job.
#[derive(Default)]
struct Turns(BTreeMap<(i64, JobId), VecDeque<Candidate>>);

impl Turns {
    fn add(&mut self, running: i64, jobs: impl Into<VecDeque<Candidate>>) {
        let jobs = jobs.into();
        if let Some(first) = jobs.front() {
            self.0.insert((running, first.job), jobs);
        }
    }

    /// How many jobs the project runs whose turn it is.
    fn next(&self) -> Option<i64> {
        self.0.first_key_value().map(|((running, _), _)| *running)
    }

    /// The next job, of a project that runs no more than `last`.
    fn take(&mut self, last: i64) -> Option<Candidate> {
        self.next().filter(|running| *running <= last)?;
        let ((running, _), mut jobs) = self.0.pop_first()?;
        let taken = jobs.pop_front();
        self.add((running + 1).min(MANY), jobs);
        taken.map(|taken| Candidate { running, ..taken })
    }
}

/// Candidates for a group runner: projects inside the group and below, oldest first.
pub async fn list_for_group(
    tx: &mut Tx<'_>,
    group: NamespaceId,
    wanted: &Wanted,
) -> Result<Vec<Candidate>> {
    let projects = tx
        .query(sql!(concat!(
            "WITH RECURSIVE inside (id) AS (SELECT id FROM namespaces WHERE id = $3 UNION ALL \
             SELECT n.id FROM namespaces n JOIN inside i ON n.parent_id = i.id), ",
            waiting!(),
            "SELECT id, first FROM (SELECT w.id, ",
            first_for_group!(),
            " AS first FROM waiting w JOIN projects p ON p.id = w.id WHERE p.namespace_id IN (SELECT id FROM inside)) listed \
             WHERE first IS NOT NULL ORDER BY first LIMIT ",
            projects!()
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .bind(group)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    oldest(tx, &projects, wanted).await
}

/// Candidates for a project runner, oldest first.
pub async fn list_for_project_runner(
    tx: &mut Tx<'_>,
    runner: RunnerId,
    wanted: &Wanted,
) -> Result<Vec<Candidate>> {
    let projects = tx
        .query(sql!(concat!(
            "SELECT id, first FROM (SELECT w.project_id AS id, ",
            "(SELECT q.job_id FROM job_queue q WHERE q.project_id = w.project_id AND (q.tags_key IN (SELECT value FROM json_each($1))) IS TRUE \
             AND ($2 = FALSE OR q.protected = TRUE) ORDER BY q.job_id LIMIT 1)",
            " AS first FROM runner_projects w WHERE w.runner_id = $3) listed WHERE first IS NOT NULL ORDER BY first LIMIT ",
            projects!()
        )))
        .bind(&wanted.tag_sets)
        .bind(wanted.protected_only)
        .bind(runner)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    oldest(tx, &projects, wanted).await
}

/// The oldest fitting jobs of projects that come with the first of each, the oldest first.
async fn oldest(
    tx: &mut Tx<'_>,
    projects: &[(ProjectId, JobId)],
    wanted: &Wanted,
) -> Result<Vec<Candidate>> {
    let ids = projects.iter().map(|(project, _)| *project);
    let mut list: Vec<Candidate> = of_projects(tx, ids, wanted).await?.concat();
    list.sort_unstable();
    list.truncate(CANDIDATES);
    if let Some((_, last)) = projects.last().filter(|_| projects.len() == PROJECTS) {
        // Beyond it a job of a project that was not considered might be older.
        list.retain(|candidate| candidate.job <= *last);
    }
    Ok(list)
}

/// The oldest fitting jobs of each project.
async fn of_projects(
    tx: &mut Tx<'_>,
    projects: impl IntoIterator<Item = ProjectId>,
    wanted: &Wanted,
) -> Result<Vec<Vec<Candidate>>> {
    let mut asked = Vec::new();
    for project in projects {
        let of = tx.query(sql!(concat!(
            "SELECT job_id, pipeline_id FROM job_queue WHERE project_id = $1 AND (tags_key IN (SELECT value FROM json_each($2))) IS TRUE \
             AND ($3 = FALSE OR protected = TRUE) ORDER BY job_id LIMIT ",
            candidates!()
        )));
        let of = of
            .bind(project)
            .bind(&wanted.tag_sets)
            .bind(wanted.protected_only);
        asked.push(of.ask(move |row| {
            Ok(Candidate {
                project,
                job: row.get(0)?,
                pipeline: row.get(1)?,
                running: 0,
            })
        })?);
    }
    let mut lists = Vec::with_capacity(asked.len());
    for asked in asked {
        lists.push(asked.all(tx).await?);
    }
    Ok(lists)
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

/// How many jobs wait for a runner.
pub async fn count(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query(sql!("SELECT COUNT(*) FROM job_queue"))
        .one("count", |row| row.get(0))
        .await
}

/// How many jobs wait for a runner; counts to a thousand.
pub fn ask_count_to_thousand(tx: &mut Tx<'_>) -> Result<Asked<i64>> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM job_queue LIMIT 1000) counted"
    ))
    .ask(|row| row.get(0))
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
