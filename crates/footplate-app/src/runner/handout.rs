//! Jobs are handed out: what their runners get, and what is written of it.

use std::{collections::BTreeMap, sync::Arc};

use footplate_model::{
    Job, JobId, Pipeline, PipelineId, Project, RunnerType, Status, TimeoutSource, Timestamp, User,
};
use footplate_store::{
    Keys, Tx,
    claims::{self, Claim, Handed, Held, StageMove},
};

use super::{
    claim::{Ask, Chosen, timeout},
    table::{Row, Table},
};
use crate::{
    Error, Result,
    definition::{Definition, EngineFacts},
    movement::{Beginning, Others, begin, wake},
    secrets::{JOB_TOKEN_PREFIX, random_token},
    variables::material::Sealed,
};

/// So many jobs on instance runners are told of; more are shown as `5+`.
const INSTANCE_JOBS: i64 = 6;

/// A job that was taken.
pub(super) struct Claimed {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) job: Job,
    /// Jobs whose artifacts or variables it takes.
    pub(super) sources: Vec<Job>,
    pub(super) definition: Arc<Definition>,
    pub(super) project: Arc<Project>,
    pub(super) user: Option<Arc<User>>,
    pub(super) token: String,
    /// Jobs of the project that run on instance runners, at most six; `None` where that does not matter.
    pub(super) instance_jobs: Option<i64>,
}

/// A job that was taken for somebody.
pub(super) struct Taken {
    /// The place of its asker.
    pub(super) place: usize,
    pub(super) claimed: Claimed,
    /// What is stored of its variables; an error spoils the job.
    pub(super) sealed: Result<Sealed>,
}

/// Chosen jobs and what is to be written of them.
pub(super) struct Handout {
    pub(super) taken: Vec<Taken>,
    pub(super) writing: Writing,
    /// What becomes of the pipelines.
    pub(super) beginnings: Vec<Beginning>,
}

/// What is written when jobs are handed out.
#[derive(Default)]
pub(super) struct Writing {
    pipelines: Vec<Held>,
    stages: Vec<StageMove>,
    jobs: Vec<Handed>,
    others: Vec<Others>,
}

impl Handout {
    /// Decides what follows when the chosen jobs go to their askers; their rows leave the table.
    pub(super) fn of(
        asks: &[Ask],
        table: &mut Table,
        chosen: Vec<Chosen>,
        now: Timestamp,
    ) -> Result<Self> {
        let mut of_pipeline: BTreeMap<PipelineId, Vec<JobId>> = BTreeMap::new();
        for Chosen { job, .. } in &chosen {
            let row = table.row(*job).ok_or_else(missing)?;
            of_pipeline
                .entry(row.job.pipeline_id)
                .or_default()
                .push(*job);
        }
        let mut beginnings = Vec::with_capacity(of_pipeline.len());
        for (pipeline, mut jobs) in of_pipeline {
            jobs.sort_unstable();
            beginnings.push(beginning(table, pipeline, &jobs, now)?);
        }
        let mut writing = Writing::default();
        let mut logged: BTreeMap<JobId, (i64, String)> = BTreeMap::new();
        for beginning in &mut beginnings {
            let id = beginning.held.id;
            let before = table.standing(id).ok_or_else(missing)?.events;
            let events = beginning.events.iter().cloned();
            let places = (before + 1..).zip(events);
            logged.extend(places.map(|(position, (job, event))| (job, (position, event))));
            writing.pipelines.push(beginning.held);
            writing.stages.extend(&beginning.stages);
            writing.others.extend(beginning.others.take());
        }
        let mut taken = Vec::with_capacity(chosen.len());
        for chosen in chosen {
            let row = table.take_row(chosen.job).ok_or_else(missing)?;
            let standing = table.standing(row.job.pipeline_id).ok_or_else(missing)?;
            let (position, event) = logged.remove(&chosen.job).ok_or_else(missing)?;
            let ask = &asks[chosen.asker];
            let pipeline = Arc::clone(&standing.pipeline);
            let one = take(ask, row, pipeline, &chosen, now).ok_or_else(missing)?;
            writing
                .jobs
                .push(handed(ask, &one.claimed, position, event));
            taken.push(one);
        }
        Ok(Self {
            taken,
            writing,
            beginnings,
        })
    }
}

impl Writing {
    /// Writes it; the pipelines that nobody had moved. Of the others and of their jobs nothing is written.
    pub(super) async fn write(
        &self,
        tx: &mut Tx<'_>,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Vec<PipelineId>> {
        let claim = Claim {
            pipelines: &self.pipelines,
            stages: &self.stages,
            jobs: &self.jobs,
        };
        let alone = self.others.is_empty();
        let held = claims::hand_out(tx, keys, claim, now, alone).await?;
        for others in &self.others {
            if held.contains(&others.pipeline()) {
                others.apply(tx, now).await?;
            }
        }
        for job in self.jobs.iter().filter(|job| held.contains(&job.pipeline)) {
            wake(tx, job.job, job.pipeline, job.project);
        }
        Ok(held)
    }
}

/// What follows when these jobs of a pipeline begin to run.
fn beginning(
    table: &Table,
    pipeline: PipelineId,
    jobs: &[JobId],
    now: Timestamp,
) -> Result<Beginning> {
    let standing = table.standing(pipeline).ok_or_else(missing)?;
    let rows: Vec<(&Job, &EngineFacts)> = jobs
        .iter()
        .filter_map(|id| {
            let row = table.row(*id)?;
            Some((&row.job, &row.definition.as_ref()?.engine))
        })
        .collect();
    let stages = standing.stages_of(rows.iter().map(|(job, _)| *job));
    begin(&standing.pipeline, stages, &rows, now)
}

/// A job as it is when a runner has it.
fn take(
    ask: &Ask,
    row: Row,
    pipeline: Arc<Pipeline>,
    chosen: &Chosen,
    now: Timestamp,
) -> Option<Taken> {
    let (definition, project) = (row.definition?, row.project?);
    let (seconds, source) = timeout(&definition, &project, &ask.runner);
    let graceful = ask.features.get("cancel_gracefully");
    let on_instance = ask.runner.runner_type == RunnerType::Instance;
    let running = (chosen.running + 1).min(INSTANCE_JOBS);
    Some(Taken {
        place: chosen.asker,
        sealed: row.sealed?,
        claimed: Claimed {
            job: Job {
                status: Status::Running,
                started_at: Some(now),
                runner_id: Some(ask.runner.id),
                runner_manager_id: Some(ask.manager),
                timeout: Some(seconds),
                timeout_source: Some(source),
                graceful_cancel: graceful.is_some_and(|on| *on == true),
                ..row.job
            },
            pipeline,
            sources: row.sources,
            definition,
            project,
            user: row.user,
            token: random_token(JOB_TOKEN_PREFIX),
            instance_jobs: on_instance.then_some(running),
        },
    })
}

fn handed(ask: &Ask, claimed: &Claimed, position: i64, event: String) -> Handed {
    let job = &claimed.job;
    Handed {
        job: job.id,
        pipeline: job.pipeline_id,
        project: job.project_id,
        runner: ask.runner.id,
        manager: ask.manager,
        instance_runner: ask.runner.runner_type == RunnerType::Instance,
        timeout: job.timeout.unwrap_or_default(),
        timeout_source: job.timeout_source.unwrap_or(TimeoutSource::Project),
        graceful_cancel: job.graceful_cancel,
        token: claimed.token.clone(),
        position,
        event,
    }
}

fn missing() -> Error {
    Error::internal("a chosen job is not on the table")
}
