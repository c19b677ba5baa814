//! Resource groups: one holder at a time, claimed by compare-and-swap.

use footplate_model::{Job, JobId, ProcessMode, ProjectId, ResourceGroupId, Status, Timestamp};

use crate::{Result, Row, Tx, jobs, jobs::job_columns, sql};

/// A resource group.
#[derive(Debug, Clone)]
pub struct ResourceGroup {
    /// Id.
    pub id: ResourceGroupId,
    /// Its project.
    pub project_id: ProjectId,
    /// Expanded key.
    pub key: String,
    /// Who is next.
    pub process_mode: ProcessMode,
    /// Who has it.
    pub holder: Option<JobId>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, project_id, key, process_mode, holder_job_id, created_at, updated_at"
    };
}

fn read(row: &Row<'_>) -> Result<ResourceGroup> {
    let mut c = row.columns();
    Ok(ResourceGroup {
        id: c.next()?,
        project_id: c.next()?,
        key: c.next()?,
        process_mode: c.next()?,
        holder: c.next()?,
        created_at: c.next()?,
        updated_at: c.next()?,
    })
}

/// Makes sure that a group exists.
pub async fn ensure(tx: &mut Tx<'_>, project: ProjectId, key: &str, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "INSERT INTO resource_groups (project_id, key, process_mode, created_at, updated_at) VALUES ($1, $2, 'unordered', $3, $3) \
         ON CONFLICT (project_id, key) DO NOTHING"
    ))
    .bind(project)
    .bind(key)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The group with this key.
pub async fn find(tx: &mut Tx<'_>, project: ProjectId, key: &str) -> Result<Option<ResourceGroup>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM resource_groups WHERE project_id = $1 AND key = $2"
    )))
    .bind(project)
    .bind(key)
    .optional(read)
    .await
}

/// Takes a free group for a job; `false` if another was first.
pub async fn claim(
    tx: &mut Tx<'_>,
    project: ProjectId,
    key: &str,
    job: JobId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx
        .query(sql!("UPDATE resource_groups SET holder_job_id = $3, updated_at = $4 WHERE project_id = $1 AND key = $2 AND holder_job_id IS NULL"))
        .bind(project)
        .bind(key)
        .bind(job)
        .bind(now)
        .execute()
        .await?
        == 1)
}

/// Lets go what a job holds; the keys.
pub async fn release(
    tx: &mut Tx<'_>,
    job: JobId,
    now: Timestamp,
) -> Result<Vec<(ProjectId, String)>> {
    tx.query(sql!("UPDATE resource_groups SET holder_job_id = NULL, updated_at = $2 WHERE holder_job_id = $1 RETURNING project_id, key"))
        .bind(job)
        .bind(now)
        .all(|row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// Groups whose holder has finished or is gone (a release that was lost).
pub async fn list_stale(tx: &mut Tx<'_>) -> Result<Vec<ResourceGroup>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM resource_groups g WHERE holder_job_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = g.holder_job_id \
         AND j.status IN ('created', 'waiting_for_resource', 'preparing', 'waiting_for_callback', 'pending', 'running', 'canceling', 'manual', 'scheduled'))"
    )))
    .all(read)
    .await
}

/// The oldest job that waits for a key.
pub async fn find_waiting_job(
    tx: &mut Tx<'_>,
    project: ProjectId,
    key: &str,
) -> Result<Option<JobId>> {
    tx.query(sql!("SELECT id FROM jobs WHERE project_id = $1 AND resource_group = $2 AND status = 'waiting_for_resource' ORDER BY id LIMIT 1"))
        .bind(project)
        .bind(key)
        .optional(|row| row.get(0))
        .await
}

/// All groups of a project, by id.
pub async fn list(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<ResourceGroup>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM resource_groups WHERE project_id = $1 ORDER BY id"
    )))
    .bind(project)
    .all(read)
    .await
}

/// Changes who is next.
pub async fn set_process_mode(
    tx: &mut Tx<'_>,
    id: ResourceGroupId,
    mode: ProcessMode,
    now: Timestamp,
) -> Result<()> {
    tx.query(sql!(
        "UPDATE resource_groups SET process_mode = $2, updated_at = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(mode)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The job that a mode lets through next (`pipeline-processing.md §11`): in the two strict modes `None` also when the first
/// upcoming one is not ready yet.
pub async fn find_next_job(
    tx: &mut Tx<'_>,
    project: ProjectId,
    key: &str,
    mode: ProcessMode,
) -> Result<Option<JobId>> {
    let ready_only = mode == ProcessMode::Unordered || mode == ProcessMode::NewestReadyFirst;
    let first = list_upcoming(tx, project, key, mode, ready_only, 1).await?;
    Ok(first
        .first()
        .filter(|job| job.status == Status::WaitingForResource)
        .map(|job| job.id))
}

/// Latest jobs that will want the key, in the order of the mode; `ready_only` leaves those that do not wait for it yet.
pub async fn list_upcoming(
    tx: &mut Tx<'_>,
    project: ProjectId,
    key: &str,
    mode: ProcessMode,
    ready_only: bool,
    limit: i64,
) -> Result<Vec<Job>> {
    let query = match mode {
        ProcessMode::Unordered | ProcessMode::OldestFirst => tx.query(sql!(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE project_id = $1 AND resource_group = $2 AND status IN ('created', 'scheduled', 'waiting_for_resource') AND retried = FALSE \
             AND ($3 = FALSE OR status = 'waiting_for_resource') ORDER BY pipeline_id, id LIMIT $4"
        ))),
        ProcessMode::NewestFirst | ProcessMode::NewestReadyFirst => tx.query(sql!(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE project_id = $1 AND resource_group = $2 AND status IN ('created', 'scheduled', 'waiting_for_resource') AND retried = FALSE \
             AND ($3 = FALSE OR status = 'waiting_for_resource') ORDER BY pipeline_id DESC, id DESC LIMIT $4"
        ))),
    };
    query
        .bind(project)
        .bind(key)
        .bind(ready_only)
        .bind(limit)
        .all(jobs::read)
        .await
}
