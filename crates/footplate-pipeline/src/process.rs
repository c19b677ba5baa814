//! The processing pass (`pipeline-processing.md §5`) and the pipeline's own status (`§7`).

use std::collections::{BTreeMap, HashMap, HashSet};

use footplate_model::{SchedulingType, Status, Timestamp, When};

use crate::{
    composite::{Input, Seen, composite},
    machine::Machine,
    snapshot::JobState,
};

fn input(job: &JobState) -> Input {
    Input {
        status: job.status,
        allow_failure: job.allow_failure,
    }
}

/// What counts of the stages before the one that is looked at.
struct Earlier<'s> {
    stages: std::iter::Peekable<std::collections::btree_map::Iter<'s, i64, Vec<usize>>>,
    seen: Seen,
}

impl<'s> Earlier<'s> {
    fn new(by_stage: &'s BTreeMap<i64, Vec<usize>>) -> Self {
        Self {
            stages: by_stage.iter().peekable(),
            seen: Seen::default(),
        }
    }

    /// Gathers the stages that are through now: all before this position.
    fn reach(&mut self, position: i64, machine: &Machine) {
        while let Some((_, members)) = self.stages.next_if(|(stage, _)| **stage < position) {
            for index in members {
                self.seen.add(input(&machine.work.jobs[*index]));
            }
        }
    }
}

impl Machine {
    /// Runs a pass when some status is unseen.
    pub(crate) fn process(&mut self) {
        if self.work.latest().all(|job| job.processed) {
            return;
        }
        let names = self.names();
        let mut positions: Vec<i64> = self
            .work
            .stages
            .iter()
            .map(|stage| stage.position)
            .collect();
        positions.sort_unstable();
        let by_stage = self.by_stage();
        // Earlier stages are through when a stage is looked at: what counts of them is gathered once, stage by stage.
        let mut earlier = Earlier::new(&by_stage);
        for position in positions {
            earlier.reach(position, self);
            let members = by_stage.get(&position).map_or(&[][..], Vec::as_slice);
            for index in self.created_in_order(members, &names) {
                self.decide(index, earlier.seen, &names);
            }
            self.write_stage(position, members);
        }
        self.write_pipeline();
        for job in &mut self.work.jobs {
            job.processed = true;
        }
    }

    /// Latest jobs by name.
    pub(crate) fn names(&self) -> HashMap<String, usize> {
        self.work
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| !job.retried)
            .map(|(index, job)| (job.name.clone(), index))
            .collect()
    }

    /// Latest jobs by the position of their stage, in the order of their ids.
    fn by_stage(&self) -> BTreeMap<i64, Vec<usize>> {
        let mut by_stage: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (index, job) in self.work.jobs.iter().enumerate() {
            if !job.retried {
                by_stage.entry(job.stage).or_default().push(index);
            }
        }
        by_stage
    }

    /// The stage's jobs in `created`, each after its needs in the same stage.
    fn created_in_order(&self, members: &[usize], names: &HashMap<String, usize>) -> Vec<usize> {
        let jobs = &self.work.jobs;
        let created = members.iter().copied();
        let created: Vec<usize> = created
            .filter(|index| jobs[*index].status == Status::Created)
            .collect();
        let mut order = Vec::with_capacity(created.len());
        let mut placed = HashSet::with_capacity(created.len());
        // An explicit stack: a chain of needs may be longer than the thread's.
        for start in created {
            let mut stack = vec![(start, false)];
            while let Some((index, ready)) = stack.pop() {
                if ready {
                    order.push(index);
                } else if placed.insert(index) {
                    stack.push((index, true));
                    let needs = jobs[index]
                        .needs
                        .iter()
                        .filter_map(|name| names.get(name).copied());
                    stack.extend(
                        needs
                            .filter(|need| {
                                jobs[*need].stage == jobs[start].stage
                                    && jobs[*need].status == Status::Created
                            })
                            .map(|need| (need, false)),
                    );
                }
            }
        }
        order
    }

    fn previous(&self, job: &JobState, earlier: Seen, names: &HashMap<String, usize>) -> Status {
        let status = match job.scheduling {
            SchedulingType::Dag => composite(
                job.needs
                    .iter()
                    .filter_map(|name| names.get(name))
                    .map(|index| input(&self.work.jobs[*index])),
                true,
            ),
            SchedulingType::Stage => earlier.composite(false),
        };
        status.unwrap_or(Status::Success)
    }

    fn decide(&mut self, index: usize, earlier: Seen, names: &HashMap<String, usize>) {
        let job = &self.work.jobs[index];
        let previous = self.previous(job, earlier, names);
        if !previous.is_completed() {
            return;
        }
        if !accepts(job.when, job.scheduling, previous) {
            self.set(index, Status::Skipped);
        } else if job.enqueue_immediately {
            self.enqueue(index);
        } else {
            match job.when {
                When::Delayed if job.start_in.is_some() => self.set(index, Status::Scheduled),
                When::Delayed | When::Manual => self.set(index, Status::Manual),
                When::OnSuccess | When::OnFailure | When::Always | When::Never => {
                    self.enqueue(index);
                }
            }
        }
    }

    /// Writes the composite, but never `created`, and a canceled stage does not become canceling.
    fn write_stage(&mut self, position: i64, members: &[usize]) {
        let jobs = &self.work.jobs;
        let status = composite(members.iter().map(|index| input(&jobs[*index])), false);
        let Some(stage) = self
            .work
            .stages
            .iter_mut()
            .find(|stage| stage.position == position)
        else {
            return;
        };
        match status {
            None | Some(Status::Created) => {}
            Some(Status::Canceling) if stage.status == Status::Canceled => {}
            Some(status) => stage.status = status,
        }
    }

    fn write_pipeline(&mut self) {
        let status = composite(self.work.latest().map(input), false).unwrap_or(Status::Success);
        let from = self.work.pipeline.status;
        let to = match status {
            Status::Created => from,
            Status::Canceling if from == Status::Canceled => from,
            Status::Pending => match from {
                Status::Created
                | Status::Manual
                | Status::WaitingForResource
                | Status::Preparing
                | Status::Skipped
                | Status::Scheduled => Status::Pending,
                Status::Running
                | Status::Success
                | Status::Failed
                | Status::Canceling
                | Status::Canceled => Status::Running,
                Status::WaitingForCallback | Status::Pending => from,
            },
            Status::Running
            | Status::Success
            | Status::Failed
            | Status::Canceled
            | Status::Skipped
            | Status::Manual
            | Status::Scheduled
            | Status::Preparing
            | Status::WaitingForResource
            | Status::WaitingForCallback
            | Status::Canceling => status,
        };
        self.move_pipeline(to);
    }

    fn move_pipeline(&mut self, to: Status) {
        let duration = duration(self.work.latest(), self.now);
        let pipeline = &mut self.work.pipeline;
        // A retry cleared the end; where nothing came of it the pipeline ends again.
        let reopened = to.is_completed() && to != Status::Skipped && pipeline.finished_at.is_none();
        if pipeline.status == to && !reopened {
            return;
        }
        pipeline.status = to;
        match to {
            Status::Running => {
                pipeline.started_at = pipeline.started_at.or(Some(self.now));
                pipeline.finished_at = None;
            }
            Status::Success | Status::Failed | Status::Canceled => {
                pipeline.finished_at = Some(self.now);
                pipeline.duration = duration;
            }
            Status::Manual => pipeline.duration = duration,
            Status::Created
            | Status::Pending
            | Status::Skipped
            | Status::Scheduled
            | Status::Preparing
            | Status::WaitingForResource
            | Status::WaitingForCallback
            | Status::Canceling => {}
        }
    }
}

/// Whether a job starts after this outcome (`pipeline-processing.md §5` rule 4).
fn accepts(when: When, scheduling: SchedulingType, previous: Status) -> bool {
    match when {
        When::OnSuccess | When::Manual | When::Delayed => {
            previous == Status::Success
                || (previous == Status::Skipped && scheduling == SchedulingType::Stage)
        }
        When::OnFailure => previous == Status::Failed,
        When::Always => matches!(previous, Status::Success | Status::Failed | Status::Skipped),
        When::Never => false,
    }
}

/// Whole seconds in which at least one job ran: the union of their intervals, without the gaps.
fn duration<'a>(jobs: impl Iterator<Item = &'a JobState>, now: Timestamp) -> Option<i64> {
    let mut spans: Vec<(i64, i64)> = jobs
        .filter(|job| {
            matches!(
                job.status,
                Status::Success
                    | Status::Failed
                    | Status::Running
                    | Status::Canceled
                    | Status::Canceling
            )
        })
        .filter_map(|job| {
            job.started_at.map(|start| {
                (
                    start.as_micros(),
                    job.finished_at.unwrap_or(now).as_micros(),
                )
            })
        })
        .collect();
    spans.sort_unstable();
    let (mut total, mut reached) = (0, i64::MIN);
    for (start, end) in spans {
        total += (end - start.max(reached)).max(0);
        reached = reached.max(end);
    }
    Some(total / 1_000_000)
}
