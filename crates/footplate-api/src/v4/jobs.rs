//! Jobs of projects and pipelines (`rest-api.md §4`, `§6`).

use std::collections::BTreeSet;

use axum::{body::Body, response::Response};
use footplate_app::{ArchiveFile, Download, Error, JobView, PipelineJobs, can};
use footplate_model::{JobId, JobKind, PipelineId, Status};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use crate::{
    call::Call,
    entity,
    error::{Answer, Failure, answer, json, no_content},
    page::{Page, cursor, keyset_link},
};

fn shown(call: &Call, status: StatusCode, view: &JobView) -> Answer {
    Ok(json(status, entity::job::job(&call.app, view)))
}

fn all(call: &Call, views: &[JobView]) -> Response {
    json(StatusCode::OK, entity::job::list(&call.app, views))
}

/// `scope`: one status, a list, or, where `indexed`, an object with numbers as keys.
fn scope(call: &Call, indexed: bool) -> Result<BTreeSet<Status>, Failure> {
    if !indexed && matches!(call.params.value("scope"), Some(Json::Object(_))) {
        return Err(Error::Parameter("scope is invalid".to_owned()).into());
    }
    let words = call.params.texts("scope")?.unwrap_or_default();
    words
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| {
            Status::parse(word).ok_or_else(|| {
                Error::Parameter("scope does not have a valid value".to_owned()).into()
            })
        })
        .collect()
}

fn job_id(call: &Call) -> Result<JobId, Failure> {
    Ok(JobId(call.path_id("job_id")?))
}

/// `GET /projects/:id/jobs`
pub async fn list(call: Call) -> Answer {
    let actor = call.user_or_job().await?;
    let scope = scope(&call, true)?;
    let page = Page::of(&call)?;
    let keyset = call.params.text("pagination")?.as_deref() == Some("keyset");
    let after = if keyset { cursor(&call)? } else { None };
    let access = call.project::<can::ReadBuild>(actor).await?;
    if keyset {
        let order = call
            .params
            .text("order_by")?
            .unwrap_or_else(|| "id".to_owned());
        let sort = call
            .params
            .text("sort")?
            .unwrap_or_else(|| "desc".to_owned());
        if order != "id" || sort != "desc" {
            let text = "Keyset pagination is not yet available for this type of request";
            return Ok(answer(
                StatusCode::METHOD_NOT_ALLOWED,
                &serde_json::json!({"error": text}),
            ));
        }
    }
    let offset = if keyset { 0 } else { page.offset() };
    // One more than asked tells whether there is a next page.
    let mut views = call
        .app
        .list_project_jobs(&access, scope, after, page.per_page + 1, offset)
        .await?;
    let wanted = usize::try_from(page.per_page).unwrap_or(0);
    let more = views.len() > wanted;
    views.truncate(wanted);
    let mut response = all(&call, &views);
    if !keyset {
        page.headers(&call, &mut response, None, more);
    } else if let Some(last) = views.last().filter(|_| more) {
        keyset_link(&call, &mut response, page.per_page, last.job.id.0);
    }
    Ok(response)
}

async fn pipeline_page(call: Call, kind: JobKind) -> Answer {
    let actor = call.anyone().await?;
    let pipeline = PipelineId(call.path_id("pipeline_id")?);
    let scope = scope(&call, false)?;
    let include_retried =
        kind == JobKind::Build && call.params.boolean("include_retried")?.unwrap_or(false);
    let page = Page::of(&call)?;
    let access = call.project::<can::ReadPipeline>(actor).await?;
    let which = PipelineJobs {
        kind,
        scope,
        include_retried,
        limit: page.per_page,
        offset: page.offset(),
    };
    let (views, total) = call
        .app
        .list_pipeline_jobs(&access, pipeline, which)
        .await?;
    let mut response = all(&call, &views);
    let more = page.offset().saturating_add(page.per_page) < total;
    page.headers(&call, &mut response, Some(total), more);
    Ok(response)
}

/// `GET /projects/:id/pipelines/:pipeline_id/jobs`
pub async fn of_pipeline(call: Call) -> Answer {
    pipeline_page(call, JobKind::Build).await
}

/// `GET /projects/:id/pipelines/:pipeline_id/bridges`
pub async fn bridges(call: Call) -> Answer {
    pipeline_page(call, JobKind::Bridge).await
}

/// `GET /projects/:id/jobs/:job_id`
pub async fn show(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::ReadBuild>(actor).await?;
    shown(
        &call,
        StatusCode::OK,
        &call.app.show_job(&access, id).await?,
    )
}

/// `GET /projects/:id/jobs/:job_id/trace`
pub async fn trace(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::ReadBuild>(actor).await?;
    let trace = call.app.read_trace(&access, id).await?;
    let body = trace.bytes.map_or_else(Body::empty, Body::from_stream);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(trace.size));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(value) = HeaderValue::from_str(&format!("infile; filename=\"{id}.log\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// `POST …/cancel`
pub async fn cancel(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let force = call.params.boolean("force")?.unwrap_or(false);
    let access = call.project::<can::CancelBuild>(actor).await?;
    shown(
        &call,
        StatusCode::CREATED,
        &call.app.cancel_job(&access, id, force).await?,
    )
}

/// `POST …/retry`
pub async fn retry(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::RetryJob>(actor).await?;
    shown(
        &call,
        StatusCode::CREATED,
        &call.app.retry_job(&access, id).await?,
    )
}

/// `POST …/erase`
pub async fn erase(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::ReadBuild>(actor).await?;
    shown(
        &call,
        StatusCode::CREATED,
        &call.app.erase_job(&access, id).await?,
    )
}

/// `POST …/play`
pub async fn play(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let variables = call.variables("job_variables_attributes")?;
    let access = call.project::<can::ReadBuild>(actor).await?;
    shown(
        &call,
        StatusCode::OK,
        &call.app.play_job(&access, id, variables).await?,
    )
}

/// `POST …/artifacts/keep`
pub async fn keep(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::KeepJobArtifacts>(actor).await?;
    shown(
        &call,
        StatusCode::OK,
        &call.app.keep_job_artifacts(&access, id).await?,
    )
}

/// `DELETE …/artifacts`
pub async fn delete_artifacts(call: Call) -> Answer {
    let actor = call.user().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::DeleteJobArtifact>(actor).await?;
    call.app.delete_artifacts(&access, id).await?;
    Ok(no_content())
}

/// An archive as an attachment.
pub(super) fn send(download: &Download) -> Response {
    let mut response = Response::new(Body::from_stream(download.blob.stream()));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(download.blob.size()),
    );
    attach(&mut response, &download.artifact.filename);
    response
}

fn attach(response: &mut Response, name: &str) {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && c != '"' && c != '\\' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}

fn send_file(file: ArchiveFile) -> Response {
    let mut response = Response::new(Body::from_stream(file.bytes));
    let headers = response.headers_mut();
    let kind = if file.name.ends_with(".json") {
        "application/json"
    } else if file.name.ends_with(".txt") || file.name.ends_with(".log") {
        "text/plain"
    } else {
        "application/octet-stream"
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.size));
    attach(&mut response, &file.name);
    response
}

/// `GET …/artifacts`
pub async fn artifacts(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let id = job_id(&call)?;
    let access = call.project::<can::ReadJobArtifacts>(actor).await?;
    Ok(send(&call.app.download_artifacts(&access, id).await?))
}

/// `GET …/artifacts/*artifact_path`
pub async fn artifact_file(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let id = job_id(&call)?;
    let path = call.path("artifact_path")?;
    let access = call.project::<can::ReadJobArtifacts>(actor).await?;
    let download = call.app.download_artifacts(&access, id).await?;
    Ok(send_file(call.app.archive_file(&download, &path).await?))
}

/// `GET /projects/:id/jobs/artifacts/:ref_name/download` and `…/raw/*artifact_path`
pub async fn artifacts_by_ref(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let rest = call.path("rest")?;
    let job = call.params.required("job")?;
    let access = call.project::<can::ReadJobArtifacts>(actor).await?;
    if let Some(ref_name) = rest.strip_suffix("/download") {
        let download = call
            .app
            .download_artifacts_by_ref(&access, ref_name.to_owned(), job)
            .await?;
        return Ok(send(&download));
    }
    let Some((ref_name, path)) = rest.split_once("/raw/") else {
        return Err(Error::NOTHING_FOUND.into());
    };
    let download = call
        .app
        .download_artifacts_by_ref(&access, ref_name.to_owned(), job)
        .await?;
    Ok(send_file(call.app.archive_file(&download, path).await?))
}
