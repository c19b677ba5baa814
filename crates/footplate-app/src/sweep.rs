//! What heals by itself: lost runners, lost wake-ups, open intents, expired artifacts (`runner-protocol.md §5.5`).

use std::time::Duration;

use footplate_model::{FailureReason, JobId, Pipeline, PipelineId, Status, Timestamp};
use footplate_pipeline::Event;
use footplate_store::{
    Tx, artifacts, jobs, members, pipelines, push_intents,
    queue::{self, Running},
    resource_groups, sessions, tasks,
};
use tokio_util::sync::CancellationToken;

use crate::{
    App, Error, Result,
    background::{Work, plan},
    movement::{happen_to, key, load},
};

/// Rows that one sweep handles of each kind.
const BATCH: i64 = 200;
/// The runner enforces a timeout; the server waits so much longer.
const TIMEOUT_GRACE: Duration = Duration::from_secs(15 * 60);
/// A pending job that nobody takes fails after a day.
const STUCK: Duration = Duration::from_secs(24 * 3600);
/// A delayed job that could not be started so long after its time fails.
const OVERDUE: Duration = Duration::from_secs(3600);

impl App {
    /// After a start: what the process before left is taken up. Spans begin anew, because they count only time in which
    /// the server was up.
    ///
    /// # Errors
    /// Failures of database and git.
    pub async fn take_up(&self) -> Result<()> {
        let now = self.now();
        let intents = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                queue::touch_all_running(tx, now).await?;
                tasks::release_all(tx).await?;
                push_intents::list(tx).await
            })
            .await?;
        for intent in intents {
            if let Err(error) = self.resolve_intent(intent.id, None).await {
                tracing::error!(%error, intent = %intent.id, "a push could not be taken up");
            }
        }
        Ok(())
    }

    /// Looks at everything that was alive when the server started, then sweeps at every tick until it is told to stop.
    pub async fn sweep_regularly(&self, stop: CancellationToken) {
        if let Err(error) = self.nudge(self.now()).await {
            tracing::error!(%error, "pipelines could not be taken up");
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings().tick) => {}
            }
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "a sweep failed");
            }
        }
    }

    /// One sweep.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn sweep(&self) -> Result<()> {
        let now = self.now();
        self.sweep_running(now).await?;
        self.sweep_waiting(now).await?;
        self.sweep_artifacts(now).await?;
        self.sweep_intents(now).await?;
        let stale = now.minus(self.settings().tick);
        self.nudge(stale).await?;
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                sessions::delete_ended(tx, now).await?;
                members::delete_ended(tx, now).await?;
                Ok::<_, footplate_store::Error>(())
            })
            .await?;
        Ok(())
    }

    async fn sweep_running(&self, now: Timestamp) -> Result<()> {
        let running = self
            .db()
            .read(async |tx: &mut Tx<'_>| queue::list_running(tx).await)
            .await?;
        for one in running {
            let Some(job) = self.find_job(one.job_id).await? else {
                continue;
            };
            if self.verdict(&one, job.status, now).is_some() {
                self.judge(job.pipeline_id, job.id, now).await?;
            }
        }
        Ok(())
    }

    /// Looks again behind the lock, because a runner may have called since: a job that is taken back must not run at two places.
    async fn judge(&self, pipeline: PipelineId, id: JobId, now: Timestamp) -> Result<()> {
        let app = self.clone();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let Some(loaded) = load(tx, pipeline).await? else {
                    return Ok(());
                };
                let running = queue::find_running(tx, id).await?;
                let (Some(job), Some(running)) = (loaded.job(id), running) else {
                    return Ok(());
                };
                let Some(event) = app.verdict(&running, job.status, now) else {
                    return Ok(());
                };
                let back = matches!(event, Event::Requeue(_));
                if back && !queue::delete_unacked(tx, id).await? {
                    return Ok(());
                }
                tracing::warn!(job = %id, ?event, "a runner does not report any more");
                happen_to(tx, &loaded, event, now).await?;
                Ok::<_, Error>(())
            })
            .await
    }

    fn verdict(&self, running: &Running, status: Status, now: Timestamp) -> Option<Event> {
        let settings = self.settings();
        let silence = now.since(running.seen_at);
        let job = key(running.job_id);
        let fail = |reason| {
            Some(Event::Drop {
                job,
                reason,
                exit_code: None,
            })
        };
        let timeout = Duration::from_secs(running.timeout.unsigned_abs()) + TIMEOUT_GRACE;
        let late = now.since(running.started_at) > timeout;
        match status {
            Status::Running if !running.acked && silence > settings.unacknowledged => {
                Some(Event::Requeue(job))
            }
            Status::Running if running.acked && silence > settings.silent => {
                fail(FailureReason::RunnerSystemFailure)
            }
            Status::Running if late => fail(FailureReason::ServerTimeoutRunning),
            Status::Canceling if silence > settings.canceling => {
                fail(FailureReason::NoUpdatesCanceling)
            }
            Status::Canceling if late => fail(FailureReason::ServerTimeoutCanceling),
            _ => None,
        }
    }

    async fn sweep_waiting(&self, now: Timestamp) -> Result<()> {
        let (stuck, overdue) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let stuck = queue::list_older(tx, now.minus(STUCK), BATCH).await?;
                Ok::<_, footplate_store::Error>((
                    stuck,
                    jobs::list_overdue(tx, now.minus(OVERDUE), BATCH).await?,
                ))
            })
            .await?;
        let drop = |job: JobId, reason| Event::Drop {
            job: key(job),
            reason,
            exit_code: None,
        };
        for (job, pipeline, _) in stuck {
            self.move_pipeline(
                pipeline,
                drop(job, FailureReason::StuckPendingWithMatchingRunners),
            )
            .await?;
        }
        for (job, pipeline) in overdue {
            self.move_pipeline(pipeline, drop(job, FailureReason::StaleSchedule))
                .await?;
        }
        Ok(())
    }

    async fn sweep_artifacts(&self, now: Timestamp) -> Result<()> {
        let expired = self
            .db()
            .read(async move |tx: &mut Tx<'_>| artifacts::list_expired_jobs(tx, now, BATCH).await)
            .await?;
        for id in expired {
            self.db()
                .write(async move |tx: &mut Tx<'_>| {
                    let Some(job) = jobs::find(tx, id).await? else {
                        return Ok(());
                    };
                    if artifacts::is_locked(tx, id).await? {
                        return Ok(());
                    }
                    let blobs = artifacts::delete_of_job(tx, id).await?;
                    jobs::set_artifacts(tx, id, &[], job.artifacts_expire_at).await?;
                    plan(tx, &Work::DeleteBlobs(blobs), now).await
                })
                .await
                .or_else(|error: Error| {
                    tracing::error!(%error, job = %id, "artifacts could not be expired");
                    Ok::<_, Error>(())
                })?;
        }
        Ok(())
    }

    /// Intents whose push ended without anybody doing its pipelines.
    async fn sweep_intents(&self, now: Timestamp) -> Result<()> {
        let before = now.minus(Duration::from_secs(120).max(self.settings().tick));
        let open = self
            .db()
            .read(async |tx: &mut Tx<'_>| push_intents::list(tx).await)
            .await?;
        for intent in open.into_iter().filter(|intent| intent.created_at < before) {
            self.resolve_intent(intent.id, None).await?;
        }
        Ok(())
    }

    /// Events are hints, rows are the truth: every pipeline that is alive and has not moved for a while is looked at again.
    async fn nudge(&self, before: Timestamp) -> Result<()> {
        let stale = self
            .db()
            .read(async move |tx: &mut Tx<'_>| pipelines::list_stale(tx, before, BATCH).await)
            .await?;
        for id in stale {
            if let Err(error) = self.nudge_one(id).await {
                tracing::error!(%error, pipeline = %id, "a pipeline could not be looked at again");
            }
        }
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                for group in resource_groups::list_stale(tx).await? {
                    if let Some(holder) = group.holder {
                        resource_groups::release(tx, holder, now).await?;
                    }
                    plan(
                        tx,
                        &Work::Resource {
                            project: group.project_id,
                            key: group.key,
                        },
                        now,
                    )
                    .await?;
                }
                for (bridge, _) in jobs::list_waiting_bridges(tx, BATCH).await? {
                    plan(tx, &Work::Bridge(bridge), now).await?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    async fn nudge_one(&self, id: PipelineId) -> Result<()> {
        let pipeline: Pipeline = self.load_pipeline_row(id).await?;
        if pipeline.status == Status::Created {
            self.restore_pipeline_ref(id).await?;
        }
        self.move_pipeline(id, Event::Process).await
    }
}
