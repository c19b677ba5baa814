//! `GET /job` and what else a job asks of itself (`rest-api.md §4.5`, `§4.8`).

use footplate_app::{Actor, Error};
use http::StatusCode;

use crate::{
    call::Call,
    entity,
    error::{Answer, answer, json},
};

/// The job of the token.
pub async fn show(call: Call) -> Answer {
    match call.user_or_job().await? {
        Actor::Job(job) => {
            let view = call.app.own_job(job.job_id).await?;
            Ok(json(StatusCode::OK, entity::job::job(&call.app, &view)))
        }
        Actor::User(_) | Actor::Anonymous => Err(Error::NotFound("404 Job Not Found").into()),
    }
}

/// `GET /job/allowed_agents`
pub async fn allowed_agents(call: Call) -> Answer {
    match call.user_or_job().await? {
        Actor::Job(job) => {
            let allowed = call.app.allowed_agents(job.job_id).await?;
            Ok(answer(
                StatusCode::OK,
                &entity::agent::allowed(&call.app, &allowed),
            ))
        }
        Actor::User(_) | Actor::Anonymous => Err(Error::NotFound("404 Job Not Found").into()),
    }
}
