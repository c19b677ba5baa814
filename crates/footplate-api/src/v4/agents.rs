//! Agents for Kubernetes (`rest-api.md §4.8`).

use footplate_app::{Error, can};
use footplate_model::{AgentId, AgentTokenId};
use http::StatusCode;
use serde_json::Value as Json;

use crate::{
    call::Call,
    entity,
    error::{Answer, Failure, answer, no_content},
    page::Page,
};

fn agent_id(call: &Call) -> Result<AgentId, Failure> {
    Ok(AgentId(call.path_id("agent_id")?))
}

fn paged<T>(call: &Call, rows: &[T], shown: fn(&T) -> Json) -> Answer {
    let page = Page::of(call)?;
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(page.per_page).unwrap_or(0);
    let list = Json::from_iter(rows.iter().skip(skip).take(take).map(shown));
    let mut response = answer(StatusCode::OK, &list);
    let more = page.offset().saturating_add(page.per_page) < total;
    page.headers(call, &mut response, Some(total), more);
    Ok(response)
}

/// `GET /projects/:id/cluster_agents`
pub async fn list(call: Call) -> Answer {
    let access = call.project::<can::ReadAgents>(call.user().await?).await?;
    let views = call.app.list_agents(&access).await?;
    paged(&call, &views, entity::agent::agent)
}

/// `GET /projects/:id/cluster_agents/:agent_id`
pub async fn show(call: Call) -> Answer {
    let access = call.project::<can::ReadAgents>(call.user().await?).await?;
    let view = call.app.find_agent(&access, agent_id(&call)?).await?;
    Ok(answer(StatusCode::OK, &entity::agent::agent(&view)))
}

/// `POST /projects/:id/cluster_agents`
pub async fn create(call: Call) -> Answer {
    let actor = call.user().await?;
    let name = call.params.required("name")?;
    let access = call.project::<can::AdminAgents>(actor).await?;
    let view = call.app.create_agent(&access, name).await?;
    Ok(answer(StatusCode::CREATED, &entity::agent::agent(&view)))
}

/// `DELETE /projects/:id/cluster_agents/:agent_id`
pub async fn remove(call: Call) -> Answer {
    let access = call.project::<can::AdminAgents>(call.user().await?).await?;
    call.app.delete_agent(&access, agent_id(&call)?).await?;
    Ok(no_content())
}

/// `GET /projects/:id/cluster_agents/:agent_id/tokens`
pub async fn list_tokens(call: Call) -> Answer {
    let access = call.project::<can::ReadAgents>(call.user().await?).await?;
    let tokens = call
        .app
        .list_agent_tokens(&access, agent_id(&call)?)
        .await?;
    paged(&call, &tokens, entity::agent::token)
}

/// `GET /projects/:id/cluster_agents/:agent_id/tokens/:token_id`
pub async fn show_token(call: Call) -> Answer {
    let access = call.project::<can::ReadAgents>(call.user().await?).await?;
    let wanted = AgentTokenId(call.path_id("token_id")?);
    let tokens = call
        .app
        .list_agent_tokens(&access, agent_id(&call)?)
        .await?;
    let token = tokens
        .iter()
        .find(|token| token.id == wanted)
        .ok_or(Error::RECORD_NOT_FOUND)?;
    Ok(answer(
        StatusCode::OK,
        &entity::agent::single_token(token, None),
    ))
}

/// `POST /projects/:id/cluster_agents/:agent_id/tokens`
pub async fn create_token(call: Call) -> Answer {
    let actor = call.user().await?;
    let name = call.params.required("name")?;
    let description = call.params.text("description")?;
    let access = call.project::<can::AdminAgents>(actor).await?;
    let (token, text) = call
        .app
        .create_agent_token(&access, agent_id(&call)?, name, description)
        .await?;
    Ok(answer(
        StatusCode::CREATED,
        &entity::agent::single_token(&token, Some(&text)),
    ))
}

/// `DELETE /projects/:id/cluster_agents/:agent_id/tokens/:token_id`
pub async fn revoke_token(call: Call) -> Answer {
    let access = call.project::<can::AdminAgents>(call.user().await?).await?;
    let token = AgentTokenId(call.path_id("token_id")?);
    call.app
        .revoke_agent_token(&access, agent_id(&call)?, token)
        .await?;
    Ok(no_content())
}
