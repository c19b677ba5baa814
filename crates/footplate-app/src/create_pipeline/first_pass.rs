//! The first pass of a new pipeline, decided before its rows are written: each is written once, as the pass leaves it.

use std::collections::BTreeMap;

use footplate_model::{JobId, Pipeline, Timestamp};
use footplate_pipeline::{Effect, Event, EventRecord, JobKey, Snapshot, StageState, step};
use footplate_store::{Tx, pipeline_events, projects, queue};

use super::{job_row::Row, rows::NewStage};
use crate::{
    Error, Result,
    movement::{Loaded, apply, key, offer, snapshot, tags_key, take_state},
};

/// What a pass asks for beside the rows of jobs and stages. Jobs are known by their places: they have no ids yet.
pub(super) struct FirstPass {
    /// As the engine saw the pipeline, but for its jobs.
    snapshot: Snapshot,
    /// Places of the jobs that runners may take.
    offered: Vec<usize>,
    /// Everything else.
    effects: Vec<Effect>,
    at: Timestamp,
}

impl FirstPass {
    /// Lets the engine look at a pipeline that is not stored yet, and writes what it decides into the rows.
    pub(super) fn new(
        pipeline: &Pipeline,
        stages: &mut [NewStage],
        rows: &mut [Row],
        at: Timestamp,
    ) -> Result<Self> {
        for (row, place) in rows.iter_mut().zip(0..) {
            row.job.id = JobId(place);
        }
        let mut snapshot = early(pipeline, stages, rows);
        let (mut offered, mut effects) = (Vec::new(), Vec::new());
        for effect in step(&snapshot, Event::Process, at).map_err(Error::internal)? {
            match effect {
                Effect::UpdateJob(state) => {
                    let job = &mut rows[place(state.key)?].job;
                    take_state(job, &state);
                    job.updated_at = at;
                }
                Effect::SetStage { position, status } => stages
                    .iter_mut()
                    .filter(|stage| stage.position == position)
                    .for_each(|stage| stage.status = status),
                Effect::Offer(key) => offered.push(place(key)?),
                other => effects.push(other),
            }
        }
        snapshot.jobs.clear();
        Ok(Self {
            snapshot,
            offered,
            effects,
            at,
        })
    }

    /// Does what is left when the rows are there; `ids` are those of the jobs, by their places.
    pub(super) async fn finish(
        &self,
        tx: &mut Tx<'_>,
        pipeline: &Pipeline,
        rows: &[Row],
        ids: &[JobId],
    ) -> Result<()> {
        let record = EventRecord {
            at: self.at,
            event: Event::Process,
        };
        let record = serde_json::to_string(&record).map_err(Error::internal)?;
        pipeline_events::append(tx, pipeline.id, &record, self.at).await?;
        self.offer(tx, pipeline, rows, ids).await?;
        let stored = |known: JobKey| place(known).map_or(known, |place| key(ids[place]));
        let effects = self.effects.iter().cloned();
        let effects: Vec<Effect> = effects.map(|effect| effect.with_keys(stored)).collect();
        let loaded = Loaded {
            pipeline: pipeline.clone(),
            // What is left names jobs, but asks for nothing of their rows that is not read afresh.
            jobs: Vec::new(),
            snapshot: self.snapshot.clone(),
        };
        apply(tx, &loaded, &effects, self.at).await?;
        Ok(())
    }

    /// Offers pending jobs to runners, those with the same tags together.
    async fn offer(
        &self,
        tx: &mut Tx<'_>,
        pipeline: &Pipeline,
        rows: &[Row],
        ids: &[JobId],
    ) -> Result<()> {
        if self.offered.is_empty() {
            return Ok(());
        }
        let Some(project) = projects::find(tx, pipeline.project_id).await? else {
            return Err(Error::internal("a pipeline without a project"));
        };
        let mut alike: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for place in &self.offered {
            let tags = tags_key(&rows[*place].job.tag_list);
            alike.entry(tags).or_default().push(ids[*place]);
        }
        for (tags_key, jobs) in alike {
            let offer = offer(&project, pipeline.id, tags_key, pipeline.protected);
            queue::insert(tx, &offer, &jobs, self.at).await?;
        }
        Ok(())
    }
}

/// The pipeline as it will be found once it is stored.
fn early(pipeline: &Pipeline, stages: &[NewStage], rows: &[Row]) -> Snapshot {
    let stages = stages.iter().map(|stage| StageState {
        position: stage.position,
        status: stage.status,
    });
    let jobs: Vec<_> = rows.iter().map(|row| (&row.job, &row.engine)).collect();
    snapshot(pipeline, stages.collect(), &jobs)
}

/// Where a job of the pass stands among the rows.
fn place(key: JobKey) -> Result<usize> {
    let place = match key {
        JobKey::Stored(id) => usize::try_from(id.0).ok(),
        JobKey::New(_) => None,
    };
    place.ok_or_else(|| Error::internal("a first pass makes a new attempt of a job"))
}
