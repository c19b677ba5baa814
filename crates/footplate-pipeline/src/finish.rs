//! Jobs that run and end, and bridges that follow their downstream (`pipeline-processing.md §6`, `§9.1`, `§10.3`, `§12.4`).

use footplate_model::{FailureReason, OnJobFailure, Status, TriggerStrategy, UserId};

use crate::{event::Illegal, machine::Machine, snapshot::JobKey};

/// GitLab keeps no larger exit code.
const MAX_EXIT_CODE: i64 = 32_767;

impl Machine {
    pub(crate) fn run(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let from = self.work.jobs[index].status;
        if from != Status::Pending {
            return Err(Illegal::Transition { event: "run", from });
        }
        self.set(index, Status::Running);
        self.process();
        Ok(())
    }

    pub(crate) fn requeue(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let from = self.work.jobs[index].status;
        match from {
            Status::Running => {
                self.set(index, Status::Pending);
                self.work.jobs[index].started_at = None;
            }
            // Nobody ran it, so nobody can report its end.
            Status::Canceling => self.set(index, Status::Canceled),
            _ => {
                return Err(Illegal::Transition {
                    event: "requeue",
                    from,
                });
            }
        }
        self.process();
        Ok(())
    }

    pub(crate) fn succeed(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        match self.work.jobs[index].status {
            Status::Canceling => self.set(index, Status::Canceled),
            from if may_succeed(from) => self.set(index, Status::Success),
            from => {
                return Err(Illegal::Transition {
                    event: "succeed",
                    from,
                });
            }
        }
        self.process();
        Ok(())
    }

    pub(crate) fn drop_job(
        &mut self,
        key: JobKey,
        reason: FailureReason,
        exit_code: Option<i64>,
    ) -> Result<(), Illegal> {
        let index = self.index(key)?;
        match self.work.jobs[index].status {
            Status::Canceling => self.set(index, Status::Canceled),
            from if may_fail(from) => self.fail(index, reason, exit_code),
            from => {
                return Err(Illegal::Transition {
                    event: "fail",
                    from,
                });
            }
        }
        self.process();
        Ok(())
    }

    fn fail(&mut self, index: usize, reason: FailureReason, exit_code: Option<i64>) {
        self.set(index, Status::Failed);
        let job = &mut self.work.jobs[index];
        job.failure_reason = Some(reason);
        job.exit_code = exit_code.map(|code| code.clamp(0, MAX_EXIT_CODE));
        if let Some(codes) = &job.allow_failure_exit_codes {
            job.allow_failure = job.exit_code.is_some_and(|code| codes.contains(&code));
        }
        let counts = !job.allow_failure;
        if self.retries_by_itself(index, reason) {
            let user = self.work.jobs[index].user;
            self.renew(index, user);
        } else if counts && self.work.pipeline.on_job_failure == OnJobFailure::All {
            // Before processing, so that waiting jobs are canceled and not skipped.
            self.cancel_everything();
        }
    }

    pub(crate) fn granted(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let from = self.work.jobs[index].status;
        if from != Status::WaitingForResource {
            return Err(Illegal::Transition {
                event: "take its resource",
                from,
            });
        }
        self.set(index, Status::Pending);
        self.process();
        Ok(())
    }

    pub(crate) fn downstream_created(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &mut self.work.jobs[index];
        if !matches!(job.status, Status::Pending | Status::Running) {
            return Err(Illegal::Transition {
                event: "start its downstream",
                from: job.status,
            });
        }
        job.has_downstream = true;
        let waits = job.strategy.is_some();
        self.set(index, Status::Running);
        if !waits {
            self.set(index, Status::Success);
        }
        self.process();
        Ok(())
    }

    pub(crate) fn downstream_moved(&mut self, key: JobKey, status: Status) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &self.work.jobs[index];
        let to = match (job.strategy, status) {
            (None, _) => return Ok(()),
            (Some(_), Status::Success | Status::Canceled) => status,
            (Some(TriggerStrategy::Depend), Status::Failed | Status::Skipped) => Status::Failed,
            (Some(TriggerStrategy::Mirror), Status::Failed | Status::Skipped) => status,
            (
                Some(TriggerStrategy::Mirror),
                Status::Manual
                | Status::Scheduled
                | Status::WaitingForResource
                | Status::Pending
                | Status::Running,
            ) => status,
            (Some(_), _) => return Ok(()),
        };
        if job.status.is_completed() {
            return Ok(());
        }
        if to == Status::Failed {
            self.fail(index, FailureReason::UnknownFailure, None);
        } else {
            self.set(index, to);
        }
        self.process();
        Ok(())
    }

    pub(crate) fn downstream_reopened(
        &mut self,
        key: JobKey,
        user: Option<UserId>,
    ) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &self.work.jobs[index];
        if job.strategy.is_none() || job.retried || !job.status.is_completed() {
            return Ok(());
        }
        self.set(index, Status::Pending);
        let job = &mut self.work.jobs[index];
        job.finished_at = None;
        job.failure_reason = None;
        self.process();
        self.reset_skipped_dependents(&[index], user);
        self.process();
        Ok(())
    }
}

fn may_succeed(from: Status) -> bool {
    from.is_active() || from == Status::Created
}

fn may_fail(from: Status) -> bool {
    may_succeed(from) || from.is_blocked()
}
