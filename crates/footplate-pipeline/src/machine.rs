//! The working copy of a step: events change it, the difference to the snapshot becomes the effects.

use footplate_model::{JobKind, Status, Timestamp};

use crate::{
    effect::Effect,
    event::{Event, Illegal},
    snapshot::{JobKey, JobState, Snapshot},
};

/// Decides what an event means. The only entry of the engine.
///
/// # Errors
/// [`Illegal`] when the event does not fit; nothing has to change then.
pub fn step(snapshot: &Snapshot, event: Event, now: Timestamp) -> Result<Vec<Effect>, Illegal> {
    let mut machine = Machine {
        work: snapshot.clone(),
        now,
        parents: Vec::new(),
        actions: Vec::new(),
    };
    machine.handle(event)?;
    Ok(machine.into_effects(snapshot))
}

pub(crate) struct Machine {
    pub(crate) work: Snapshot,
    pub(crate) now: Timestamp,
    /// The attempt before, for each new job in order.
    pub(crate) parents: Vec<JobKey>,
    /// What no difference of states shows.
    pub(crate) actions: Vec<Effect>,
}

impl Machine {
    fn handle(&mut self, event: Event) -> Result<(), Illegal> {
        match event {
            Event::Process => self.process(),
            Event::Run(job) => self.run(job)?,
            Event::Requeue(job) => self.requeue(job)?,
            Event::Succeed(job) => self.succeed(job)?,
            Event::Drop {
                job,
                reason,
                exit_code,
            } => self.drop_job(job, reason, exit_code)?,
            Event::Cancel { job, force } => self.cancel(job, force)?,
            Event::CancelPipeline => self.cancel_pipeline(),
            Event::Play { job, user } => self.play(job, user)?,
            Event::Unschedule(job) => self.unschedule(job)?,
            Event::Timer(job) => self.timer(job)?,
            Event::Retry { job, user } => self.retry(job, user)?,
            Event::RetryPipeline { user } => self.retry_pipeline(user),
            Event::ResourceGranted(job) => self.granted(job)?,
            Event::DownstreamCreated(job) => self.downstream_created(job)?,
            Event::DownstreamMoved { job, status } => self.downstream_moved(job, status)?,
            Event::DownstreamReopened { job, user } => self.downstream_reopened(job, user)?,
        }
        Ok(())
    }

    pub(crate) fn index(&self, key: JobKey) -> Result<usize, Illegal> {
        self.work
            .jobs
            .iter()
            .position(|job| job.key == key)
            .ok_or(Illegal::NoSuchJob)
    }

    /// Writes a status with the times that belong to it. Every change asks for another pass.
    pub(crate) fn set(&mut self, index: usize, status: Status) {
        let now = self.now;
        let Some(job) = self.work.jobs.get_mut(index) else {
            return;
        };
        if job.status == status {
            return;
        }
        job.status = status;
        job.processed = false;
        match status {
            Status::Pending => job.queued_at = Some(now),
            Status::Running => job.started_at = Some(now),
            Status::Success | Status::Failed | Status::Canceled => job.finished_at = Some(now),
            Status::Scheduled => {
                job.scheduled_at = Some(now.plus(std::time::Duration::from_secs(
                    job.start_in.map_or(0, i64::unsigned_abs),
                )));
            }
            Status::Created
            | Status::Skipped
            | Status::Manual
            | Status::Preparing
            | Status::WaitingForResource
            | Status::WaitingForCallback
            | Status::Canceling => {}
        }
    }

    /// To pending, by way of its resource group where it has one.
    pub(crate) fn enqueue(&mut self, index: usize) {
        let waits = self.work.jobs[index].resource_group.is_some();
        self.set(
            index,
            if waits {
                Status::WaitingForResource
            } else {
                Status::Pending
            },
        );
    }

    fn into_effects(self, before: &Snapshot) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut parents = self.parents.iter();
        for (place, job) in self.work.jobs.iter().enumerate() {
            // New attempts come after all others, which stay where they were.
            let old = before.jobs.get(place).filter(|old| old.key == job.key);
            match old {
                Some(old) if old == job => {}
                Some(old) => {
                    effects.push(Effect::UpdateJob(job.clone()));
                    moved(Some(old), job, &mut effects);
                }
                None => {
                    if let Some(from) = parents.next() {
                        effects.push(Effect::InsertJob {
                            from: *from,
                            job: job.clone(),
                        });
                        moved(None, job, &mut effects);
                    }
                }
            }
        }
        for (old, new) in before.stages.iter().zip(&self.work.stages) {
            if old != new {
                effects.push(Effect::SetStage {
                    position: new.position,
                    status: new.status,
                });
            }
        }
        if before.pipeline != self.work.pipeline {
            effects.push(Effect::SetPipeline(self.work.pipeline.clone()));
            if before.pipeline.status != self.work.pipeline.status
                && self.work.pipeline.has_upstream
            {
                effects.push(Effect::TellUpstream(self.work.pipeline.status));
            }
        }
        effects.extend(self.actions);
        effects
    }
}

/// What a change of status asks of the world outside the pipeline's own rows.
fn moved(old: Option<&JobState>, new: &JobState, effects: &mut Vec<Effect>) {
    let was = old.map(|old| old.status);
    if was == Some(new.status) {
        return;
    }
    if was == Some(Status::Pending) && new.kind == JobKind::Build {
        effects.push(Effect::Withdraw(new.key));
    }
    if was.is_some_and(Status::is_executing) && !new.status.is_executing() {
        effects.push(Effect::JobEnded(new.key));
    }
    match new.status {
        Status::Pending => match new.kind {
            JobKind::Build => effects.push(Effect::Offer(new.key)),
            JobKind::Bridge if !new.has_downstream => effects.push(Effect::StartBridge(new.key)),
            JobKind::Bridge | JobKind::External => {}
        },
        Status::WaitingForResource => effects.push(Effect::RequestResource(new.key)),
        Status::Scheduled => effects.extend(
            new.scheduled_at
                .map(|at| Effect::SetTimer { job: new.key, at }),
        ),
        Status::Success | Status::Failed | Status::Canceled | Status::Skipped => {
            if new.resource_group.is_some() {
                effects.push(Effect::ReleaseResource(new.key));
            }
            if new.status == Status::Canceled && new.kind == JobKind::Bridge && new.has_downstream {
                effects.push(Effect::CancelDownstream(new.key));
            }
        }
        Status::Created
        | Status::Running
        | Status::Manual
        | Status::Preparing
        | Status::WaitingForCallback
        | Status::Canceling => {}
    }
}
