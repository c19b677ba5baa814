//! Pipelines (`rest-api.md §7`).

use footplate_app::{
    Error, NewPipeline, can,
    pipeline_filter::{Filter, Order},
};
use footplate_model::{PipelineId, PipelineSource, Status, Timestamp};
use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::{
    call::Call,
    entity,
    error::{Answer, Failure, answer, no_content},
    page::Page,
    params::invalid,
};

fn wrong(name: &str) -> Failure {
    Error::Parameter(format!("{name} does not have a valid value")).into()
}

fn pipeline_id(call: &Call) -> Result<PipelineId, Failure> {
    Ok(PipelineId(call.path_id("pipeline_id")?))
}

/// `POST /projects/:id/pipeline`
pub async fn create(call: Call) -> Answer {
    let actor = call.user().await?;
    let ref_name = call.params.required("ref")?;
    let variables = call.variables("variables")?.unwrap_or_default();
    let inputs = match call.params.value("inputs") {
        None => serde_json::Map::new(),
        Some(Json::Object(map)) => map.clone(),
        Some(_) => return Err(invalid("inputs").into()),
    };
    let access = call.project::<can::CreatePipeline>(actor).await?;
    let new = NewPipeline {
        ref_name,
        variables,
        inputs,
    };
    let view = call
        .app
        .create_pipeline(&access, new, PipelineSource::Api)
        .await?;
    Ok(answer(
        StatusCode::CREATED,
        &entity::pipeline::single(&call.app, &view),
    ))
}

fn at(call: &Call, name: &str) -> Result<Option<Timestamp>, Failure> {
    match call.params.text(name)? {
        None => Ok(None),
        Some(text) => Timestamp::parse(&text)
            .map(Some)
            .ok_or_else(|| invalid(name).into()),
    }
}

/// The filter of a list; the user is looked up by the caller.
fn filter(call: &Call) -> Result<Filter, Failure> {
    let mut statuses: Option<Vec<&str>> = None;
    let mut newest_of_tags = None;
    match call.params.text("scope")?.as_deref() {
        None | Some("") => {}
        Some("running") => statuses = Some(vec!["running"]),
        Some("pending") => statuses = Some(vec!["pending"]),
        Some("finished") => statuses = Some(vec!["success", "failed", "canceled"]),
        Some("branches") => newest_of_tags = Some(false),
        Some("tags") => newest_of_tags = Some(true),
        Some(_) => return Err(wrong("scope")),
    }
    if let Some(word) = call.params.text("status")? {
        statuses = Some(vec![
            Status::parse(&word)
                .ok_or_else(|| wrong("status"))?
                .as_str(),
        ]);
    }
    let source = match call.params.text("source")? {
        None => None,
        Some(word) => Some(PipelineSource::parse(&word).ok_or_else(|| wrong("source"))?),
    };
    Ok(Filter {
        statuses: statuses.map(|words| json!(words).to_string()),
        ref_name: call.params.text("ref")?,
        sha: call.params.text("sha")?,
        yaml_errors: call.params.boolean("yaml_errors")?,
        name: call.params.text("name")?,
        source,
        updated_after: at(call, "updated_after")?,
        updated_before: at(call, "updated_before")?,
        created_after: at(call, "created_after")?,
        created_before: at(call, "created_before")?,
        newest_of_tags,
        ..Filter::default()
    })
}

/// `GET /projects/:id/pipelines`
pub async fn list(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let mut filter = filter(&call)?;
    let order = match call.params.text("order_by")?.as_deref() {
        None | Some("id") => Order::Id,
        Some("status") => Order::Status,
        Some("ref") => Order::Ref,
        Some("updated_at") => Order::UpdatedAt,
        Some("user_id") => Order::UserId,
        Some(_) => return Err(wrong("order_by")),
    };
    let ascending = match call.params.text("sort")?.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(wrong("sort")),
    };
    let access = call.project::<can::ReadPipeline>(actor).await?;
    let mut unknown = false;
    if let Some(name) = call.params.text("username")? {
        let (found, _) = call.app.list_users(String::new(), Some(name), 1, 0).await?;
        unknown = found.is_empty();
        filter.user = found.first().map(|user| user.id);
    }
    let (rows, total) = if unknown {
        (Vec::new(), 0)
    } else {
        call.app
            .list_pipelines(
                &access,
                filter,
                order,
                ascending,
                page.per_page,
                page.offset(),
            )
            .await?
    };
    let path = &access.project().full_path;
    let list: Vec<Json> = rows
        .iter()
        .map(|row| entity::pipeline::listed(&call.app, path, row))
        .collect();
    let mut response = answer(StatusCode::OK, &Json::Array(list));
    let more = page.offset().saturating_add(page.per_page) < total;
    page.headers(&call, &mut response, Some(total), more);
    Ok(response)
}

/// `GET …/pipelines/:pipeline_id`
pub async fn show(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let id = pipeline_id(&call)?;
    let access = call.project::<can::ReadPipeline>(actor).await?;
    let view = call.app.show_pipeline(&access, id).await?;
    Ok(answer(
        StatusCode::OK,
        &entity::pipeline::single(&call.app, &view),
    ))
}

/// `GET …/pipelines/latest`
pub async fn latest(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let ref_name = call.params.text("ref")?;
    let access = call.project::<can::ReadPipeline>(actor).await?;
    let view = call.app.show_latest_pipeline(&access, ref_name).await?;
    Ok(answer(
        StatusCode::OK,
        &entity::pipeline::single(&call.app, &view),
    ))
}

/// `POST …/cancel`
pub async fn cancel(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = pipeline_id(&call)?;
    let access = call.project::<can::CancelPipeline>(actor).await?;
    let view = call.app.cancel_pipeline(&access, id).await?;
    Ok(answer(
        StatusCode::OK,
        &entity::pipeline::single(&call.app, &view),
    ))
}

/// `POST …/retry`
pub async fn retry(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = pipeline_id(&call)?;
    let access = call.project::<can::UpdatePipeline>(actor).await?;
    let view = call.app.retry_pipeline(&access, id).await?;
    Ok(answer(
        StatusCode::CREATED,
        &entity::pipeline::single(&call.app, &view),
    ))
}

/// `DELETE …/pipelines/:pipeline_id`
pub async fn remove(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = pipeline_id(&call)?;
    let access = call.project::<can::DestroyPipeline>(actor).await?;
    call.app.delete_pipeline(&access, id).await?;
    Ok(no_content())
}

/// `GET …/variables`
pub async fn variables(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = pipeline_id(&call)?;
    let access = call.project::<can::ReadPipeline>(actor).await?;
    let list = call.app.list_pipeline_variables(&access, id).await?;
    Ok(answer(
        StatusCode::OK,
        &Json::from_iter(list.iter().map(entity::pipeline::variable)),
    ))
}
