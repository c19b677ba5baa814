//! Cancelation (`pipeline-processing.md §10`).

use footplate_model::{JobKind, Status};

use crate::{effect::Effect, event::Illegal, machine::Machine, snapshot::JobKey};

impl Machine {
    /// Cancels one job; one that has finished stays as it is.
    pub(crate) fn cancel(&mut self, key: JobKey, force: bool) -> Result<(), Illegal> {
        let index = self.index(key)?;
        let status = self.work.jobs[index].status;
        if status == Status::Canceling && force {
            self.set(index, Status::Canceled);
        } else if status.is_cancelable() || status == Status::Manual {
            self.cancel_job(index);
        }
        self.process();
        Ok(())
    }

    pub(crate) fn cancel_pipeline(&mut self) {
        self.cancel_everything();
        self.process();
    }

    /// Every cancelable latest job, and what bridges started. Manual jobs stay.
    pub(crate) fn cancel_everything(&mut self) {
        for index in 0..self.work.jobs.len() {
            let job = &self.work.jobs[index];
            if job.retried {
                continue;
            }
            if job.status.is_cancelable() {
                self.cancel_job(index);
            } else if job.kind == JobKind::Bridge && job.has_downstream {
                self.actions.push(Effect::CancelDownstream(job.key));
            }
        }
    }

    fn cancel_job(&mut self, index: usize) {
        let job = &self.work.jobs[index];
        let ends_by_itself =
            job.status == Status::Running && job.kind == JobKind::Build && job.graceful_cancel;
        self.set(
            index,
            if ends_by_itself {
                Status::Canceling
            } else {
                Status::Canceled
            },
        );
    }
}
