//! Manual and delayed jobs, retries, and what comes back to life with them (`pipeline-processing.md §8`, `§9`).

use std::{collections::HashSet, time::Duration};

use footplate_model::{FailureReason, JobKind, Status, UserId, When};

use crate::{
    effect::Effect,
    event::Illegal,
    machine::Machine,
    snapshot::{JobKey, JobState},
};

/// A delayed job that is later than this is dropped.
const OVERDUE: Duration = Duration::from_secs(3600);
/// Attempts after a failure of the scheduler itself.
const SCHEDULER_RETRIES: i64 = 2;

fn is_action(job: &JobState) -> bool {
    matches!(job.when, When::Manual | When::Delayed)
}

fn is_retryable(job: &JobState) -> bool {
    !job.retried
        && matches!(
            job.status,
            Status::Success | Status::Failed | Status::Canceled | Status::Canceling
        )
        && !matches!(
            job.failure_reason,
            Some(
                FailureReason::DeploymentRejected
                    | FailureReason::PipelineLoopDetected
                    | FailureReason::ReachedMaxDescendantPipelinesDepth
            )
        )
}

impl Machine {
    pub(crate) fn play(&mut self, key: JobKey, user: UserId) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &self.work.jobs[index];
        if !is_action(job) || job.retried {
            return Err(Illegal::NotPlayable(job.status));
        }
        match job.status {
            Status::Manual | Status::Scheduled => {
                self.work.jobs[index].user = Some(user);
                self.enqueue(index);
                self.reset_skipped_dependents(&[index], Some(user));
                self.process();
                Ok(())
            }
            status if is_retryable(job) => self
                .retry(key, user)
                .map_err(|_| Illegal::NotPlayable(status)),
            status => Err(Illegal::NotPlayable(status)),
        }
    }

    pub(crate) fn unschedule(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let from = self.work.jobs[index].status;
        if from != Status::Scheduled {
            return Err(Illegal::Transition {
                event: "be unscheduled",
                from,
            });
        }
        self.set(index, Status::Manual);
        self.process();
        Ok(())
    }

    pub(crate) fn timer(&mut self, key: JobKey) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &self.work.jobs[index];
        let Some(at) = job
            .scheduled_at
            .filter(|at| job.status == Status::Scheduled && *at <= self.now)
        else {
            return Err(Illegal::Transition {
                event: "start by its timer",
                from: job.status,
            });
        };
        if self.now.since(at) > OVERDUE {
            return self.drop_job(key, FailureReason::StaleSchedule, None);
        }
        self.enqueue(index);
        self.process();
        Ok(())
    }

    pub(crate) fn retry(&mut self, key: JobKey, user: UserId) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let job = &self.work.jobs[index];
        if !is_retryable(job) {
            return Err(Illegal::NotRetryable(job.status));
        }
        let renewed = self.renew(index, Some(user));
        self.process();
        self.reset_skipped_dependents(&[renewed], Some(user));
        self.process();
        Ok(())
    }

    pub(crate) fn retry_pipeline(&mut self, user: UserId) {
        let failed: Vec<usize> = (0..self.work.jobs.len())
            .filter(|index| {
                let job = &self.work.jobs[*index];
                job.kind == JobKind::Build
                    && matches!(job.status, Status::Failed | Status::Canceled)
                    && is_retryable(job)
            })
            .collect();
        if failed.is_empty() {
            return;
        }
        for index in failed {
            let renewed = self.renew(index, Some(user));
            // A manual job waits for a person again.
            self.work.jobs[renewed].enqueue_immediately = false;
        }
        for index in 0..self.work.jobs.len() {
            if !self.work.jobs[index].retried && self.work.jobs[index].status == Status::Skipped {
                self.revive(index, Some(user));
            }
        }
        self.work.pipeline.finished_at = None;
        self.reopen_upstream(Some(user));
        self.process();
    }

    /// A new attempt of a job, in status created; gives its index.
    pub(crate) fn renew(&mut self, index: usize, user: Option<UserId>) -> usize {
        let old = &mut self.work.jobs[index];
        old.retried = true;
        old.processed = true;
        let mut new = old.clone();
        let from = old.key;
        new.key = JobKey::New(u32::try_from(self.parents.len()).unwrap_or(u32::MAX));
        new.status = Status::Created;
        new.retried = false;
        new.processed = false;
        new.enqueue_immediately = is_action(&new);
        new.user = user;
        new.exit_code = None;
        new.failure_reason = None;
        new.has_downstream = false;
        new.graceful_cancel = false;
        new.queued_at = None;
        new.started_at = None;
        new.finished_at = None;
        new.scheduled_at = None;
        self.parents.push(from);
        self.work.jobs.push(new);
        self.work.jobs.len() - 1
    }

    /// Whether a failure is followed by another attempt without anybody asking (`§9.1`).
    pub(crate) fn retries_by_itself(&self, index: usize, reason: FailureReason) -> bool {
        let job = &self.work.jobs[index];
        if job.kind != JobKind::Build || !is_retryable(job) {
            return false;
        }
        let attempts = self
            .work
            .jobs
            .iter()
            .filter(|other| other.retried && other.name == job.name)
            .count();
        i64::try_from(attempts).unwrap_or(i64::MAX) < allowed_retries(job, reason)
    }

    /// Skipped jobs that depend on `jobs` are decided again (`§9.4`).
    pub(crate) fn reset_skipped_dependents(&mut self, jobs: &[usize], user: Option<UserId>) {
        let mut names: HashSet<String> = jobs
            .iter()
            .map(|index| self.work.jobs[*index].name.clone())
            .collect();
        let Some(stage) = jobs.iter().map(|index| self.work.jobs[*index].stage).min() else {
            return;
        };
        loop {
            let more: Vec<String> = self
                .work
                .latest()
                .filter(|job| {
                    !names.contains(&job.name) && job.needs.iter().any(|need| names.contains(need))
                })
                .map(|job| job.name.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            names.extend(more);
        }
        for index in 0..self.work.jobs.len() {
            let job = &self.work.jobs[index];
            if !job.retried
                && job.status == Status::Skipped
                && (job.stage > stage || names.contains(&job.name))
            {
                self.revive(index, user);
            }
        }
        self.reopen_upstream(user);
    }

    fn revive(&mut self, index: usize, user: Option<UserId>) {
        self.set(index, Status::Created);
        self.work.jobs[index].user = user;
    }

    fn reopen_upstream(&mut self, user: Option<UserId>) {
        let reopen = Effect::ReopenUpstream { user };
        if self.work.pipeline.has_upstream && !self.actions.contains(&reopen) {
            self.actions.push(reopen);
        }
    }
}

fn allowed_retries(job: &JobState, reason: FailureReason) -> i64 {
    let matches_reason = |word: &String| {
        word == "always"
            || word == reason.as_str()
            || (word == "stuck_or_timeout_failure" && is_stuck(reason))
            || (word == "job_execution_timeout" && is_server_timeout(reason))
    };
    match reason {
        FailureReason::CiQuotaExceeded
        | FailureReason::NoMatchingRunner
        | FailureReason::MissingDependencyFailure
        | FailureReason::ForwardDeploymentFailure
        | FailureReason::EnvironmentCreationFailure => 0,
        _ if job.retry.when.iter().any(matches_reason)
            || job
                .exit_code
                .is_some_and(|code| job.retry.exit_codes.contains(&code)) =>
        {
            job.retry.max
        }
        FailureReason::SchedulerFailure => SCHEDULER_RETRIES,
        _ => 0,
    }
}

/// Newer names of what was `stuck_or_timeout_failure` (`rest-api.md §5.3`).
fn is_stuck(reason: FailureReason) -> bool {
    matches!(
        reason,
        FailureReason::StuckPendingWithMatchingRunners
            | FailureReason::StuckPendingNoMatchingRunners
            | FailureReason::NoUpdatesRunning
            | FailureReason::NoUpdatesCanceling
    )
}

fn is_server_timeout(reason: FailureReason) -> bool {
    matches!(
        reason,
        FailureReason::ServerTimeoutRunning | FailureReason::ServerTimeoutCanceling
    )
}
