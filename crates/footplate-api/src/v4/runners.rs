//! Runners as users make them (`rest-api.md §8`).

use footplate_app::{Error, can, runner::RunnerOwner};
use footplate_model::{AccessLevel, NamespaceId, ProjectId};
use http::StatusCode;

use crate::{
    call::Call,
    error::{Answer, answer},
};

/// `POST /user/runners`
pub async fn create(call: Call) -> Answer {
    let actor = call.user().await?;
    let new = super::runner::registration(&call)?;
    let user = actor.user_id().ok_or(Error::UNAUTHORIZED)?;
    let owner = match call.params.required("runner_type")?.as_str() {
        "instance_type" if actor.is_admin() => RunnerOwner::Instance,
        "instance_type" => return Err(Error::FORBIDDEN.into()),
        "group_type" => {
            let id = call
                .params
                .integer("group_id")?
                .ok_or_else(|| Error::Parameter("group_id is missing".to_owned()))?;
            call.app
                .authorize_group(actor, id.to_string(), AccessLevel::OWNER)
                .await?;
            RunnerOwner::Group(NamespaceId(id))
        }
        "project_type" => {
            let id = call
                .params
                .integer("project_id")?
                .ok_or_else(|| Error::Parameter("project_id is missing".to_owned()))?;
            let project = footplate_app::ProjectRef::Id(ProjectId(id));
            call.app
                .authorize::<can::AdminRunners>(actor, project)
                .await?;
            RunnerOwner::Project(ProjectId(id))
        }
        _ => {
            return Err(
                Error::Parameter("runner_type does not have a valid value".to_owned()).into(),
            );
        }
    };
    let done = call.app.create_runner(new, owner, user).await?;
    Ok(answer(
        StatusCode::CREATED,
        &super::runner::registered(&done),
    ))
}
