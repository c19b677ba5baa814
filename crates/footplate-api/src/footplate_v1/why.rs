//! Why each job is in a pipeline or not, as it was written down at its creation.

use footplate_app::{Error, can};
use footplate_model::{PipelineId, policy::Ability};
use http::StatusCode;

use crate::{
    call::Call,
    error::{Answer, answer},
};

/// `GET /projects/:id/pipelines/:pipeline_id/why`, with `?job=NAME` of one job.
///
/// It quotes conditions out of the configuration with the values that they saw: who may not read jobs or code learns nothing, and
/// values of CI variables are for those who may read these.
pub async fn show(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let id = PipelineId(call.path_id("pipeline_id")?);
    let job = call.params.text("job")?;
    let access = call.project::<can::ReadPipeline>(actor).await?;
    access.narrow::<can::ReadBuild>()?;
    access.narrow::<can::ReadCode>()?;
    let why = call.app.read_why(&access, id).await?;
    let secrets = access.may(Ability::AdminVariables);
    let Some(job) = job else {
        return Ok(answer(StatusCode::OK, &why.shown(secrets)));
    };
    let found = why.shown_job(&job, secrets);
    let found = found.ok_or(Error::NotFound("404 Job Not Found"))?;
    Ok(answer(StatusCode::OK, &found))
}
