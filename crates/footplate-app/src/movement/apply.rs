//! Effects to rows. What touches another pipeline, the disk or git becomes a task.

use std::collections::HashMap;

use footplate_model::{Job, JobId, JobKind, PipelineId, Project, Status, Timestamp};
use footplate_pipeline::{Effect, Event, JobKey, JobState};
use footplate_store::{
    Topic, Tx, job_variables, jobs,
    pipelines::{self, Movement},
    projects,
    queue::{self, Offer},
    resource_groups, stages,
};

use super::Loaded;
use crate::{
    Error, Result,
    background::{Work, plan},
};

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Ids of new attempts by the engine's keys.
    pub(crate) new: HashMap<JobKey, JobId>,
    /// Jobs whose rows changed.
    pub(crate) changed: Vec<JobId>,
}

impl Applied {
    /// The new attempt, where there is exactly one.
    pub(crate) fn only_new(&self) -> Option<JobId> {
        self.new.values().next().copied()
    }
}

struct Applier<'l> {
    loaded: &'l Loaded,
    project: Option<Project>,
    /// Rows of new attempts.
    made: HashMap<JobKey, Job>,
    done: Applied,
    now: Timestamp,
}

/// Writes what the engine decided.
pub(crate) async fn apply(
    tx: &mut Tx<'_>,
    loaded: &Loaded,
    effects: &[Effect],
    now: Timestamp,
) -> Result<Applied> {
    let mut applier = Applier {
        loaded,
        project: None,
        made: HashMap::new(),
        done: Applied::default(),
        now,
    };
    for effect in effects {
        applier.apply(tx, effect).await?;
    }
    if !effects.is_empty() {
        tx.wake(Topic::Pipeline(loaded.pipeline.id));
        tx.wake(Topic::Project(loaded.pipeline.project_id));
    }
    Ok(applier.done)
}

impl Applier<'_> {
    fn id(&self, key: JobKey) -> Result<JobId> {
        match key {
            JobKey::Stored(id) => Ok(id),
            JobKey::New(_) => self
                .done
                .new
                .get(&key)
                .copied()
                .ok_or_else(|| Error::internal("an effect names a job before it is made")),
        }
    }

    fn row(&self, key: JobKey) -> Result<&Job> {
        let found = match key {
            JobKey::Stored(id) => self.loaded.job(id),
            JobKey::New(_) => self.made.get(&key),
        };
        found.ok_or_else(|| Error::internal("an effect names an unknown job"))
    }

    async fn apply(&mut self, tx: &mut Tx<'_>, effect: &Effect) -> Result<()> {
        match effect {
            Effect::UpdateJob(state) => self.update_job(tx, state).await,
            Effect::InsertJob { from, job } => self.insert_job(tx, *from, job).await,
            Effect::SetStage { position, status } => Ok(stages::set_status(
                tx,
                self.loaded.pipeline.id,
                *position,
                *status,
            )?),
            Effect::SetPipeline(state) => {
                let to = Movement {
                    status: state.status,
                    started_at: state.started_at,
                    finished_at: state.finished_at,
                    duration: state.duration,
                };
                pipelines::set_movement(tx, self.loaded.pipeline.id, &to, self.now)?;
                if state.status.is_completed() && state.status != self.loaded.pipeline.status {
                    let work = Work::PipelineEnded(self.loaded.pipeline.id);
                    plan(tx, &work, self.now).await?;
                }
                Ok(())
            }
            Effect::Offer(key) => self.offer(tx, *key).await,
            Effect::Withdraw(key) => {
                queue::delete(tx, self.id(*key)?).await?;
                Ok(())
            }
            Effect::RequestResource(key) => self.request_resource(tx, *key).await,
            Effect::ReleaseResource(key) => {
                let id = self.id(*key)?;
                for (project, group) in resource_groups::release(tx, id, self.now).await? {
                    plan(
                        tx,
                        &Work::Resource {
                            project,
                            key: group,
                        },
                        self.now,
                    )
                    .await?;
                }
                Ok(())
            }
            Effect::StartBridge(key) => plan(tx, &Work::Bridge(self.id(*key)?), self.now).await,
            Effect::CancelDownstream(key) => {
                let Some(downstream) = self.row(*key)?.downstream_pipeline_id else {
                    return Ok(());
                };
                let work = Work::Event {
                    pipeline: downstream,
                    event: Event::CancelPipeline,
                };
                plan(tx, &work, self.now).await
            }
            Effect::JobEnded(key) => {
                let id = self.id(*key)?;
                queue::delete_running(tx, id).await?;
                tx.wake(Topic::Job(id));
                plan(tx, &Work::JobEnded(id), self.now).await
            }
            Effect::SetTimer { job, at } => {
                let pipeline = self.loaded.pipeline.id;
                let work = Work::Event {
                    pipeline,
                    event: Event::Timer(JobKey::Stored(self.id(*job)?)),
                };
                plan(tx, &work, *at).await
            }
            Effect::TellUpstream(status) => {
                let status = *status;
                self.tell_upstream(tx, |job| Event::DownstreamMoved { job, status })
                    .await
            }
            Effect::ReopenUpstream { user } => {
                let user = *user;
                self.tell_upstream(tx, |job| Event::DownstreamReopened { job, user })
                    .await
            }
        }
    }

    async fn update_job(&mut self, tx: &mut Tx<'_>, state: &JobState) -> Result<()> {
        let mut job = self.row(state.key)?.clone();
        let was = job.status;
        take_state(&mut job, state);
        if job.status == Status::Pending && was.is_executing() {
            // Handed out, never heard of again: whoever takes it next starts anew.
            (job.runner_id, job.runner_manager_id) = (None, None);
            queue::delete_running(tx, job.id).await?;
        }
        jobs::update_movement(tx, &job, self.now).await?;
        tx.wake(Topic::Job(job.id));
        self.done.changed.push(job.id);
        Ok(())
    }

    async fn insert_job(&mut self, tx: &mut Tx<'_>, from: JobKey, state: &JobState) -> Result<()> {
        let old = self.row(from)?;
        let mut job = old.clone();
        take_state(&mut job, state);
        job.created_at = self.now;
        job.coverage = None;
        job.erased_at = None;
        job.debug = false;
        job.artifacts = Vec::new();
        let id = jobs::insert(tx, &job).await?;
        job_variables::copy(tx, old.id, id).await?;
        self.done.new.insert(state.key, id);
        self.made.insert(state.key, Job { id, ..job });
        Ok(())
    }

    async fn offer(&mut self, tx: &mut Tx<'_>, key: JobKey) -> Result<()> {
        let id = self.id(key)?;
        let pipeline = &self.loaded.pipeline;
        if self.project.is_none() {
            self.project = projects::find(tx, pipeline.project_id).await?;
        }
        let Some(project) = &self.project else {
            return Err(Error::internal("a pipeline without a project"));
        };
        let Some(job) = jobs::find(tx, id).await? else {
            return Err(Error::internal("an offered job is not stored"));
        };
        let offer = offer(project, pipeline.id, tags_key(&job.tag_list), job.protected);
        Ok(queue::insert(tx, &offer, &[id], self.now).await?)
    }

    async fn request_resource(&mut self, tx: &mut Tx<'_>, key: JobKey) -> Result<()> {
        let project = self.loaded.pipeline.project_id;
        let id = self.id(key)?;
        let Some(group) = jobs::find(tx, id).await?.and_then(|job| job.resource_group) else {
            return Err(Error::internal(
                "a job asks for a resource that it does not name",
            ));
        };
        plan(
            tx,
            &Work::Resource {
                project,
                key: group,
            },
            self.now,
        )
        .await
    }

    async fn tell_upstream(&self, tx: &mut Tx<'_>, event: impl Fn(JobKey) -> Event) -> Result<()> {
        let Some(bridge) = self.loaded.pipeline.source_job_id else {
            return Ok(());
        };
        let Some(job) = jobs::find(tx, bridge)
            .await?
            .filter(|job| job.kind == JobKind::Bridge)
        else {
            return Ok(());
        };
        let work = Work::Event {
            pipeline: job.pipeline_id,
            event: event(JobKey::Stored(bridge)),
        };
        plan(tx, &work, self.now).await
    }
}

/// What runners are offered of a job of this project.
pub(crate) fn offer(
    project: &Project,
    pipeline: PipelineId,
    tags_key: String,
    protected: bool,
) -> Offer {
    Offer {
        project_id: project.id,
        pipeline_id: pipeline,
        tags_key,
        protected,
        instance_runners: project.settings.shared_runners_enabled,
        group_runners: project.settings.group_runners_enabled,
    }
}

/// The text by which jobs with the same tags are found together: sorted, as JSON.
pub(crate) fn tags_key(tags: &[String]) -> String {
    let mut sorted: Vec<&str> = tags.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    serde_json::Value::from(sorted).to_string()
}

/// Writes what the engine decided of a job into its row.
pub(crate) fn take_state(job: &mut Job, state: &JobState) {
    job.status = state.status;
    job.when = state.when;
    job.allow_failure = state.allow_failure;
    job.retried = state.retried;
    job.processed = state.processed;
    job.enqueue_immediately = state.enqueue_immediately;
    job.exit_code = state.exit_code;
    job.failure_reason = state.failure_reason;
    job.user_id = state.user;
    job.queued_at = state.queued_at;
    job.started_at = state.started_at;
    job.finished_at = state.finished_at;
    job.scheduled_at = state.scheduled_at;
}
