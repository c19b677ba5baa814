//! Moving a pipeline: rows to a snapshot, the engine's decision, effects to rows, in one transaction.

mod apply;
mod begin;
mod snapshot;

use footplate_model::{JobId, PipelineId, Timestamp};
use footplate_pipeline::{Event, EventRecord, Illegal, JobKey, step};
use footplate_store::{Tx, pipeline_events};

pub(crate) use apply::{Applied, apply, offer, tags_key, take_state};
pub(crate) use begin::{Beginning, Others, begin, wake};
pub(crate) use snapshot::{Loaded, load, snapshot};

use crate::{App, Error, Result};

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Moved {
    /// It was done.
    Done(Applied),
    /// The pipeline is gone.
    Gone,
    /// It does not fit (any more).
    Illegal(Illegal),
}

/// Lets an event happen to a pipeline, inside a transaction. The pipeline is locked first.
pub(crate) async fn happen(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    event: Event,
    now: Timestamp,
) -> Result<Moved> {
    let Some(loaded) = load(tx, pipeline).await? else {
        return Ok(Moved::Gone);
    };
    happen_to(tx, &loaded, event, now).await
}

/// As [`happen`], for a pipeline that is loaded and locked already.
pub(crate) async fn happen_to(
    tx: &mut Tx<'_>,
    loaded: &Loaded,
    event: Event,
    now: Timestamp,
) -> Result<Moved> {
    let mut effects = match step(&loaded.snapshot, event.clone(), now) {
        Ok(effects) => effects,
        Err(illegal) => return Ok(Moved::Illegal(illegal)),
    };
    if !effects.is_empty() && event != Event::Process {
        // What changed asks for a pass over the whole pipeline; it happens at once, in the same transaction.
        let mut next = loaded.snapshot.clone();
        effects.iter().for_each(|effect| next.apply(effect));
        if let Ok(pass) = step(&next, Event::Process, now) {
            effects.extend(pass);
        }
    }
    if !effects.is_empty() {
        let record =
            serde_json::to_string(&EventRecord { at: now, event }).map_err(Error::internal)?;
        pipeline_events::append(tx, loaded.pipeline.id, &record, now).await?;
    }
    Ok(Moved::Done(apply(tx, loaded, &effects, now).await?))
}

impl Moved {
    /// What was done; where the event did not fit, an error of 400 with the engine's reason.
    pub(crate) fn done(self) -> Result<Applied> {
        match self {
            Self::Done(applied) => Ok(applied),
            Self::Gone => Err(Error::RECORD_NOT_FOUND),
            Self::Illegal(illegal) => Err(Error::BadRequest(illegal.to_string())),
        }
    }
}

impl App {
    /// Lets an event happen that another pipeline or the clock caused; one that does not fit any more is forgotten.
    pub(crate) async fn move_pipeline(&self, pipeline: PipelineId, event: Event) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if let Moved::Illegal(illegal) = happen(tx, pipeline, event.clone(), now).await? {
                    tracing::debug!(%pipeline, %illegal, "an event came too late");
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// The key of a stored job.
pub(crate) fn key(id: JobId) -> JobKey {
    JobKey::Stored(id)
}
