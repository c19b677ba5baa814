//! What is left to do when a job or pipeline has ended.

use footplate_blob::Key;
use footplate_model::{Job, JobId, PipelineId, ProjectId, Status};
use footplate_store::{Topic, Tx, artifacts, jobs, pipelines, projects};
use futures_util::TryStreamExt;

use crate::{
    App, Error, Result,
    background::{Work, plan},
    rules::coverage,
};

/// Bytes at the end of a trace in which coverage is looked for.
const COVERAGE_TAIL: u64 = 4 << 20;

impl App {
    /// A job does not execute any more: its trace is whole, its coverage known.
    pub(crate) async fn settle_job(&self, id: JobId) -> Result<()> {
        let Some(job) = self.find_job(id).await? else {
            return Ok(());
        };
        if job.status.is_executing() || job.status == Status::Pending {
            return Ok(());
        }
        let size = self.traces().finish(id).await?;
        let coverage = match &job.coverage_regex {
            Some(pattern) if size > 0 => self.coverage(id, size, pattern.clone()).await?,
            Some(_) | None => None,
        };
        let has_trace = job.erased_at.is_none() && size > 0;
        let bytes = has_trace.then(|| i64::try_from(size).unwrap_or(i64::MAX));
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                tx.wake(Topic::Job(id));
                jobs::set_ending(tx, id, has_trace, bytes, coverage).await
            })
            .await?;
        Ok(())
    }

    async fn coverage(&self, id: JobId, size: u64, pattern: String) -> Result<Option<f64>> {
        let from = size.saturating_sub(COVERAGE_TAIL);
        let Some(stream) = self.traces().read(id, from..size).await? else {
            return Ok(None);
        };
        let bytes: Vec<u8> = stream
            .try_fold(Vec::new(), async |mut all, chunk| {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            coverage::extract(&String::from_utf8_lossy(&bytes), &pattern)
        })
        .await
        .map_err(Error::internal)
    }

    pub(crate) async fn find_job(&self, id: JobId) -> Result<Option<Job>> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| jobs::find(tx, id).await)
            .await?)
    }

    /// A pipeline is complete: artifacts of the newest successful one of a ref are kept (`pipeline-processing.md §13.2`).
    pub(crate) async fn settle_pipeline(&self, id: PipelineId) -> Result<()> {
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let Some(pipeline) = pipelines::find(tx, id).await? else {
                    return Ok(());
                };
                let Some(project) = projects::find(tx, pipeline.project_id).await? else {
                    return Ok(());
                };
                if pipeline.status != Status::Success
                    || pipeline.parent_id.is_some()
                    || !project.settings.keep_latest_artifact
                {
                    return Ok(());
                }
                let old = artifacts::list_locked_pipelines(
                    tx,
                    project.id,
                    &pipeline.ref_name,
                    pipeline.tag,
                    id,
                )
                .await?;
                artifacts::set_locked(tx, &id_list(&old), false).await?;
                let mut family = vec![id];
                family.extend(
                    pipelines::list_descendants(tx, id)
                        .await?
                        .into_iter()
                        .map(|child| child.id),
                );
                artifacts::set_locked(tx, &id_list(&family), true).await?;
                Ok::<_, Error>(())
            })
            .await
    }

    pub(crate) async fn delete_blobs(&self, keys: Vec<String>) -> Result<()> {
        for text in keys {
            let named = text.clone();
            let used = self
                .db()
                .read(async move |tx: &mut Tx<'_>| artifacts::blob_is_named(tx, &named).await)
                .await?;
            if !used {
                self.blobs().delete(&Key::parse(&text)?).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn delete_traces(&self, ids: Vec<JobId>) -> Result<()> {
        for id in ids {
            self.traces().delete(id).await?;
        }
        Ok(())
    }

    /// Removes a project that was marked: files first, then rows.
    pub(crate) async fn finish_deleting_project(&self, id: ProjectId) -> Result<()> {
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| projects::find(tx, id).await)
            .await?;
        if !found.is_some_and(|project| project.deleting) {
            return Ok(());
        }
        loop {
            let batch = self
                .db()
                .read(async move |tx: &mut Tx<'_>| {
                    pipelines::list(
                        tx,
                        id,
                        &pipelines::Filter::default(),
                        pipelines::Order::Id,
                        true,
                        50,
                        0,
                    )
                    .await
                })
                .await?;
            if batch.is_empty() {
                break;
            }
            for pipeline in batch {
                self.delete_pipeline_rows(pipeline.id).await?;
            }
        }
        self.repositories().delete(id).await?;
        self.db()
            .write(async move |tx: &mut Tx<'_>| projects::delete(tx, id).await)
            .await?;
        Ok(())
    }

    /// Removes a pipeline with its children, jobs, artifacts and traces; what is on the disk goes afterwards.
    pub(crate) async fn delete_pipeline_rows(&self, id: PipelineId) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let mut family: Vec<PipelineId> = pipelines::list_descendants(tx, id)
                    .await?
                    .into_iter()
                    .map(|child| child.id)
                    .collect();
                family.reverse();
                family.push(id);
                // Claims lock several pipelines in this order, too.
                pipelines::lock_all(tx, &family.iter().copied().collect())?;
                for pipeline in family {
                    let Some(locked) = pipelines::find(tx, pipeline).await? else {
                        continue;
                    };
                    let blobs: Vec<String> = artifacts::list_of_pipeline(tx, pipeline)
                        .await?
                        .into_iter()
                        .map(|artifact| artifact.blob_key)
                        .collect();
                    let traces: Vec<JobId> = jobs::list_of_pipeline(tx, pipeline)
                        .await?
                        .into_iter()
                        .map(|job| job.id)
                        .collect();
                    pipelines::delete(tx, pipeline).await?;
                    plan(tx, &Work::DeleteBlobs(blobs), now).await?;
                    plan(tx, &Work::DeleteTraces(traces), now).await?;
                    tx.wake(Topic::Pipeline(pipeline));
                    tx.wake(Topic::Project(locked.project_id));
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// Ids as the JSON list that statements take.
pub(crate) fn id_list(ids: &[PipelineId]) -> String {
    serde_json::Value::from_iter(ids.iter().map(|id| id.0)).to_string()
}
