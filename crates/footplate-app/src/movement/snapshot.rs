//! Rows to a snapshot.

use std::collections::HashMap;

use footplate_model::{Job, JobId, Pipeline, PipelineId};
use footplate_pipeline::{JobKey, JobState, PipelineState, Snapshot, StageState};
use footplate_store::{Tx, jobs, pipelines, stages};

use crate::{
    Result,
    definition::{EngineFacts, engine_facts},
};

/// A locked pipeline with all its rows.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) pipeline: Pipeline,
    /// All attempts, by id.
    pub(crate) jobs: Vec<Job>,
    pub(crate) snapshot: Snapshot,
}

impl Loaded {
    pub(crate) fn job(&self, id: JobId) -> Option<&Job> {
        let place = self.jobs.binary_search_by_key(&id, |job| job.id);
        place.ok().map(|place| &self.jobs[place])
    }
}

/// Locks a pipeline and loads it; `None` when it is gone.
pub(crate) async fn load(tx: &mut Tx<'_>, id: PipelineId) -> Result<Option<Loaded>> {
    let Some(pipeline) = pipelines::lock(tx, id).await? else {
        return Ok(None);
    };
    let jobs = jobs::list_of_pipeline(tx, id).await?;
    let mut facts = HashMap::new();
    for (definition, text) in jobs::list_definitions(tx, id).await? {
        facts.insert(definition, engine_facts(&text)?);
    }
    let stages = stages::list(tx, id).await?;
    let none = EngineFacts::default();
    let of: Vec<(&Job, &EngineFacts)> = jobs
        .iter()
        .map(|job| (job, facts.get(&job.definition_id).unwrap_or(&none)))
        .collect();
    let stages = stages
        .iter()
        .map(|stage| StageState {
            position: stage.position,
            status: stage.status,
        })
        .collect();
    let snapshot = snapshot(&pipeline, stages, &of);
    Ok(Some(Loaded {
        pipeline,
        jobs,
        snapshot,
    }))
}

/// Rows as the engine sees them.
pub(crate) fn snapshot(
    pipeline: &Pipeline,
    stages: Vec<StageState>,
    jobs: &[(&Job, &EngineFacts)],
) -> Snapshot {
    Snapshot {
        pipeline: PipelineState {
            status: pipeline.status,
            started_at: pipeline.started_at,
            finished_at: pipeline.finished_at,
            duration: pipeline.duration,
            on_job_failure: pipeline.on_job_failure,
            has_upstream: pipeline.source_job_id.is_some(),
        },
        stages,
        jobs: jobs
            .iter()
            .map(|(job, facts)| job_state(job, facts))
            .collect(),
    }
}

/// A job's row as the engine sees it.
fn job_state(job: &Job, facts: &EngineFacts) -> JobState {
    JobState {
        key: JobKey::Stored(job.id),
        kind: job.kind,
        name: job.name.clone(),
        stage: job.stage_idx,
        status: job.status,
        when: job.when,
        start_in: job.start_in,
        allow_failure: job.allow_failure,
        allow_failure_exit_codes: facts.exit_codes.clone(),
        scheduling: job.scheduling_type,
        needs: job.needs.iter().map(|need| need.name.clone()).collect(),
        retried: job.retried,
        processed: job.processed,
        enqueue_immediately: job.enqueue_immediately,
        retry: facts.retry.clone(),
        exit_code: job.exit_code,
        failure_reason: job.failure_reason,
        resource_group: job.resource_group.clone(),
        interruptible: job.interruptible,
        graceful_cancel: job.graceful_cancel,
        strategy: facts.strategy,
        has_downstream: job.downstream_pipeline_id.is_some(),
        user: job.user_id,
        queued_at: job.queued_at,
        started_at: job.started_at,
        finished_at: job.finished_at,
        scheduled_at: job.scheduled_at,
    }
}
