//! Jobs begin to run: what a claim moves. The engine looks at no more than a job, its stage and its pipeline then (a property of the
//! engine's tests), so a claim costs the same in a pipeline of two jobs and of two thousand.

use footplate_model::{Job, JobId, Pipeline, PipelineId, Status, Timestamp};
use footplate_pipeline::{Effect, Event, EventRecord, JobState, Snapshot, StageState, step};
use footplate_store::{Topic, Tx, jobs, pipeline_events};

use super::{Loaded, apply, key, snapshot::snapshot};
use crate::{Error, Result, definition::EngineFacts};

/// A locked pipeline with the jobs of it that a claim is about, and their stages.
pub(crate) fn narrow(
    pipeline: Pipeline,
    stages: Vec<StageState>,
    of: &[(&Job, &EngineFacts)],
) -> Loaded {
    let snapshot = snapshot(&pipeline, stages, of);
    Loaded {
        pipeline,
        jobs: of.iter().map(|(job, _)| (*job).clone()).collect(),
        snapshot,
    }
}

/// Lets all jobs of [`narrow`] pipelines begin, as `assigned` says, with few statements for many.
pub(crate) async fn begin(
    tx: &mut Tx<'_>,
    narrowed: &[Loaded],
    assigned: &[&Job],
    now: Timestamp,
) -> Result<()> {
    let mut records: Vec<(PipelineId, String)> = Vec::with_capacity(assigned.len());
    for loaded in narrowed {
        let mut next = loaded.snapshot.clone();
        let mut others = Vec::new();
        for job in &loaded.jobs {
            let event = Event::Run(key(job.id));
            let effects = step(&next, event.clone(), now)
                .map_err(|illegal| Error::BadRequest(illegal.to_string()))?;
            effects.iter().for_each(|effect| next.apply(effect));
            others.extend(effects.into_iter().filter(|effect| !of_the_job(effect)));
            let record =
                serde_json::to_string(&EventRecord { at: now, event }).map_err(Error::internal)?;
            records.push((loaded.pipeline.id, record));
        }
        for job in &loaded.jobs {
            began(loaded, &next, job.id, now)?;
            tx.wake(Topic::Job(job.id));
        }
        tx.wake(Topic::Pipeline(loaded.pipeline.id));
        tx.wake(Topic::Project(loaded.pipeline.project_id));
        apply(tx, loaded, &others, now).await?;
    }
    jobs::begin(tx, assigned, now)?;
    Ok(pipeline_events::append_all(tx, &records, now)?)
}

/// What [`jobs::begin`] and the claim write themselves.
fn of_the_job(effect: &Effect) -> bool {
    matches!(effect, Effect::UpdateJob(_) | Effect::Withdraw(_))
}

/// The engine says of the job exactly what [`jobs::begin`] writes.
fn began(loaded: &Loaded, next: &Snapshot, id: JobId, now: Timestamp) -> Result<()> {
    let expected = loaded.snapshot.job(key(id)).map(|before| JobState {
        status: Status::Running,
        processed: true,
        started_at: Some(now),
        ..before.clone()
    });
    if next.job(key(id)) == expected.as_ref() {
        return Ok(());
    }
    Err(Error::internal(
        "a job that begins to run changed in another way",
    ))
}
