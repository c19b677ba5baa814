//! Git over HTTP: `info/refs`, `git-upload-pack`, `git-receive-pack` (DESIGN §3).

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use footplate_app::git::{Encoding, RequestBody, Service};
use footplate_app::{App, Begun, Error, GitAccess};
use futures_util::StreamExt;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;

use crate::call::{basic, header_text};

/// What a path of git asks for.
enum Asked {
    Refs(Service),
    Run(Service),
}

/// The project's path and what is asked for; `None` for paths that are not git's.
fn split(path: &str, query: Option<&str>) -> Option<(String, Asked)> {
    let (project, rest) = path.split_once(".git/")?;
    let project = percent_decode_str(project.trim_start_matches('/'))
        .decode_utf8()
        .ok()?;
    let asked = match rest {
        "info/refs" => {
            let name = query
                .unwrap_or_default()
                .split('&')
                .find_map(|pair| pair.strip_prefix("service="));
            Asked::Refs(Service::parse(name.unwrap_or_default())?)
        }
        name => Asked::Run(Service::parse(name)?),
    };
    Some((project.into_owned(), asked))
}

/// Whether a path belongs to git.
pub fn is_git(path: &str, query: Option<&str>) -> bool {
    split(path, query).is_some()
}

/// Answers git.
pub async fn serve(State(app): State<App>, request: Request) -> Response {
    match answer(app, request).await {
        Ok(response) => response,
        Err(error) => refuse(error),
    }
}

/// Errors as git shows them: plain text, and a question for a password.
fn refuse(error: Error) -> Response {
    let (status, text) = match &error {
        Error::Unauthorized(_) => (
            StatusCode::UNAUTHORIZED,
            "HTTP Basic: Access denied. Use a personal access token or your password.".to_owned(),
        ),
        Error::Forbidden(reason) => (
            StatusCode::FORBIDDEN,
            reason.clone().unwrap_or_else(|| "Forbidden".to_owned()),
        ),
        Error::NotFound(text) => (StatusCode::NOT_FOUND, (*text).to_owned()),
        Error::Refused { status, message } => (
            StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST),
            message.clone(),
        ),
        Error::BadRequest(text) | Error::Parameter(text) => (StatusCode::BAD_REQUEST, text.clone()),
        Error::Invalid(faults) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{faults:?}")),
        _ => return crate::error::Failure(error).into_response(),
    };
    let mut response = crate::error::raw(status, "text/plain", text);
    if status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Basic realm=\"GitLab\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

async fn answer(app: App, request: Request) -> Result<Response, Error> {
    let Some((path, asked)) = split(request.uri().path(), request.uri().query()) else {
        return Err(Error::NOTHING_FOUND);
    };
    let actor = app.authenticate_git(basic(request.headers())).await?;
    let protocol = header_text(request.headers(), "git-protocol").map(str::to_owned);
    let (service, refs) = match asked {
        Asked::Refs(service) => (service, true),
        Asked::Run(service) => (service, false),
    };
    let expected = if refs { Method::GET } else { Method::POST };
    if *request.method() != expected {
        return Err(Error::refused(405, "Method Not Allowed"));
    }
    let access = app.open_repository(actor, path, service).await?;
    if refs {
        let stream = access
            .repository
            .info_refs(service, protocol.as_deref())
            .await?;
        return Ok(streamed(service.advertisement_type(), stream));
    }
    let body = body(&app, request)?;
    let stream = match service {
        Service::UploadPack => {
            access
                .repository
                .upload_pack(body, protocol.as_deref())
                .await?
        }
        Service::ReceivePack => push(&app, &access, body).await?,
    };
    Ok(streamed(service.result_type(), stream))
}

fn body(app: &App, request: Request) -> Result<RequestBody, Error> {
    let encoding = Encoding::parse(header_text(request.headers(), "content-encoding"))
        .ok_or_else(|| Error::refused(415, "unsupported content encoding"))?;
    let stream = request.into_body().into_data_stream();
    Ok(RequestBody::new(
        stream.map(|chunk| chunk.map_err(std::io::Error::other)),
        encoding,
        app.settings().push_limit,
    ))
}

async fn push(
    app: &App,
    access: &GitAccess,
    body: RequestBody,
) -> Result<footplate_app::git::ByteStream, Error> {
    let push = access.repository.read_push(body).await?;
    if push.is_probe() {
        return Ok(push.run(|_| async { Vec::new() }).await?);
    }
    match app.begin_push(access, push.commands()).await? {
        Begun::Go(intent) => app.run_push(access, push, intent).await,
        Begun::Refused(message, rejections) => Ok(push
            .refuse(&[message], "pre-receive hook declined", &rejections)
            .await),
    }
}

fn streamed(content_type: &'static str, stream: footplate_app::git::ByteStream) -> Response {
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, max-age=0, must-revalidate"),
    );
    response
}
