//! What runners call (`runner-protocol.md`).

use std::sync::Arc;

use axum::{
    body::BodyDataStream,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use footplate_app::{
    App, Credential, Error,
    runner::{
        ArtifactUpload, JobRequest, Offered, Registration, Report, ReportOutcome, RunnerInfo,
        TraceChunk, TraceOutcome,
    },
};
use footplate_model::{JobId, RunnerAccessLevel, Status};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value as Json, json};

use crate::{
    call::{Call, header_text},
    entity,
    error::{Answer, Failure, answer, no_content, raw},
    params::{Params, invalid},
};

/// A trace chunk may be a little over 1 MiB.
const CHUNK_LIMIT: usize = (1 << 20) + (64 << 10);

/// The runner's token: the field, or the header of newer runners. Both must agree.
fn runner_token(call: &Call) -> Result<String, Failure> {
    let field = call.params.text("token")?.filter(|token| !token.is_empty());
    let header = header_text(&call.headers, "runner-token").map(str::to_owned);
    match (field, header) {
        (Some(field), Some(header)) if field != header => Err(Error::FORBIDDEN.into()),
        (Some(token), _) | (None, Some(token)) => Ok(token),
        (None, None) => Err(Error::Parameter("token is missing".to_owned()).into()),
    }
}

fn object(params: &Map<String, Json>, name: &str) -> Map<String, Json> {
    params
        .get(name)
        .and_then(Json::as_object)
        .cloned()
        .unwrap_or_default()
}

fn info(params: &Params) -> RunnerInfo {
    let info = object(&params.0, "info");
    let text = |name: &str| info.get(name).and_then(Json::as_str).map(str::to_owned);
    RunnerInfo {
        name: text("name"),
        version: text("version"),
        revision: text("revision"),
        platform: text("platform"),
        architecture: text("architecture"),
        executor: text("executor"),
        ip_address: None,
        features: Arc::new(object(&info, "features")),
        labels: object(&info, "labels"),
    }
}

pub(super) fn registration(call: &Call) -> Result<Registration, Failure> {
    let params = &call.params;
    let access_level = match params.text("access_level")?.filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => Some(RunnerAccessLevel::parse(&word).ok_or_else(|| {
            Error::Parameter("access_level does not have a valid value".to_owned())
        })?),
    };
    let (paused, active) = (params.boolean("paused")?, params.boolean("active")?);
    if paused.is_some() && active.is_some() {
        return Err(Error::Parameter("active, paused are mutually exclusive".to_owned()).into());
    }
    Ok(Registration {
        token: params.text("token")?.unwrap_or_default(),
        description: params.text("description")?.unwrap_or_default(),
        maintenance_note: params
            .text("maintenance_note")?
            .or(params.text("maintainer_note")?),
        tag_list: params.comma_texts("tag_list")?.unwrap_or_default(),
        run_untagged: params.boolean("run_untagged")?.unwrap_or(true),
        locked: params.boolean("locked")?.unwrap_or(false),
        access_level,
        maximum_timeout: params.integer("maximum_timeout")?,
        paused: paused.or(active.map(|active| !active)).unwrap_or(false),
    })
}

pub(super) fn registered(of: &footplate_app::runner::Registered) -> Json {
    json!({"id": of.id.0, "token": of.token, "token_expires_at": of.expires_at.map(|at| at.to_string())})
}

/// `POST /runners`
pub async fn register(call: Call) -> Answer {
    call.params.required("token")?;
    let done = call.app.register_runner(registration(&call)?).await?;
    Ok(answer(StatusCode::CREATED, &registered(&done)))
}

/// `POST /runners/verify`
pub async fn verify(call: Call) -> Answer {
    let token = runner_token(&call)?;
    let system_id = call.params.text("system_id")?;
    let done = call
        .app
        .verify_runner(token, system_id, info(&call.params))
        .await?;
    Ok(answer(StatusCode::OK, &registered(&done)))
}

/// `DELETE /runners`
pub async fn unregister(call: Call) -> Answer {
    let token = runner_token(&call)?;
    call.app.unregister_runner(token).await?;
    Ok(no_content())
}

/// `DELETE /runners/managers`
pub async fn unregister_manager(call: Call) -> Answer {
    let token = runner_token(&call)?;
    let system_id = call.params.required("system_id")?;
    call.app.unregister_manager(token, system_id).await?;
    Ok(no_content())
}

/// `POST /runners/reset_authentication_token`
pub async fn reset_token(call: Call) -> Answer {
    let token = runner_token(&call)?;
    let done = call.app.reset_own_runner_token(token).await?;
    let body =
        json!({"token": done.token, "token_expires_at": done.expires_at.map(|at| at.to_string())});
    Ok(answer(StatusCode::CREATED, &body))
}

/// `GET /runners/router/discovery`
pub async fn discovery() -> Response {
    let text = "Job Router is not available. Please contact your administrator.";
    answer(StatusCode::NOT_IMPLEMENTED, &json!({"message": text}))
}

/// `POST /jobs/request`
pub async fn request(call: Call) -> Answer {
    let token = runner_token(&call)?;
    let request = JobRequest {
        token,
        system_id: call.params.text("system_id")?,
        last_update: call.params.text("last_update")?,
        info: info(&call.params),
    };
    match call.app.request_job(request).await? {
        Offered::Job(job) => {
            let text = entity::assignment::assignment(&job).map_err(Error::internal)?;
            Ok(crate::error::json(StatusCode::CREATED, text))
        }
        Offered::Nothing(token) => {
            let mut response = no_content();
            if let Ok(value) = HeaderValue::from_str(&token) {
                response.headers_mut().insert("x-gitlab-last-update", value);
            }
            Ok(response)
        }
    }
}

fn with_status(mut response: Response, app: &App, id: JobId, status: Option<Status>) -> Response {
    if let Some(status) = status {
        response
            .headers_mut()
            .insert("job-status", HeaderValue::from_static(status.as_str()));
    }
    let interval = HeaderValue::from(app.update_interval(id));
    response
        .headers_mut()
        .insert("x-gitlab-trace-update-interval", interval);
    response
}

fn refused() -> Response {
    answer(StatusCode::FORBIDDEN, &json!({"message": "403 Forbidden"}))
}

/// `PUT /jobs/:id`
pub async fn update(call: Call) -> Answer {
    let id = JobId(call.path_id("job_id")?);
    let field = call.params.text("token")?.filter(|token| !token.is_empty());
    let token = match (field, header_text(&call.headers, "job-token")) {
        (Some(field), Some(header)) if field != header => return Err(Error::FORBIDDEN.into()),
        (Some(field), _) => field,
        (None, Some(header)) => header.to_owned(),
        (None, None) => return Err(Error::Parameter("token is missing".to_owned()).into()),
    };
    let output = object(&call.params.0, "output");
    let checksum = output
        .get("checksum")
        .and_then(Json::as_str)
        .map(str::to_owned);
    let report = Report {
        token,
        state: call.params.required("state")?,
        failure_reason: call.params.text("failure_reason")?,
        exit_code: call.params.integer("exit_code")?,
        checksum: checksum.or(call.params.text("checksum")?),
        bytesize: output.get("bytesize").and_then(Json::as_u64),
    };
    let (status, code) = match call.app.report_job(id, report).await? {
        ReportOutcome::Taken(status) => (Some(status), StatusCode::OK),
        ReportOutcome::SendAgain(status) => (Some(status), StatusCode::PRECONDITION_FAILED),
        ReportOutcome::Refused(status) => return Ok(with_status(refused(), &call.app, id, status)),
    };
    let text = code.as_str().to_owned();
    Ok(with_status(
        raw(code, "application/json", text),
        &call.app,
        id,
        status,
    ))
}

fn path_job(text: &str) -> Result<JobId, Failure> {
    text.parse()
        .map(JobId)
        .map_err(|_| invalid("job_id").into())
}

fn query(uri: &http::Uri) -> Result<Params, Failure> {
    let mut params = Params::default();
    if let Some(text) = uri.query() {
        params.add_form(text)?;
    }
    Ok(params)
}

fn job_token(headers: &HeaderMap, params: &Params) -> Result<String, Failure> {
    if let Some(token) = header_text(headers, "job-token") {
        return Ok(token.to_owned());
    }
    Ok(params
        .text("token")?
        .or(params.text("job_token")?)
        .unwrap_or_default())
}

/// `PATCH /jobs/:id/trace`
pub async fn append_trace(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let id = path_job(&id)?;
    let params = query(request.uri())?;
    let token = job_token(request.headers(), &params)?;
    let Some(range) = header_text(request.headers(), "content-range") else {
        return Ok(answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "Content-Range header is missing"}),
        ));
    };
    let start = range
        .trim_start_matches("bytes ")
        .split('-')
        .next()
        .and_then(|start| start.trim().parse::<u64>().ok());
    let Some(offset) = start else {
        return Ok(answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "Content-Range header is invalid"}),
        ));
    };
    let debug = params.boolean("debug_trace")?.unwrap_or(false);
    let bytes = match Limited::new(request.into_body(), CHUNK_LIMIT)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Error::refused(413, "413 Request Entity Too Large").into());
        }
        Err(_) => return Err(Error::BadRequest("the body broke off".to_owned()).into()),
    };
    let outcome = app
        .receive_trace(
            id,
            TraceChunk {
                token,
                offset,
                bytes,
                debug,
            },
        )
        .await?;
    let (code, status, size) = match outcome {
        TraceOutcome::Kept(status, size) => (StatusCode::ACCEPTED, status, size),
        TraceOutcome::Elsewhere(status, size) => (StatusCode::RANGE_NOT_SATISFIABLE, status, size),
        TraceOutcome::Refused(status) => return Ok(with_status(refused(), &app, id, status)),
    };
    let mut response = raw(code, "application/json", format!("0-{size}"));
    if let Ok(value) = HeaderValue::from_str(&format!("0-{size}")) {
        response.headers_mut().insert(header::RANGE, value);
    }
    Ok(with_status(response, &app, id, Some(status)))
}

/// `POST /jobs/:id/artifacts`
///
/// Who is refused may still be sending. A little of that is read and dropped so that the refusal arrives, and the connection ends.
pub async fn upload(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = body.into_data_stream();
    match receive_upload(&app, &id, &head, &mut body).await {
        Ok(answer) => answer,
        Err(failure) => {
            drop_rest(&mut body).await;
            let mut answer = failure.into_response();
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
            answer
        }
    }
}

/// Reads on for a second and a megabyte at most.
async fn drop_rest(body: &mut BodyDataStream) {
    const BYTES: usize = 1 << 20;
    const TIME: std::time::Duration = std::time::Duration::from_secs(1);
    let read = async {
        let mut seen = 0;
        while let Some(Ok(piece)) = body.next().await {
            seen += piece.len();
            if seen > BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(TIME, read).await;
}

async fn receive_upload(
    app: &App,
    id: &str,
    head: &http::request::Parts,
    body: &mut BodyDataStream,
) -> Answer {
    let id = path_job(id)?;
    let params = query(&head.uri)?;
    let token = job_token(&head.headers, &params)?;
    // Who may not upload does not get to send the file first.
    app.authorize_upload(id, token.clone()).await?;
    let content_type = header_text(&head.headers, "content-type")
        .unwrap_or_default()
        .to_owned();
    let bad = |error: multer::Error| Error::BadRequest(error.to_string());
    let boundary = multer::parse_boundary(&content_type).map_err(bad)?;
    let mut parts = multer::Multipart::new(body, boundary);
    let mut upload = ArtifactUpload {
        token,
        artifact_type: params.text("artifact_type")?,
        artifact_format: params.text("artifact_format")?,
        expire_in: params.text("expire_in")?,
        filename: String::new(),
    };
    let mut received = None;
    while let Some(field) = parts.next_field().await.map_err(bad)? {
        match field.name() {
            Some("file") => {
                upload.filename = field.file_name().unwrap_or("artifacts.zip").to_owned();
                received = Some(app.receive_file(field).await?);
            }
            Some("artifact_type") => upload.artifact_type = Some(field.text().await.map_err(bad)?),
            Some("artifact_format") => {
                upload.artifact_format = Some(field.text().await.map_err(bad)?);
            }
            Some("expire_in") => upload.expire_in = Some(field.text().await.map_err(bad)?),
            Some(_) | None => {}
        }
    }
    let received = received.ok_or_else(|| Error::Parameter("file is missing".to_owned()))?;
    let none = |text: Option<String>| text.filter(|text| !text.is_empty());
    upload.artifact_type = none(upload.artifact_type);
    upload.artifact_format = none(upload.artifact_format);
    app.keep_artifact(id, upload, received).await?;
    Ok(raw(StatusCode::CREATED, "application/json", "201"))
}

/// `GET /jobs/:id/artifacts`
pub async fn download(State(app): State<App>, Path(id): Path<String>, request: Request) -> Answer {
    let id = path_job(&id)?;
    let params = query(request.uri())?;
    let token = job_token(request.headers(), &params)?;
    let actor = app.authenticate(Credential::JobToken(token)).await?;
    let download = app.download_dependency(&actor, id).await?;
    Ok(super::jobs::send(&download))
}
