//! The first pass of a new pipeline, decided before its rows are written: each is written once, as the pass leaves it.

use std::collections::BTreeMap;

use footplate_model::{JobId, Pipeline, Timestamp};
use footplate_pipeline::{
    Effect, Event, EventRecord, JobKey, PipelineState, Snapshot, StageState, step,
};
use footplate_store::{Tx, new_jobs, pipeline_events, projects, queue::Offer};

use super::{job_row::Row, rows::NewStage};
use crate::{
    Error, Result,
    movement::{Loaded, apply, job_state, key, tags_key, take_state},
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
        let mut snapshot = snapshot(pipeline, stages, rows);
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
            let offer = Offer {
                job_id: JobId(0),
                project_id: project.id,
                pipeline_id: pipeline.id,
                tags_key,
                protected: pipeline.protected,
                instance_runners: project.settings.shared_runners_enabled,
                group_runners: project.settings.group_runners_enabled,
            };
            new_jobs::insert_offers(tx, &offer, &jobs, self.at).await?;
        }
        Ok(())
    }
}

/// The pipeline as it will be found once it is stored.
fn snapshot(pipeline: &Pipeline, stages: &[NewStage], rows: &[Row]) -> Snapshot {
    Snapshot {
        pipeline: PipelineState {
            status: pipeline.status,
            started_at: pipeline.started_at,
            finished_at: pipeline.finished_at,
            duration: pipeline.duration,
            on_job_failure: pipeline.on_job_failure,
            has_upstream: pipeline.source_job_id.is_some(),
        },
        stages: stages
            .iter()
            .map(|stage| StageState {
                position: stage.position,
                status: stage.status,
            })
            .collect(),
        jobs: rows
            .iter()
            .map(|row| job_state(&row.job, &row.engine))
            .collect(),
    }
}

/// Where a job of the pass stands among the rows.
fn place(key: JobKey) -> Result<usize> {
    let place = match key {
        JobKey::Stored(id) => usize::try_from(id.0).ok(),
        JobKey::New(_) => None,
    };
    place.ok_or_else(|| Error::internal("a first pass makes a new attempt of a job"))
}
