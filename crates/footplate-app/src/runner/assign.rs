//! A runner asks for work (`runner-protocol.md §2`, `§3`).

use footplate_model::{FailureReason, JobId, PipelineId};
use footplate_pipeline::Event;
use tokio::sync::oneshot;

use super::{
    Assignment,
    desk::{Answer, Asker},
    greet::JobRequest,
};
use crate::{App, Error, Result, movement::key};

/// The answer to a request for work.
#[derive(Debug)]
pub enum Offered {
    /// A job; it runs from now on.
    Job(Box<Assignment>),
    /// Nothing; the queue token to come back with.
    Nothing(String),
}

impl App {
    /// Gives a runner a job, or holds the request until there is one (`runner-protocol.md §2.3`).
    ///
    /// # Errors
    /// 403 for a token that is not valid any more.
    pub async fn request_job(&self, mut request: JobRequest) -> Result<Offered> {
        loop {
            let (reply, answer) = oneshot::channel();
            self.ask(Asker { request, reply });
            let closed = |_| Error::internal("the search for jobs was broken off");
            let told = match answer.await.map_err(closed)?? {
                Answer::Nothing(token) => return Ok(Offered::Nothing(token)),
                Answer::Job(answer) => {
                    let (told, again) = *answer;
                    request = again;
                    told
                }
            };
            let (job, pipeline) = (told.claimed.job.id, told.claimed.pipeline.id);
            match self.assignment(told).await {
                Ok(assignment) => return Ok(Offered::Job(Box::new(assignment))),
                // The runner gets another job instead.
                Err(error) => self.spoil(job, pipeline, &error).await?,
            }
        }
    }

    /// A job whose payload cannot be built fails.
    async fn spoil(&self, job: JobId, pipeline: PipelineId, error: &Error) -> Result<()> {
        tracing::error!(%error, %job, "the payload of a job could not be built");
        let event = Event::Drop {
            job: key(job),
            reason: FailureReason::DataIntegrityFailure,
            exit_code: None,
        };
        self.move_pipeline(pipeline, event).await
    }
}
