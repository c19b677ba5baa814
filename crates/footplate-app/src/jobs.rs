//! Jobs as users handle them: list, show, trace, cancel, retry, erase, play, keep (`rest-api.md §4`).

use std::collections::BTreeSet;

use footplate_blob::ByteStream;
use footplate_model::{
    GivenVariable, Job, JobId, JobKind, Pipeline, PipelineId, Status, policy::Ability,
};
use footplate_pipeline::Event;
use footplate_store::{Topic, Tx, artifacts, job_variables, jobs, pipelines, queue};

use crate::{
    App, Error, JobView, ProjectAccess, Result,
    access::{load_job, load_pipeline},
    background::{Work, plan},
    can,
    movement::{Moved, happen_to, key, load},
};

/// Which jobs of a pipeline.
#[derive(Debug, Clone)]
pub struct PipelineJobs {
    /// Script jobs or bridges.
    pub kind: JobKind,
    /// Any of these; empty = all.
    pub scope: BTreeSet<Status>,
    /// Former attempts, too.
    pub include_retried: bool,
    /// Rows.
    pub limit: i64,
    /// Rows before them.
    pub offset: i64,
}

/// A trace to be sent.
pub struct Trace {
    /// The job.
    pub job: Job,
    /// Bytes that may be seen.
    pub size: u64,
    /// The bytes; `None` while there are none yet.
    pub bytes: Option<ByteStream>,
}

fn words(scope: &BTreeSet<Status>) -> Option<String> {
    if scope.is_empty() {
        return None;
    }
    Some(serde_json::Value::from_iter(scope.iter().map(|status| status.as_str())).to_string())
}

impl App {
    /// A page of a project's script jobs, newest first; `beyond` is the last id of the page before (keyset).
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_project_jobs(
        &self,
        access: &ProjectAccess<can::ReadBuild>,
        scope: BTreeSet<Status>,
        beyond: Option<i64>,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<JobView>> {
        let project = access.project_id();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let statuses = words(&scope);
                jobs::list_of_project(tx, project, statuses.as_deref(), beyond, limit, offset).await
            })
            .await?;
        self.job_views(found).await
    }

    /// A page of a pipeline's jobs or bridges, newest first, and how many there are.
    ///
    /// # Errors
    /// 404 for a pipeline of another project, 403 for who may not read its jobs.
    pub async fn list_pipeline_jobs(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        pipeline: PipelineId,
        which: PipelineJobs,
    ) -> Result<(Vec<JobView>, i64)> {
        let project = access.project_id();
        let may = access.may(Ability::ReadBuild);
        let (found, total) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                load_pipeline(tx, project, pipeline).await?;
                if !may {
                    return Err(Error::FORBIDDEN);
                }
                let (statuses, retried) = (words(&which.scope), which.include_retried);
                let statuses = statuses.as_deref();
                let rows = jobs::page_of_pipeline(
                    tx,
                    pipeline,
                    which.kind,
                    statuses,
                    retried,
                    which.limit,
                    which.offset,
                )
                .await?;
                let total =
                    jobs::count_of_pipeline(tx, pipeline, which.kind, statuses, retried).await?;
                Ok((rows, total))
            })
            .await?;
        Ok((self.job_views(found).await?, total))
    }

    /// A script job.
    ///
    /// # Errors
    /// 404.
    pub async fn show_job(
        &self,
        access: &ProjectAccess<can::ReadBuild>,
        id: JobId,
    ) -> Result<JobView> {
        let project = access.project_id();
        self.job_view_of(async move |tx: &mut Tx<'_>| load_script_job(tx, project, id).await)
            .await
    }

    /// The job of a job token.
    ///
    /// # Errors
    /// 404 when it went away meanwhile.
    pub async fn own_job(&self, id: JobId) -> Result<JobView> {
        let job = self
            .find_job(id)
            .await?
            .ok_or(Error::NotFound("404 Job Not Found"))?;
        self.job_view(job).await
    }

    /// The trace of a job, as far as it may be seen.
    ///
    /// # Errors
    /// 404 for a job without trace that will never have one, 403 for debug traces.
    pub async fn read_trace(
        &self,
        access: &ProjectAccess<can::ReadBuild>,
        id: JobId,
    ) -> Result<Trace> {
        let project = access.project_id();
        let asker = access.narrow::<can::ReadBuild>()?;
        let job = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let job = load_script_job(tx, project, id).await?;
                if !asker.may_on_job(tx, Ability::ReadBuildTrace, &job).await? {
                    return Err(Error::FORBIDDEN);
                }
                Ok(job)
            })
            .await?;
        self.note_watched(id);
        let size = if job.erased_at.is_some() {
            None
        } else {
            self.traces().shown(id).await?
        };
        match size {
            Some(size) if size > 0 || !job.status.is_completed() => {
                let bytes = self.traces().read(id, 0..size).await?;
                Ok(Trace { job, size, bytes })
            }
            Some(_) | None if !job.status.is_completed() && job.erased_at.is_none() => Ok(Trace {
                job,
                size: 0,
                bytes: None,
            }),
            Some(_) | None => Err(Error::NOTHING_FOUND),
        }
    }

    /// Cancels a job; one that has ended stays as it is.
    ///
    /// # Errors
    /// 404, and 403 for protected refs and for `force` below Maintainer.
    pub async fn cancel_job(
        &self,
        access: &ProjectAccess<can::CancelBuild>,
        id: JobId,
        force: bool,
    ) -> Result<JobView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::CancelBuild>()?;
        if force && !access.may(Ability::ForceCancelBuild) {
            return Err(Error::FORBIDDEN);
        }
        let job = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_script_job(tx, project, id).await?;
                if !asker.may_on_job(tx, Ability::CancelBuild, &job).await? {
                    return Err(Error::FORBIDDEN);
                }
                if let Some(loaded) = load(tx, job.pipeline_id).await? {
                    let at = loaded.job(id).map_or(job.status, |job| job.status);
                    // `force` ends only what is canceling; without it nothing that has ended moves.
                    let moves = if force {
                        at == Status::Canceling
                    } else {
                        !at.is_completed() && at != Status::Canceling
                    };
                    if moves {
                        happen_to(
                            tx,
                            &loaded,
                            Event::Cancel {
                                job: key(id),
                                force,
                            },
                            now,
                        )
                        .await?;
                    }
                }
                load_job(tx, project, id).await
            })
            .await?;
        self.job_view(job).await
    }

    /// A new attempt of a job or bridge.
    ///
    /// # Errors
    /// 404, 403 without the right and for a job that is not retryable.
    pub async fn retry_job(
        &self,
        access: &ProjectAccess<can::RetryJob>,
        id: JobId,
    ) -> Result<JobView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::RetryJob>()?;
        let user = access.actor().user_id().ok_or(Error::FORBIDDEN)?;
        let job = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_job(tx, project, id).await?;
                if !asker.may_on_job(tx, Ability::RetryJob, &job).await? {
                    return Err(Error::FORBIDDEN);
                }
                let Some(loaded) = load(tx, job.pipeline_id).await? else {
                    return Err(Error::RECORD_NOT_FOUND);
                };
                let moved =
                    happen_to(tx, &loaded, Event::Retry { job: key(id), user }, now).await?;
                let Moved::Done(applied) = moved else {
                    return Err(Error::forbidden("Job is not retryable"));
                };
                let new = applied
                    .only_new()
                    .ok_or_else(|| Error::internal("a retry made no job"))?;
                load_job(tx, project, new).await
            })
            .await?;
        self.restore_pipeline_ref(job.pipeline_id).await?;
        self.job_view(job).await
    }

    /// Starts a manual or delayed job.
    ///
    /// # Errors
    /// 404, 403 without the right, 400 for a job that cannot be played.
    pub async fn play_job(
        &self,
        access: &ProjectAccess<can::ReadBuild>,
        id: JobId,
        variables: Option<Vec<GivenVariable>>,
    ) -> Result<JobView> {
        let (project, now, keys) = (access.project_id(), self.now(), self.keys().clone());
        let asker = access.narrow::<can::ReadBuild>()?;
        let user = access.actor().user_id().ok_or(Error::FORBIDDEN)?;
        let may_set = self.may_set_variables(access);
        let job = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_job(tx, project, id).await?;
                if !asker.may_on_job(tx, Ability::PlayJob, &job).await? {
                    return Err(Error::FORBIDDEN);
                }
                let given = variables.as_ref().filter(|given| !given.is_empty());
                if given.is_some() && !may_set {
                    return Err(Error::FORBIDDEN);
                }
                let Some(loaded) = load(tx, job.pipeline_id).await? else {
                    return Err(Error::RECORD_NOT_FOUND);
                };
                let moved = happen_to(tx, &loaded, Event::Play { job: key(id), user }, now).await?;
                let Moved::Done(applied) = moved else {
                    return Err(Error::BadRequest("Unplayable Job".to_owned()));
                };
                if let Some(given) = given {
                    let target = applied.only_new().unwrap_or(id);
                    job_variables::replace(tx, &keys, target, false, given).await?;
                }
                load_job(tx, project, id).await
            })
            .await?;
        self.restore_pipeline_ref(job.pipeline_id).await?;
        self.job_view(job).await
    }

    /// Removes a job's artifacts and trace.
    ///
    /// # Errors
    /// 404, 403 without the right and for a job that has nothing or still runs.
    pub async fn erase_job(
        &self,
        access: &ProjectAccess<can::ReadBuild>,
        id: JobId,
    ) -> Result<JobView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::ReadBuild>()?;
        let by = access.actor().user_id();
        let job = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_script_job(tx, project, id).await?;
                if !asker.may_on_job(tx, Ability::EraseBuild, &job).await? {
                    return Err(Error::FORBIDDEN);
                }
                let has = job.has_trace || !job.artifacts.is_empty();
                if !job.status.is_completed() || !has || job.erased_at.is_some() {
                    return Err(Error::forbidden("Job is not erasable!"));
                }
                // Whoever is about to hand out a job that takes these looks again.
                pipelines::lock(tx, job.pipeline_id).await?;
                let blobs = artifacts::delete_of_job(tx, id).await?;
                jobs::set_erased(tx, id, by, now).await?;
                plan(tx, &Work::DeleteBlobs(blobs), now).await?;
                plan(tx, &Work::DeleteTraces(vec![id]), now).await?;
                tx.wake(Topic::Job(id));
                load_job(tx, project, id).await
            })
            .await?;
        self.job_view(job).await
    }

    /// Artifacts of a job shall not expire.
    ///
    /// # Errors
    /// 404 without an archive, 403 without the right.
    pub async fn keep_job_artifacts(
        &self,
        access: &ProjectAccess<can::KeepJobArtifacts>,
        id: JobId,
    ) -> Result<JobView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::KeepJobArtifacts>()?;
        let job = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_script_job(tx, project, id).await?;
                if !asker
                    .may_on_job(tx, Ability::KeepJobArtifacts, &job)
                    .await?
                {
                    return Err(Error::FORBIDDEN);
                }
                if job.archive(now).is_none() {
                    return Err(Error::NOTHING_FOUND);
                }
                pipelines::lock(tx, job.pipeline_id).await?;
                artifacts::keep(tx, id).await?;
                jobs::set_artifacts(tx, id, &job.artifacts, None).await?;
                load_job(tx, project, id).await
            })
            .await?;
        self.job_view(job).await
    }

    /// Whether the actor may give variables to pipelines and jobs (`rest-api.md §3`).
    pub(crate) fn may_set_variables<A>(&self, access: &ProjectAccess<A>) -> bool {
        use footplate_model::{AccessLevel, VariablesRole};
        let level = access.standing().level;
        if access.standing().admin {
            return true;
        }
        match access
            .project()
            .settings
            .ci_pipeline_variables_minimum_override_role
        {
            VariablesRole::NoOneAllowed => false,
            VariablesRole::Developer => level >= AccessLevel::DEVELOPER,
            VariablesRole::Maintainer => level >= AccessLevel::MAINTAINER,
            VariablesRole::Owner => level >= AccessLevel::OWNER,
        }
    }

    /// Writes a pipeline's ref again, which is removed some time after its end.
    pub(crate) async fn restore_pipeline_ref(&self, id: PipelineId) -> Result<()> {
        let pipeline: Pipeline = self.load_pipeline_row(id).await?;
        let sha = footplate_git::Sha::parse(&pipeline.sha)?;
        self.repository(pipeline.project_id)
            .write_pipeline_ref(id, &sha)
            .await?;
        Ok(())
    }

    /// Jobs that wait for a runner and jobs that run, in the whole instance.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn queue_size(&self) -> Result<(i64, i64)> {
        Ok(self
            .db()
            .read(async |tx: &mut Tx<'_>| {
                Ok::<_, footplate_store::Error>((
                    queue::count(tx).await?,
                    queue::count_running(tx).await?,
                ))
            })
            .await?)
    }
}

async fn load_script_job(
    tx: &mut Tx<'_>,
    project: footplate_model::ProjectId,
    id: JobId,
) -> Result<Job> {
    let job = load_job(tx, project, id).await?;
    if job.kind != JobKind::Build {
        return Err(Error::RECORD_NOT_FOUND);
    }
    Ok(job)
}
