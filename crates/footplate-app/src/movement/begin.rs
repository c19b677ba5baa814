//! Jobs begin to run: what a claim moves. The engine looks at no more than a job, its stage and its pipeline then (a property of the
//! engine's tests), so a claim costs the same in a pipeline of two jobs and of two thousand.

use footplate_model::{Job, JobId, Pipeline, PipelineId, ProjectId, Status, Timestamp};
use footplate_pipeline::{
    Effect, Event, EventRecord, JobState, PipelineState, Snapshot, StageState, step,
};
use footplate_store::{
    Topic, Tx,
    claims::{Held, StageMove},
};

use super::{Loaded, apply, key, snapshot::snapshot};
use crate::{Error, Result, definition::EngineFacts};

/// What is decided of a pipeline of which jobs begin to run.
pub(crate) struct Beginning {
    /// The pipeline.
    pub(crate) held: Held,
    /// Its state afterwards.
    pub(crate) state: PipelineState,
    /// Stages that move.
    pub(crate) stages: Vec<StageMove>,
    /// What happened, in order.
    pub(crate) events: Vec<(JobId, String)>,
    /// What else follows; seldom something.
    pub(crate) others: Option<Others>,
}

/// Effects that a claim does not write with the rest.
pub(crate) struct Others {
    loaded: Loaded,
    effects: Vec<Effect>,
}

impl Others {
    pub(crate) fn pipeline(&self) -> PipelineId {
        self.loaded.pipeline.id
    }

    /// Writes them; what the claim writes has been written.
    pub(crate) async fn apply(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        apply(tx, &self.loaded, &self.effects, now).await.map(drop)
    }
}

/// Decides what follows when these jobs of a pipeline begin to run; `stages` = those of the jobs.
pub(crate) fn begin(
    pipeline: &Pipeline,
    stages: Vec<StageState>,
    jobs: &[(&Job, &EngineFacts)],
    now: Timestamp,
) -> Result<Beginning> {
    let before = snapshot(pipeline, stages, jobs);
    let mut next = before.clone();
    let (mut others, mut moved) = (Vec::new(), false);
    let mut events = Vec::with_capacity(jobs.len());
    for (job, _) in jobs {
        let event = Event::Run(key(job.id));
        let effects = step(&next, event.clone(), now)
            .map_err(|illegal| Error::BadRequest(illegal.to_string()))?;
        for effect in effects {
            next.apply(&effect);
            match effect {
                // What the claim writes itself.
                Effect::UpdateJob(_) | Effect::Withdraw(_) | Effect::SetStage { .. } => {}
                Effect::SetPipeline(_) => moved = true,
                effect => others.push(effect),
            }
        }
        let record =
            serde_json::to_string(&EventRecord { at: now, event }).map_err(Error::internal)?;
        events.push((job.id, record));
    }
    jobs.iter()
        .try_for_each(|(job, _)| began(&before, &next, job.id, now))?;
    let (was, is) = (&before.pipeline, &next.pipeline);
    let begins = was.started_at != is.started_at && is.started_at == Some(now);
    let written = PipelineState {
        status: is.status,
        started_at: if begins { Some(now) } else { was.started_at },
        ..was.clone()
    };
    if written != *is {
        // More than a claim writes of a pipeline.
        others.push(Effect::SetPipeline(is.clone()));
    }
    let stages = before.stages.iter().zip(&next.stages);
    let stages = stages.filter(|(was, is)| was.status != is.status);
    Ok(Beginning {
        held: Held {
            id: pipeline.id,
            version: pipeline.lock_version,
            status: moved.then_some(is.status),
            begins,
        },
        state: is.clone(),
        stages: stages
            .map(|(_, is)| StageMove {
                pipeline: pipeline.id,
                position: is.position,
                status: is.status,
            })
            .collect(),
        events,
        others: (!others.is_empty()).then(|| Others {
            loaded: Loaded {
                pipeline: pipeline.clone(),
                jobs: jobs.iter().map(|(job, _)| (*job).clone()).collect(),
                snapshot: before,
            },
            effects: others,
        }),
    })
}

/// Wakes those who wait for what a claim moved.
pub(crate) fn wake(tx: &mut Tx<'_>, job: JobId, pipeline: PipelineId, project: ProjectId) {
    tx.wake(Topic::Job(job));
    tx.wake(Topic::Pipeline(pipeline));
    tx.wake(Topic::Project(project));
}

/// The engine says of the job exactly what a claim writes of it.
fn began(before: &Snapshot, next: &Snapshot, id: JobId, now: Timestamp) -> Result<()> {
    let expected = before.job(key(id)).map(|before| JobState {
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
