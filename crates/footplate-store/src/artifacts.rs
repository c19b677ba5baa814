//! Artifact files of jobs; the bytes are in the blob store.

use footplate_model::{Artifact, JobId, PipelineId, ProjectId, Timestamp};

use crate::{Result, Row, Tx, sql};

macro_rules! columns {
    () => {
        "id, job_id, project_id, file_type, file_format, filename, size, sha256, blob_key, expire_at, created_at"
    };
}

fn read(row: &Row<'_>) -> Result<Artifact> {
    let mut c = row.columns();
    Ok(Artifact {
        id: c.next()?,
        job_id: c.next()?,
        project_id: c.next()?,
        file_type: c.next()?,
        file_format: c.next()?,
        filename: c.next()?,
        size: c.next()?,
        sha256: c.next()?,
        blob_key: c.next()?,
        expire_at: c.next()?,
        created_at: c.next()?,
    })
}

/// Inserts a file whose bytes are already durable. [`crate::Error::Taken`] when the job has one of this type.
pub async fn insert(tx: &mut Tx<'_>, new: &Artifact) -> Result<Artifact> {
    tx.query(sql!(concat!(
        "INSERT INTO job_artifacts (job_id, project_id, file_type, file_format, filename, size, sha256, blob_key, expire_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ",
        columns!()
    )))
    .bind(new.job_id)
    .bind(new.project_id)
    .bind(&new.file_type)
    .bind(&new.file_format)
    .bind(&new.filename)
    .bind(new.size)
    .bind(&new.sha256)
    .bind(&new.blob_key)
    .bind(new.expire_at)
    .bind(new.created_at)
    .one("artifact", read)
    .await
}

/// All files of a job.
pub async fn list(tx: &mut Tx<'_>, job: JobId) -> Result<Vec<Artifact>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM job_artifacts WHERE job_id = $1 ORDER BY id"
    )))
    .bind(job)
    .all(read)
    .await
}

/// The file of a type.
pub async fn find(tx: &mut Tx<'_>, job: JobId, file_type: &str) -> Result<Option<Artifact>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM job_artifacts WHERE job_id = $1 AND file_type = $2"
    )))
    .bind(job)
    .bind(file_type)
    .optional(read)
    .await
}

/// Whether a row names these bytes.
pub async fn blob_is_named(tx: &mut Tx<'_>, blob_key: &str) -> Result<bool> {
    let row = tx
        .query(sql!("SELECT id FROM job_artifacts WHERE blob_key = $1"))
        .bind(blob_key)
        .optional(|row| row.get::<i64>(0))
        .await?;
    Ok(row.is_some())
}

/// Removes all rows of a job; what they named.
pub async fn delete_of_job(tx: &mut Tx<'_>, job: JobId) -> Result<Vec<String>> {
    tx.query(sql!(
        "DELETE FROM job_artifacts WHERE job_id = $1 RETURNING blob_key"
    ))
    .bind(job)
    .all(|row| row.get(0))
    .await
}

/// All of a job never expire.
pub async fn keep(tx: &mut Tx<'_>, job: JobId) -> Result<()> {
    tx.query(sql!(
        "UPDATE job_artifacts SET expire_at = NULL WHERE job_id = $1"
    ))
    .bind(job)
    .execute()
    .await?;
    Ok(())
}

/// Jobs with files that have expired and are not locked.
pub async fn list_expired_jobs(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<JobId>> {
    tx.query(sql!(
        "SELECT DISTINCT job_id FROM job_artifacts WHERE locked = FALSE AND expire_at <= $1 ORDER BY job_id LIMIT $2"
    ))
    .bind(now)
    .bind(limit)
    .all(|row| row.get(0))
    .await
}

/// Lets all files of a project expire now, but for locked ones.
pub async fn expire_project(tx: &mut Tx<'_>, project: ProjectId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE job_artifacts SET expire_at = $2 WHERE project_id = $1 AND locked = FALSE"
    ))
    .bind(project)
    .bind(now)
    .execute()
    .await?;
    tx.query(sql!(
        "UPDATE jobs SET artifacts_expire_at = $2 WHERE id IN (SELECT job_id FROM job_artifacts WHERE project_id = $1 AND locked = FALSE)"
    ))
    .bind(project)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Locks the files of the pipelines in a JSON list, or lets them go: the latest successful pipeline of a ref keeps its files
/// (`pipeline-processing.md §13.2`).
pub async fn set_locked(tx: &mut Tx<'_>, pipelines: &str, locked: bool) -> Result<u64> {
    tx.query(sql!(
        "UPDATE job_artifacts SET locked = $2 WHERE locked <> $2 AND job_id IN \
         (SELECT j.id FROM jobs j WHERE j.pipeline_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)))"
    ))
    .bind(pipelines)
    .bind(locked)
    .execute()
    .await
}

/// Whether a job has files that are locked.
pub async fn is_locked(tx: &mut Tx<'_>, job: JobId) -> Result<bool> {
    let found = tx
        .query(sql!(
            "SELECT id FROM job_artifacts WHERE job_id = $1 AND locked = TRUE LIMIT 1"
        ))
        .bind(job)
        .optional(|row| row.get::<i64>(0))
        .await?;
    Ok(found.is_some())
}

/// Pipelines of a ref older than `newest` that still have locked files.
pub async fn list_locked_pipelines(
    tx: &mut Tx<'_>,
    project: ProjectId,
    ref_name: &str,
    tag: bool,
    newest: PipelineId,
) -> Result<Vec<PipelineId>> {
    tx.query(sql!(
        "SELECT DISTINCT j.pipeline_id FROM job_artifacts a JOIN jobs j ON j.id = a.job_id WHERE a.project_id = $1 AND a.locked = TRUE \
         AND j.ref = $2 AND j.tag = $3 AND j.pipeline_id < $4 ORDER BY j.pipeline_id"
    ))
    .bind(project)
    .bind(ref_name)
    .bind(tag)
    .bind(newest)
    .all(|row| row.get(0))
    .await
}

/// All files of a pipeline's jobs: reports for a test summary, blobs before a deletion.
pub async fn list_of_pipeline(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<Artifact>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM job_artifacts WHERE job_id IN (SELECT j.id FROM jobs j WHERE j.pipeline_id = $1) ORDER BY id"
    )))
    .bind(pipeline)
    .all(read)
    .await
}

/// Removes one file's row; what it named.
pub async fn delete(tx: &mut Tx<'_>, job: JobId, file_type: &str) -> Result<Option<String>> {
    tx.query(sql!(
        "DELETE FROM job_artifacts WHERE job_id = $1 AND file_type = $2 RETURNING blob_key"
    ))
    .bind(job)
    .bind(file_type)
    .optional(|row| row.get(0))
    .await
}
