//! Background work: rows in `tasks`, leased and done by whoever is there. Every kind may run twice.

use std::time::Duration;

use footplate_model::{JobId, PipelineId, ProjectId, Timestamp};
use footplate_pipeline::Event;
use footplate_store::{
    Topic, Tx,
    tasks::{self, Task},
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::{App, Error, Result};

/// How long a task may take before another process takes it over.
const LEASE: Duration = Duration::from_secs(300);
/// Tasks that are taken at once.
const BATCH: i64 = 32;
/// Tasks that run side by side.
const PARALLEL: usize = 8;
/// A task that keeps failing waits at most so long for its next attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How often the end of a task is written down when the database refuses it.
const END_TRIES: usize = 30;
/// Between two such attempts.
const END_PAUSE: Duration = Duration::from_secs(1);

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Something happens to a pipeline.
    Event {
        /// Which.
        pipeline: PipelineId,
        /// What.
        event: Event,
    },
    /// A resource group may have a free place and a job that waits for it.
    Resource {
        /// Its project.
        project: ProjectId,
        /// Its expanded key.
        key: String,
    },
    /// A bridge starts its downstream pipeline.
    Bridge(JobId),
    /// A job does not execute any more: its trace is complete.
    JobEnded(JobId),
    /// A pipeline is complete.
    PipelineEnded(PipelineId),
    /// Blobs whose rows are gone.
    DeleteBlobs(Vec<String>),
    /// Traces whose jobs are gone.
    DeleteTraces(Vec<JobId>),
    /// A project was marked as deleted.
    DeleteProject(ProjectId),
}

/// Writes work down, to be done at `at` or later.
pub(crate) async fn plan(tx: &mut Tx<'_>, work: &Work, at: Timestamp) -> Result<()> {
    let payload = serde_json::to_string(work).map_err(Error::internal)?;
    let kind = match work {
        Work::Event { .. } => "event",
        Work::Resource { .. } => "resource",
        Work::Bridge(_) => "bridge",
        Work::JobEnded(_) => "job_ended",
        Work::PipelineEnded(_) => "pipeline_ended",
        Work::DeleteBlobs(_) => "delete_blobs",
        Work::DeleteTraces(_) => "delete_traces",
        Work::DeleteProject(_) => "delete_project",
    };
    tasks::insert(tx, kind, &payload, at).await?;
    Ok(())
}

impl App {
    /// Does background work until it is told to stop; the piece at hand is finished first.
    pub async fn work(&self, stop: CancellationToken) {
        let mut woken = self.db().subscribe(Topic::Tasks);
        while !stop.is_cancelled() {
            let next = match self.work_once().await {
                Ok(0) => self.next_task_in().await,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "background work cannot be read");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken.woken() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    async fn next_task_in(&self) -> Duration {
        let next = self
            .db()
            .read(async |tx: &mut Tx<'_>| tasks::next_run_at(tx).await)
            .await;
        let longest = self.settings().tick;
        match next {
            Ok(Some(at)) => at
                .since(self.now())
                .clamp(Duration::from_millis(5), longest),
            Ok(None) | Err(_) => longest,
        }
    }

    /// Takes what is due and does it; how many tasks there were.
    ///
    /// # Errors
    /// When tasks cannot be read. A task that fails is tried again later.
    pub async fn work_once(&self) -> Result<usize> {
        let now = self.now();
        let due = self
            .db()
            .write(async move |tx: &mut Tx<'_>| tasks::lease(tx, now, now.plus(LEASE), BATCH).await)
            .await?;
        let count = due.len();
        stream::iter(due)
            .for_each_concurrent(PARALLEL, |task| self.finish_task(task))
            .await;
        Ok(count)
    }

    async fn finish_task(&self, task: Task) {
        let app = self.clone();
        let payload = task.payload.clone();
        // In a task of its own, so that a panic is only this task's failure.
        let outcome = match tokio::spawn(async move { app.do_work(&payload).await }).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(Error::internal(panic)),
        };
        let (id, attempts) = (task.id, task.attempts);
        if let Err(error) = &outcome {
            tracing::error!(%error, task = %id, kind = task.kind, attempts, "background work failed");
        }
        // While the end cannot be written, on a full disk, nothing else could be done either; without it the lease would have to
        // run out before anybody tries again.
        for _ in 0..END_TRIES {
            match self.write_end(&task, &outcome).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, task = %id, "the end of background work could not be written");
                }
            }
            tokio::time::sleep(END_PAUSE).await;
        }
    }

    async fn write_end(&self, task: &Task, outcome: &Result<()>) -> Result<()> {
        let id = task.id;
        let pause = Duration::from_millis(200 << task.attempts.clamp(0, 12)).min(LONGEST_PAUSE);
        let (at, failed) = (
            self.now().plus(pause),
            outcome.as_ref().err().map(Error::to_string),
        );
        let written = self
            .db()
            .write(async move |tx: &mut Tx<'_>| match &failed {
                None => tasks::delete(tx, id).await,
                Some(text) => tasks::postpone(tx, id, at, text).await,
            })
            .await;
        Ok(written?)
    }

    async fn do_work(&self, payload: &str) -> Result<()> {
        let work: Work = serde_json::from_str(payload).map_err(Error::internal)?;
        match work {
            Work::Event { pipeline, event } => self.move_pipeline(pipeline, event).await,
            Work::Resource { project, key } => self.pass_resource_on(project, key).await,
            Work::Bridge(job) => self.start_bridge(job).await,
            Work::JobEnded(job) => self.settle_job(job).await,
            Work::PipelineEnded(pipeline) => self.settle_pipeline(pipeline).await,
            Work::DeleteBlobs(keys) => self.delete_blobs(keys).await,
            Work::DeleteTraces(jobs) => self.delete_traces(jobs).await,
            Work::DeleteProject(project) => self.finish_deleting_project(project).await,
        }
    }

    /// Does everything that is due, until nothing is left (tests, and local runs).
    ///
    /// # Errors
    /// When tasks cannot be read.
    pub async fn settle(&self) -> Result<()> {
        loop {
            let now = self.now();
            let due = self
                .db()
                .read(async move |tx: &mut Tx<'_>| tasks::count_due(tx, now).await)
                .await?;
            if due == 0 {
                return Ok(());
            }
            if self.work_once().await? == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}
