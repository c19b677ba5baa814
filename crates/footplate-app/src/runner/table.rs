//! What a claim has to know of the jobs that it looks at, read with few statements for all of them. More is read than one look needs, and
//! what it did not take is kept for the next ones: nothing that is decided here is written if somebody has moved the pipeline since.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use footplate_model::{
    FailureReason, Job, JobId, Pipeline, PipelineId, Project, ProjectId, Status, Timestamp, User,
    UserId, policy::BuildsAccess,
};
use footplate_pipeline::StageState;
use footplate_store::{Keys, Tx, artifacts, id_list, jobs, pipelines, queue::Candidate};

use super::{
    candidates::FRESH,
    dependencies::{Giving, artifact_sources},
};
use crate::{
    App, Result,
    definition::Definition,
    memory::{Kept, known, projects_of, users_of},
    movement::Beginning,
    variables::{
        material::{Sealed, Stored, Subject},
        secrets::{Around, Protected},
    },
};

/// One job that waits, with what stands around it.
pub(crate) struct Row {
    pub(super) job: Job,
    /// `None` where it is damaged.
    pub(super) definition: Option<Arc<Definition>>,
    pub(super) project: Option<Arc<Project>>,
    pub(super) user: Option<Arc<User>>,
    /// Jobs whose artifacts or variables it takes.
    pub(super) sources: Vec<Job>,
    /// It has variables of its own.
    variables: bool,
    /// What is stored of its variables; `None` where its project is gone.
    pub(super) sealed: Option<Result<Sealed>>,
    /// Something that it takes from another job is gone.
    missing: bool,
    /// The `lock_version` of its pipeline when it was read.
    version: i64,
    read: Instant,
}

/// A pipeline as it was read.
pub(crate) struct Standing {
    pub(super) pipeline: Arc<Pipeline>,
    /// Position of its first stage.
    first_stage: Option<i64>,
    /// Stages by position, those of the jobs that were read.
    stages: BTreeMap<i64, Option<Status>>,
    /// Entries of its log.
    pub(super) events: i64,
    /// The `lock_version` since which only claims of this process have moved it: rows that were read then or later hold.
    since: i64,
    /// When it was read last.
    read: Instant,
}

/// Jobs that wait, and their pipelines.
#[derive(Default)]
pub(crate) struct Table {
    rows: HashMap<JobId, Row>,
    standings: HashMap<PipelineId, Standing>,
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

impl Standing {
    /// The stages of these jobs, in order.
    pub(super) fn stages_of<'j>(&self, jobs: impl Iterator<Item = &'j Job>) -> Vec<StageState> {
        let positions: BTreeSet<i64> = jobs.map(|job| job.stage_idx).collect();
        let stages = positions.into_iter().filter_map(|position| {
            let status = *self.stages.get(&position)?.as_ref()?;
            Some(StageState { position, status })
        });
        stages.collect()
    }

    /// What a claim has made of it.
    pub(super) fn moved(self, by: &Beginning, now: Timestamp) -> Self {
        let mut pipeline = Arc::unwrap_or_clone(self.pipeline);
        pipeline.lock_version += 1;
        pipeline.status = by.state.status;
        pipeline.started_at = by.state.started_at;
        pipeline.finished_at = by.state.finished_at;
        pipeline.duration = by.state.duration;
        if by.held.status.is_some() {
            pipeline.updated_at = now;
        }
        let mut stages = self.stages;
        for stage in &by.stages {
            stages.insert(stage.position, Some(stage.status));
        }
        Self {
            pipeline: Arc::new(pipeline),
            stages,
            events: self.events + i64::try_from(by.events.len()).unwrap_or_default(),
            ..self
        }
    }
}

impl Table {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, job: JobId) -> Option<&Row> {
        self.rows.get(&job)
    }

    /// Takes a row away; it is needed once.
    pub(super) fn take_row(&mut self, job: JobId) -> Option<Row> {
        self.rows.remove(&job)
    }

    pub(super) fn standing(&self, pipeline: PipelineId) -> Option<&Standing> {
        self.standings.get(&pipeline)
    }

    pub(super) fn take_standing(&mut self, pipeline: PipelineId) -> Option<Standing> {
        self.standings.remove(&pipeline)
    }

    pub(super) fn put_standing(&mut self, standing: Standing) {
        self.standings.insert(standing.pipeline.id, standing);
    }

    /// Takes away what is known of the candidates: of a pipeline all of them, or nothing. Those that are not known stay.
    pub(super) fn take(&mut self, candidates: &mut Vec<Candidate>) -> Self {
        let mut taken = Self::default();
        for of in candidates.iter() {
            if let Some(standing) = self.standings.remove(&of.pipeline) {
                taken.put_standing(standing);
            }
            if let Some(row) = self.rows.remove(&of.job) {
                taken.rows.insert(of.job, row);
            }
        }
        let unknown = candidates.iter().filter(|of| !taken.holds(of));
        let unknown: HashSet<PipelineId> = unknown.map(|of| of.pipeline).collect();
        let forget = |of: PipelineId| unknown.contains(&of);
        taken.standings.retain(|of, _| !forget(*of));
        taken.rows.retain(|_, row| !forget(row.job.pipeline_id));
        candidates.retain(|of| forget(of.pipeline));
        taken
    }

    /// Leaves the candidates that are not known.
    pub(super) fn retain_unknown(&self, candidates: &mut Vec<Candidate>) {
        candidates.retain(|of| !self.holds(of));
    }

    /// Whether a job is known, as its pipeline is now.
    fn holds(&self, of: &Candidate) -> bool {
        let (row, standing) = (self.rows.get(&of.job), self.standings.get(&of.pipeline));
        row.zip(standing).is_some_and(|(row, standing)| {
            row.read.elapsed() < FRESH
                && row.version >= standing.since
                && standing.stages.contains_key(&row.job.stage_idx)
        })
    }

    /// What is of these pipelines, and the rest.
    pub(super) fn split(self, pipelines: &HashSet<PipelineId>) -> (Self, Self) {
        let (mine, others) = self
            .rows
            .into_iter()
            .partition(|(_, row)| pipelines.contains(&row.job.pipeline_id));
        let (my_standings, their_standings) = self
            .standings
            .into_iter()
            .partition(|(of, _)| pipelines.contains(of));
        let mine = Self {
            rows: mine,
            standings: my_standings,
        };
        let others = Self {
            rows: others,
            standings: their_standings,
        };
        (mine, others)
    }

    /// Adds a table of other pipelines.
    pub(super) fn join(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.standings.extend(other.standings);
    }

    /// Adds what another look had. Of a pipeline the latest state counts.
    fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        for (id, mut standing) in other.standings {
            if let Some(known) = self.standings.get_mut(&id) {
                let (mine, its) = (known.pipeline.lock_version, standing.pipeline.lock_version);
                if mine > its {
                    continue;
                }
                if mine == its {
                    standing.stages.append(&mut known.stages);
                    standing.since = standing.since.min(known.since);
                    standing.read = standing.read.max(known.read);
                }
            }
            self.standings.insert(id, standing);
        }
    }

    /// Forgets what is not fresh any more.
    fn tidy(&mut self) {
        self.standings
            .retain(|_, standing| standing.read.elapsed() < FRESH);
        self.rows.retain(|_, row| row.read.elapsed() < FRESH);
    }

    /// Reads those of the candidates that are still pending.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        app: &App,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<(Self, Found)> {
        let read = Instant::now();
        let of: BTreeSet<PipelineId> = candidates.iter().map(|one| one.pipeline).collect();
        let pipelines = pipelines::ask_standing(tx, &id_list(of.iter().map(|id| id.0)))?;
        let ids: BTreeSet<i64> = candidates.iter().map(|one| one.job.0).collect();
        let waiting = jobs::ask_waiting(tx, &id_list(ids))?;
        let mut stored = Stored::default();
        let mut table = Self::default();
        for of in pipelines.all(tx).await? {
            stored.give(of.pipeline.id, of.variables);
            let version = of.pipeline.lock_version;
            table.put_standing(Standing {
                pipeline: Arc::new(of.pipeline),
                first_stage: of.first_stage,
                stages: BTreeMap::new(),
                events: of.events,
                since: version,
                read,
            });
        }
        let mut waiting = waiting.all(tx).await?;
        waiting.retain(|waiting| waiting.job.status == Status::Pending);
        let jobs = waiting.iter().map(|waiting| &waiting.job);
        let projects = projects_of(tx, app, jobs.clone().map(|job| job.project_id).collect());
        let projects = projects.await?;
        let users = users_of(tx, app, jobs.filter_map(|job| job.user_id).collect()).await?;
        for waiting in waiting {
            let job = waiting.job;
            let Some(standing) = table.standings.get_mut(&job.pipeline_id) else {
                continue;
            };
            standing.stages.insert(job.stage_idx, waiting.stage);
            let row = Row {
                definition: Definition::parse(&waiting.definition).ok().map(Arc::new),
                variables: waiting.variables,
                sealed: None,
                project: projects.get(&job.project_id).cloned(),
                user: job.user_id.and_then(|user| users.get(&user).cloned()),
                sources: Vec::new(),
                missing: false,
                version: standing.since,
                read,
                job,
            };
            table.rows.insert(row.job.id, row);
        }
        let around = known(&app.kept().around, &mut projects.keys().copied().collect());
        let mut found = Found {
            projects,
            users,
            around,
        };
        table.read_sources(tx, now).await?;
        table
            .read_material(tx, app.keys(), stored, &mut found)
            .await?;
        Ok((table, found))
    }

    /// What is stored of the variables of these jobs.
    async fn read_material(
        &mut self,
        tx: &mut Tx<'_>,
        keys: &Keys,
        mut stored: Stored,
        found: &mut Found,
    ) -> Result<()> {
        let rows = self.rows.values();
        let sources = rows.clone().flat_map(|row| &row.sources);
        let own = rows.filter(|row| row.variables).map(|row| &row.job);
        let ids = sources.chain(own).map(|job| job.id);
        stored.read_jobs(tx, ids).await?;
        for row in self.rows.values_mut() {
            let standing = self.standings.get(&row.job.pipeline_id);
            let (Some(project), Some(standing)) = (&row.project, standing) else {
                continue;
            };
            let sources: Vec<JobId> = row.sources.iter().map(|job| job.id).collect();
            let subject = Subject {
                project,
                pipeline: &standing.pipeline,
                job: &row.job,
                dotenv_from: &sources,
                protected: Protected::on(row.job.protected),
            };
            let around = &mut found.around;
            row.sealed = Some(stored.material(tx, keys, &subject, around).await);
        }
        Ok(())
    }

    /// The jobs whose artifacts and variables these jobs take.
    async fn read_sources(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        let mut wanted: BTreeMap<PipelineId, Giving> = BTreeMap::new();
        for row in self.rows.values() {
            let standing = self.standings.get(&row.job.pipeline_id);
            let (Some(definition), Some(standing)) = (&row.definition, standing) else {
                continue;
            };
            let of_pipeline = wanted.entry(row.job.pipeline_id).or_default();
            of_pipeline.add(&row.job, definition, standing.first_stage);
        }
        let mut asked = Vec::new();
        for (pipeline, giving) in wanted {
            if let Some((stage, names)) = giving.asked() {
                asked.push((pipeline, jobs::ask_giving(tx, pipeline, stage, &names)?));
            }
        }
        for (pipeline, others) in asked {
            let others = others.all(tx).await?;
            let rows = self.rows.values_mut();
            for row in rows.filter(|row| row.job.pipeline_id == pipeline) {
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
}

impl Kept {
    /// Keeps rows for the next looks.
    pub(super) fn keep_waiting(&mut self, table: Table) {
        self.waiting.tidy();
        self.waiting.add(table);
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
