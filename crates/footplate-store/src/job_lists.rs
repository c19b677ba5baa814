//! Lists of jobs. None counts a project's jobs, and none walks to where its page begins.

use std::collections::BTreeSet;

use footplate_model::{Job, JobKind, PipelineId, ProjectId, RunnerId, Status};

use crate::{
    Error, Result, Tx,
    jobs::{BUCKET, BUCKETS, job_columns, read},
    sql,
};

/// A page of a project's script jobs, retried ones included, newest first. `beyond` is the last id of the page before;
/// `statuses` a JSON list, `None` = all. Never counts.
pub async fn list_of_project(
    tx: &mut Tx<'_>,
    project: ProjectId,
    statuses: Option<&str>,
    beyond: Option<i64>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Job>> {
    let last = beyond.unwrap_or(i64::MAX);
    match statuses {
        Some(statuses) => {
            list_by_statuses(tx, project, &parse(statuses)?, last, limit, offset).await
        }
        None if beyond.is_none() && offset >= BUCKET => {
            match find_bucket(tx, project, offset).await? {
                Some((last, offset)) => list_all(tx, project, last, limit, offset).await,
                None => Ok(Vec::new()),
            }
        }
        None => list_all(tx, project, last, limit, offset).await,
    }
}

async fn list_all(
    tx: &mut Tx<'_>,
    project: ProjectId,
    last: i64,
    limit: i64,
    offset: i64,
) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE project_id = $1 AND kind = 'build' AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4"
    )))
    .bind(project)
    .bind(last)
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// Where a page far down begins: the id before which to look, and the rest of the offset, which is less than a bucket.
async fn find_bucket(
    tx: &mut Tx<'_>,
    project: ProjectId,
    offset: i64,
) -> Result<Option<(i64, i64)>> {
    let sums: Vec<(i64, i64)> = tx
        .query(sql!(
            "SELECT bucket, jobs FROM job_sums WHERE project_id = $1 ORDER BY bucket DESC"
        ))
        .bind(project)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    let Some((sum, offset)) = descend(&sums, offset) else {
        return Ok(None);
    };
    let counts: Vec<(i64, i64)> = tx
        .query(sql!(
            "SELECT bucket, jobs FROM job_counts WHERE project_id = $1 AND bucket >= $2 AND bucket < $3 ORDER BY bucket DESC"
        ))
        .bind(project)
        .bind(sum * BUCKETS)
        .bind((sum + 1) * BUCKETS)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    Ok(descend(&counts, offset).map(|(bucket, offset)| ((bucket + 1) * BUCKET, offset)))
}

/// The bucket in which an offset ends, and what is left of it there.
fn descend(counts: &[(i64, i64)], mut offset: i64) -> Option<(i64, i64)> {
    for (bucket, jobs) in counts {
        if offset < *jobs {
            return Some((*bucket, offset));
        }
        offset -= jobs;
    }
    None
}

/// Statuses of a JSON list; words that are none find nothing.
fn parse(statuses: &str) -> Result<BTreeSet<Status>> {
    let words: Vec<String> = serde_json::from_str(statuses)
        .map_err(|error| Error::Engine(format!("statuses are not a JSON list: {error}")))?;
    Ok(words
        .iter()
        .filter_map(|word| Status::parse(word))
        .collect())
}

// One ordered index range for each of the 13 statuses, merged as they are read: the page costs the same wherever its rows are.
macro_rules! of_each_status {
    () => {
        "SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $5 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $6 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $7 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $8 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $9 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $10 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $11 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $12 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $13 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $14 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $15 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $16 AND id < $2 UNION ALL \
         SELECT id FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $17 AND id < $2"
    };
}

async fn list_by_statuses(
    tx: &mut Tx<'_>,
    project: ProjectId,
    statuses: &BTreeSet<Status>,
    last: i64,
    limit: i64,
    offset: i64,
) -> Result<Vec<Job>> {
    let one = statuses.len() == 1;
    let query = if one {
        tx.query(sql!(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE project_id = $1 AND kind = 'build' AND status = $5 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4"
        )))
    } else {
        tx.query(sql!(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE id IN (",
            of_each_status!(),
            " ORDER BY 1 DESC LIMIT $3 OFFSET $4) ORDER BY id DESC"
        )))
    };
    let mut query = query.bind(project).bind(last).bind(limit).bind(offset);
    let places = if one { 1 } else { Status::ALL.len() };
    let mut given = statuses.iter();
    for _ in 0..places {
        query = query.bind(given.next().copied());
    }
    query.all(read).await
}

/// The latest attempts of script jobs with this name in the pipelines of a JSON list, oldest pipeline first.
pub async fn list_named(tx: &mut Tx<'_>, pipelines: &str, name: &str) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE pipeline_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) AND name = $2 AND kind = 'build' AND retried = FALSE \
         ORDER BY pipeline_id, id"
    )))
    .bind(pipelines)
    .bind(name)
    .all(read)
    .await
}

/// All jobs of every kind in the pipelines of a commit, by id (`rest-api.md §9.6`).
pub async fn list_of_commit(
    tx: &mut Tx<'_>,
    project: ProjectId,
    sha: &str,
    include_retried: bool,
) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE pipeline_id IN (SELECT p.id FROM pipelines p WHERE p.project_id = $1 AND p.sha = $2) AND ($3 = TRUE OR retried = FALSE) ORDER BY id"
    )))
    .bind(project)
    .bind(sha)
    .bind(include_retried)
    .all(read)
    .await
}

/// A page of a pipeline's jobs of one kind, newest first.
pub async fn page_of_pipeline(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    kind: JobKind,
    statuses: Option<&str>,
    include_retried: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE pipeline_id = $1 AND kind = $2 AND (CAST($3 AS TEXT) IS NULL OR status IN (SELECT value FROM json_each($3))) \
         AND ($4 = TRUE OR retried = FALSE) ORDER BY id DESC LIMIT $5 OFFSET $6"
    )))
    .bind(pipeline)
    .bind(kind)
    .bind(statuses)
    .bind(include_retried)
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// How many jobs of a pipeline that page is of.
pub async fn count_of_pipeline(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    kind: JobKind,
    statuses: Option<&str>,
    include_retried: bool,
) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM jobs WHERE pipeline_id = $1 AND kind = $2 AND (CAST($3 AS TEXT) IS NULL OR status IN (SELECT value FROM json_each($3))) \
         AND ($4 = TRUE OR retried = FALSE)"
    ))
    .bind(pipeline)
    .bind(kind)
    .bind(statuses)
    .bind(include_retried)
    .one("count", |row| row.get(0))
    .await
}

/// A page of a runner's jobs, newest first.
pub async fn list_of_runner(
    tx: &mut Tx<'_>,
    runner: RunnerId,
    status: Option<Status>,
    beyond: Option<i64>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Job>> {
    tx.query(sql!(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE runner_id = $1 AND (CAST($2 AS TEXT) IS NULL OR status = $2) AND id < $3 ORDER BY id DESC LIMIT $4 OFFSET $5"
    )))
    .bind(runner)
    .bind(status)
    .bind(beyond.unwrap_or(i64::MAX))
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}
