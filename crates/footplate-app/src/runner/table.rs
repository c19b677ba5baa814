//! What a claim has to know of the jobs that it looks at, read with few statements for all of them. Their pipelines are locked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use footplate_model::{
    FailureReason, Job, JobId, Pipeline, PipelineId, Project, ProjectId, Status, Timestamp, User,
    UserId, policy::BuildsAccess,
};
use footplate_pipeline::StageState;
use footplate_store::{Keys, Tx, artifacts, id_list, jobs, pipelines, queue::Candidate};

use super::{
    claim::{Ask, Claimed, timeout},
    dependencies::{Giving, artifact_sources},
};
use crate::{
    App, Result,
    definition::Definition,
    memory::{Kept, known, projects_of, users_of},
    movement::{Loaded, narrow},
    secrets::{JOB_TOKEN_PREFIX, random_token},
    variables::{
        material::{Sealed, Stored, Subject},
        secrets::{Around, Protected},
    },
};

/// One job that waits, with what stands around it.
pub(super) struct Row {
    job: Job,
    /// `None` where it is damaged.
    pub(super) definition: Option<Arc<Definition>>,
    pipeline: Arc<Pipeline>,
    stage: Option<StageState>,
    first_stage: Option<i64>,
    project: Option<Arc<Project>>,
    user: Option<Arc<User>>,
    sources: Vec<Job>,
    /// It has variables of its own.
    variables: bool,
    /// Until it is taken along.
    sealed: Option<Result<Sealed>>,
    /// Something that it takes from another job is gone.
    missing: bool,
}

/// The jobs of one look.
pub(super) struct Table {
    rows: BTreeMap<JobId, Row>,
    /// What of it the next looks need, too.
    pub(super) found: Found,
}

/// Rows that seldom change.
pub(super) struct Found {
    projects: HashMap<ProjectId, Arc<Project>>,
    users: HashMap<UserId, Arc<User>>,
    around: HashMap<ProjectId, Arc<Around>>,
}

impl Found {
    pub(super) fn keep(&self, kept: &mut Kept) {
        kept.keep_projects(&self.projects);
        kept.keep_users(&self.users);
        kept.keep_around(&self.around);
    }
}

impl Row {
    /// Why the job fails instead of running (`runner-protocol.md §3.3`).
    pub(super) fn refusal(&self) -> Option<FailureReason> {
        if self.definition.is_none() {
            return Some(FailureReason::DataIntegrityFailure);
        }
        let Some(project) = self.project.as_ref().filter(|project| !project.deleting) else {
            return Some(FailureReason::ProjectDeleted);
        };
        if project.settings.builds_access_level == BuildsAccess::Disabled {
            return Some(FailureReason::BuildsDisabled);
        }
        if !self.user.as_ref().is_some_and(|user| user.is_active()) {
            return Some(FailureReason::UserBlocked);
        }
        self.missing
            .then_some(FailureReason::MissingDependencyFailure)
    }
}

impl Table {
    /// Locks the pipelines of the candidates and reads those that are still pending.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        app: &App,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<Self> {
        let of: BTreeSet<PipelineId> = candidates.iter().map(|one| one.pipeline).collect();
        let locks = pipelines::ask_locked(tx, &id_list(of.iter().map(|id| id.0)))?;
        let ids: BTreeSet<i64> = candidates.iter().map(|one| one.job.0).collect();
        let waiting = jobs::ask_waiting(tx, &id_list(ids))?;
        let mut stored = Stored::default();
        let mut locked: HashMap<PipelineId, (Arc<Pipeline>, Option<i64>)> = HashMap::new();
        for of in locks.all(tx).await? {
            let id = of.pipeline.id;
            stored.give(id, of.variables);
            locked.insert(id, (Arc::new(of.pipeline), of.first_stage));
        }
        let mut waiting = waiting.all(tx).await?;
        waiting.retain(|waiting| waiting.job.status == Status::Pending);
        let jobs = waiting.iter().map(|waiting| &waiting.job);
        let projects = projects_of(tx, app, jobs.clone().map(|job| job.project_id).collect());
        let projects = projects.await?;
        let users = users_of(tx, app, jobs.filter_map(|job| job.user_id).collect()).await?;
        let mut rows = BTreeMap::new();
        for waiting in waiting {
            let job = waiting.job;
            let Some((pipeline, first_stage)) = locked.get(&job.pipeline_id) else {
                continue;
            };
            let row = Row {
                definition: Definition::parse(&waiting.definition).ok().map(Arc::new),
                stage: waiting.stage.map(|status| StageState {
                    position: job.stage_idx,
                    status,
                }),
                first_stage: *first_stage,
                variables: waiting.variables,
                sealed: None,
                pipeline: Arc::clone(pipeline),
                project: projects.get(&job.project_id).cloned(),
                user: job.user_id.and_then(|user| users.get(&user).cloned()),
                sources: Vec::new(),
                missing: false,
                job,
            };
            rows.insert(row.job.id, row);
        }
        let around = known(&app.kept().around, &mut projects.keys().copied().collect());
        let mut table = Self {
            rows,
            found: Found {
                projects,
                users,
                around,
            },
        };
        table.read_sources(tx, now).await?;
        table.read_material(tx, app.keys(), stored).await?;
        Ok(table)
    }

    /// What is stored of the variables of these jobs.
    async fn read_material(
        &mut self,
        tx: &mut Tx<'_>,
        keys: &Keys,
        mut stored: Stored,
    ) -> Result<()> {
        let rows = self.rows.values();
        let sources = rows.clone().flat_map(|row| &row.sources);
        let own = rows.filter(|row| row.variables).map(|row| &row.job);
        let ids = sources.chain(own).map(|job| job.id);
        stored.read_jobs(tx, ids).await?;
        for row in self.rows.values_mut() {
            let Some(project) = &row.project else {
                continue;
            };
            let sources: Vec<JobId> = row.sources.iter().map(|job| job.id).collect();
            let subject = Subject {
                project,
                pipeline: &row.pipeline,
                job: &row.job,
                dotenv_from: &sources,
                protected: Protected::on(row.job.protected),
            };
            let around = &mut self.found.around;
            row.sealed = Some(stored.material(tx, keys, &subject, around).await);
        }
        Ok(())
    }

    pub(super) fn row(&self, job: JobId) -> Option<&Row> {
        self.rows.get(&job)
    }

    /// The jobs whose artifacts and variables these jobs take.
    async fn read_sources(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        let mut wanted: BTreeMap<PipelineId, Giving> = BTreeMap::new();
        for row in self.rows.values() {
            let Some(definition) = &row.definition else {
                continue;
            };
            let of_pipeline = wanted.entry(row.job.pipeline_id).or_default();
            of_pipeline.add(&row.job, definition, row.first_stage);
        }
        for (pipeline, giving) in wanted {
            let Some((stage, names)) = giving.asked() else {
                continue;
            };
            let others = jobs::list_giving(tx, pipeline, stage, &names).await?;
            let takers = self
                .rows
                .values_mut()
                .filter(|row| row.job.pipeline_id == pipeline);
            for row in takers {
                let Some(definition) = &row.definition else {
                    continue;
                };
                let sources = artifact_sources(&others, &row.job, definition);
                row.sources = sources.into_iter().cloned().collect();
                row.missing = missing(tx, &row.sources, now).await?;
            }
        }
        Ok(())
    }

    /// What is stored of the variables of a job; once.
    pub(super) fn sealed(&mut self, job: JobId) -> Option<Result<Sealed>> {
        self.rows.get_mut(&job)?.sealed.take()
    }

    /// A job as it is when a runner has it.
    pub(super) fn claimed(&mut self, job: JobId, ask: &Ask, now: Timestamp) -> Option<Claimed> {
        let row = self.rows.get_mut(&job)?;
        let (definition, project) = (row.definition.clone()?, row.project.clone()?);
        let (seconds, source) = timeout(&definition, &project, &ask.runner);
        let graceful = ask.features.get("cancel_gracefully");
        Some(Claimed {
            job: Job {
                status: Status::Running,
                started_at: Some(now),
                runner_id: Some(ask.runner.id),
                runner_manager_id: Some(ask.manager),
                timeout: Some(seconds),
                timeout_source: Some(source),
                graceful_cancel: graceful.is_some_and(|on| *on == true),
                ..row.job.clone()
            },
            pipeline: Arc::clone(&row.pipeline),
            sources: std::mem::take(&mut row.sources),
            definition,
            project,
            user: row.user.clone(),
            token: random_token(JOB_TOKEN_PREFIX),
            instance_jobs: None,
        })
    }

    /// The pipelines of these jobs, as the engine needs them to let the jobs begin.
    pub(super) fn narrowed(&self, begun: &[&Job]) -> Vec<Loaded> {
        let mut of_pipeline: BTreeMap<PipelineId, Vec<&Row>> = BTreeMap::new();
        let mut ids: Vec<JobId> = begun.iter().map(|job| job.id).collect();
        ids.sort_unstable();
        for row in ids.iter().filter_map(|id| self.rows.get(id)) {
            of_pipeline.entry(row.pipeline.id).or_default().push(row);
        }
        of_pipeline
            .into_values()
            .map(|rows| {
                let mut stages: Vec<StageState> =
                    rows.iter().filter_map(|row| row.stage.clone()).collect();
                stages.sort_unstable_by_key(|stage| stage.position);
                stages.dedup();
                let jobs: Vec<_> = rows
                    .iter()
                    .filter_map(|row| Some((&row.job, &row.definition.as_ref()?.engine)))
                    .collect();
                narrow((*rows[0].pipeline).clone(), stages, &jobs)
            })
            .collect()
    }
}

/// Whether a job that gave something does not have it any more.
async fn missing(tx: &mut Tx<'_>, sources: &[Job], now: Timestamp) -> Result<bool> {
    for source in sources {
        let had = source
            .artifacts
            .iter()
            .any(|artifact| artifact.file_type == "archive");
        let over = source.artifacts_expire_at.is_some_and(|end| end <= now);
        let expired = had && over && !artifacts::is_locked(tx, source.id).await?;
        if source.status.is_completed() && (source.erased_at.is_some() || expired) {
            return Ok(true);
        }
    }
    Ok(false)
}
