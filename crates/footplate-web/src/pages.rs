//! The routes of pages, at GitLab's paths. Each works without scripts; who may see what is the application's to decide.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use footplate_app::{
    Actor, App, Credential, Error, PipelineJobs, ProjectRef, can,
    pipeline_filter::{Filter, Order},
    projects_filter,
};
use footplate_model::{Job, JobId, JobKind, Pipeline, PipelineId, Project};
use futures_util::TryStreamExt as _;

use crate::{assets, trace};

/// Rows of a page.
const PAGE: i64 = 30;
/// So much of the end of a trace is shown, in bytes.
const SHOWN: usize = 512 * 1024;
const COOKIE: &str = "_gitlab_session";

/// Pages as a router.
pub fn pages() -> Router<App> {
    Router::new()
        .route("/", get(projects))
        .route("/projects", get(projects))
        .route("/users/sign_in", get(sign_in_form).post(sign_in))
        .route("/users/sign_out", post(sign_out))
        .route("/-/setup", get(setup_form).post(setup))
        .route("/-/assets/plain.css", get(assets::plain))
        .fallback(below_project)
}

/// Who looks, and what every page shows of them.
struct Visitor {
    actor: Actor,
    root: String,
    user: Option<String>,
    csrf: String,
}

impl Visitor {
    async fn of(app: &App, headers: &http::HeaderMap) -> Result<Self, Error> {
        let session = session(headers);
        let (actor, csrf) = match session {
            Some(session) => {
                let actor = app
                    .authenticate(Credential::Session(session.clone()))
                    .await?;
                (actor, app.csrf_token(session).await?)
            }
            None => (Actor::Anonymous, None),
        };
        Ok(Self {
            user: actor.user().map(|user| user.name.clone()),
            root: app.settings().server.root_path().to_owned(),
            csrf: csrf.unwrap_or_default(),
            actor,
        })
    }
}

fn session(headers: &http::HeaderMap) -> Option<String> {
    let cookies = headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

macro_rules! page {
    ($name:ident, $path:literal, { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $name {
            root: String,
            user: Option<String>,
            csrf: String,
            $($field: $kind),*
        }
    };
}

page!(SignIn, "sign_in.html", { failed: bool });
page!(SetUp, "setup.html", { token: String, fault: Option<String> });
page!(Projects, "projects.html", { projects: Vec<Project> });
page!(Pipelines, "pipelines.html", { project: Project, pipelines: Vec<Pipeline>, page: i64, more: bool });
page!(OnePipeline, "pipeline.html", { project: Project, pipeline: Pipeline, stages: Vec<(String, Vec<Job>)> });
page!(OneJob, "job.html", { project: Project, job: Job, trace: String, cut: bool, raw: String });
page!(Fault, "fault.html", { text: String });

fn html(status: http::StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
            let headers = [
                ("content-type", "text/html; charset=utf-8"),
                ("content-security-policy", policy),
                ("referrer-policy", "same-origin"),
            ];
            (status, headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A refusal as a page; who is not signed in is asked to be.
fn refuse(error: Error, visitor: Visitor) -> Response {
    let anonymous = matches!(visitor.actor, Actor::Anonymous);
    let (status, text) = match error {
        Error::NotFound(_) | Error::Unauthorized(_) | Error::Forbidden(_) if anonymous => {
            return Redirect::to(&format!("{}/users/sign_in", visitor.root)).into_response();
        }
        Error::NotFound(_) | Error::NotFoundText(_) => {
            (404, "404: there is no such page, or you may not see it")
        }
        Error::Unauthorized(_) | Error::Forbidden(_) => (403, "403: you may not see this"),
        Error::Parameter(_) | Error::BadRequest(_) => (400, "400: the address is not valid"),
        error => {
            tracing::error!(%error, "a page failed");
            (500, "500: something went wrong on our side")
        }
    };
    let Visitor {
        root, user, csrf, ..
    } = visitor;
    let status =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    html(
        status,
        &Fault {
            root,
            user,
            csrf,
            text: text.to_owned(),
        },
    )
}

async fn visited<F: Future<Output = Result<Response, Error>>>(
    app: &App,
    headers: &http::HeaderMap,
    show: impl FnOnce(Visitor) -> F,
) -> Response {
    let (first, second) = tokio::join!(Visitor::of(app, headers), Visitor::of(app, headers));
    match (first, second) {
        (Ok(visitor), Ok(spare)) => match show(visitor).await {
            Ok(response) => response,
            Err(error) => refuse(error, spare),
        },
        _ => http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn sign_in_form(State(app): State<App>, headers: http::HeaderMap) -> Response {
    visited(
        &app,
        &headers,
        async |Visitor {
                   root, user, csrf, ..
               }| {
            Ok(html(
                http::StatusCode::OK,
                &SignIn {
                    root,
                    user,
                    csrf,
                    failed: false,
                },
            ))
        },
    )
    .await
}

async fn sign_in(State(app): State<App>, Form(form): Form<HashMap<String, String>>) -> Response {
    let given = |name: &str| form.get(name).cloned().unwrap_or_default();
    let root = app.settings().server.root_path().to_owned();
    match app
        .sign_in(given("user[login]"), given("user[password]"))
        .await
    {
        Ok(session) => {
            let secure = if app.settings().server.protocol() == "https" {
                "; Secure"
            } else {
                ""
            };
            let cookie =
                format!("{COOKIE}={session}; Path={root}/; HttpOnly; SameSite=Lax{secure}");
            (
                [(http::header::SET_COOKIE, cookie)],
                Redirect::to(&format!("{root}/")),
            )
                .into_response()
        }
        Err(_) => {
            let page = SignIn {
                root,
                user: None,
                csrf: String::new(),
                failed: true,
            };
            html(http::StatusCode::UNAUTHORIZED, &page)
        }
    }
}

async fn sign_out(
    State(app): State<App>,
    headers: http::HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let root = app.settings().server.root_path().to_owned();
    let given = form.get("authenticity_token").cloned().unwrap_or_default();
    if let Some(session) = session(&headers)
        && app
            .csrf_matches(session.clone(), given)
            .await
            .unwrap_or(false)
        && let Err(error) = app.sign_out(session).await
    {
        tracing::error!(%error, "a session could not be ended");
    }
    let cookie = format!("{COOKIE}=; Path={root}/; Max-Age=0; HttpOnly; SameSite=Lax");
    (
        [(http::header::SET_COOKIE, cookie)],
        Redirect::to(&format!("{root}/users/sign_in")),
    )
        .into_response()
}

async fn setup_form(
    State(app): State<App>,
    headers: http::HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let token = query.get("token").cloned().unwrap_or_default();
    visited(
        &app,
        &headers,
        async |Visitor {
                   root, user, csrf, ..
               }| {
            Ok(html(
                http::StatusCode::OK,
                &SetUp {
                    root,
                    user,
                    csrf,
                    token: token.clone(),
                    fault: None,
                },
            ))
        },
    )
    .await
}

async fn setup(State(app): State<App>, Form(form): Form<HashMap<String, String>>) -> Response {
    let given = |name: &str| form.get(name).cloned().unwrap_or_default();
    let root = app.settings().server.root_path().to_owned();
    let (token, fault) = match app.set_up_root(given("token"), given("password")).await {
        Ok(()) => return Redirect::to(&format!("{root}/users/sign_in")).into_response(),
        Err(Error::Invalid(_)) => (given("token"), "The password needs at least 8 characters."),
        Err(_) => (
            String::new(),
            "This link was used already, or was never valid.",
        ),
    };
    let page = SetUp {
        root,
        user: None,
        csrf: String::new(),
        token,
        fault: Some(fault.to_owned()),
    };
    html(http::StatusCode::BAD_REQUEST, &page)
}

async fn projects(State(app): State<App>, headers: http::HeaderMap) -> Response {
    visited(&app, &headers, async |visitor| {
        let filter = projects_filter::Filter {
            admin: visitor.actor.is_admin(),
            viewer: visitor.actor.user_id(),
            ..projects_filter::Filter::default()
        };
        let (projects, _) = app.list_projects(filter, false, 100, 0).await?;
        let Visitor {
            root, user, csrf, ..
        } = visitor;
        Ok(html(
            http::StatusCode::OK,
            &Projects {
                root,
                user,
                csrf,
                projects,
            },
        ))
    })
    .await
}

async fn below_project(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers().clone();
    let (path, query) = (
        request.uri().path().to_owned(),
        request.uri().query().unwrap_or_default().to_owned(),
    );
    if path
        .trim_start_matches(app.settings().server.root_path())
        .starts_with("/api/")
    {
        let headers = [("content-type", "application/json")];
        return (
            http::StatusCode::NOT_FOUND,
            headers,
            r#"{"error":"404 Not Found"}"#,
        )
            .into_response();
    }
    if request.method() != http::Method::GET && request.method() != http::Method::HEAD {
        return http::StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    visited(&app, &headers, async |visitor| {
        let decoded = percent_encoding::percent_decode_str(&path)
            .decode_utf8()
            .map_err(|_| Error::NOTHING_FOUND)?;
        let decoded = decoded.trim_matches('/').to_owned();
        let (project, rest) = decoded.split_once("/-/").unwrap_or((&decoded, "pipelines"));
        let project = ProjectRef::Path(project.to_owned());
        let parts: Vec<&str> = rest.split('/').collect();
        let number = |text: &str| text.parse::<i64>().map_err(|_| Error::NOTHING_FOUND);
        match parts.as_slice() {
            ["pipelines"] => list_pipelines(&app, visitor, project, &query).await,
            ["pipelines", id] => {
                show_pipeline(&app, visitor, project, PipelineId(number(id)?)).await
            }
            ["jobs", id] => show_job(&app, visitor, project, JobId(number(id)?)).await,
            ["jobs", id, "raw"] => raw_trace(&app, visitor, project, JobId(number(id)?)).await,
            _ => Err(Error::NOTHING_FOUND),
        }
    })
    .await
}

async fn list_pipelines(
    app: &App,
    visitor: Visitor,
    project: ProjectRef,
    query: &str,
) -> Result<Response, Error> {
    let page = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("page="))
        .and_then(|page| page.parse().ok())
        .unwrap_or(1)
        .clamp(1, 1_000_000);
    let access = app
        .authorize::<can::ReadPipeline>(visitor.actor.clone(), project)
        .await?;
    let (mut pipelines, _) = app
        .list_pipelines(
            &access,
            Filter::default(),
            Order::Id,
            false,
            PAGE + 1,
            (page - 1) * PAGE,
        )
        .await?;
    let more = pipelines.len() > usize::try_from(PAGE).unwrap_or(0);
    pipelines.truncate(usize::try_from(PAGE).unwrap_or(0));
    let Visitor {
        root, user, csrf, ..
    } = visitor;
    let project = access.project().clone();
    Ok(html(
        http::StatusCode::OK,
        &Pipelines {
            root,
            user,
            csrf,
            project,
            pipelines,
            page,
            more,
        },
    ))
}

async fn show_pipeline(
    app: &App,
    visitor: Visitor,
    project: ProjectRef,
    id: PipelineId,
) -> Result<Response, Error> {
    let access = app
        .authorize::<can::ReadPipeline>(visitor.actor.clone(), project)
        .await?;
    let view = app.show_pipeline(&access, id).await?;
    let mut jobs = Vec::new();
    for kind in [JobKind::Build, JobKind::Bridge] {
        let which = PipelineJobs {
            kind,
            scope: Default::default(),
            include_retried: true,
            limit: 2000,
            offset: 0,
        };
        jobs.extend(
            app.list_pipeline_jobs(&access, id, which)
                .await?
                .0
                .into_iter()
                .map(|view| view.job),
        );
    }
    jobs.sort_by_key(|job| (job.stage_idx, job.id));
    let mut stages: Vec<(String, Vec<Job>)> = Vec::new();
    for job in jobs {
        match stages.last_mut() {
            Some((stage, list)) if *stage == job.stage => list.push(job),
            Some(_) | None => stages.push((job.stage.clone(), vec![job])),
        }
    }
    let Visitor {
        root, user, csrf, ..
    } = visitor;
    let project = access.project().clone();
    Ok(html(
        http::StatusCode::OK,
        &OnePipeline {
            root,
            user,
            csrf,
            project,
            pipeline: view.pipeline,
            stages,
        },
    ))
}

async fn read_trace(
    app: &App,
    visitor: &Visitor,
    project: ProjectRef,
    id: JobId,
) -> Result<(Project, Job, Vec<u8>), Error> {
    let access = app
        .authorize::<can::ReadBuild>(visitor.actor.clone(), project)
        .await?;
    let job = app.show_job(&access, id).await?.job;
    let bytes = match app.read_trace(&access, id).await {
        Ok(trace) => match trace.bytes {
            Some(stream) => stream
                .try_fold(Vec::new(), async |mut all, chunk| {
                    all.extend_from_slice(&chunk);
                    Ok(all)
                })
                .await
                .map_err(Error::internal)?,
            None => Vec::new(),
        },
        Err(Error::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok((access.project().clone(), job, bytes))
}

async fn show_job(
    app: &App,
    visitor: Visitor,
    project: ProjectRef,
    id: JobId,
) -> Result<Response, Error> {
    let (project, job, bytes) = read_trace(app, &visitor, project, id).await?;
    let cut = bytes.len() > SHOWN;
    let mut tail = &bytes[bytes.len().saturating_sub(SHOWN)..];
    if cut {
        // From the next whole line.
        tail = tail
            .iter()
            .position(|b| *b == b'\n')
            .map_or(tail, |at| &tail[at + 1..]);
    }
    let Visitor {
        root, user, csrf, ..
    } = visitor;
    let raw = format!("{root}/{}/-/jobs/{id}/raw", project.full_path);
    let trace = trace::to_html(&trace::render(tail));
    Ok(html(
        http::StatusCode::OK,
        &OneJob {
            root,
            user,
            csrf,
            project,
            job,
            trace,
            cut,
            raw,
        },
    ))
}

async fn raw_trace(
    app: &App,
    visitor: Visitor,
    project: ProjectRef,
    id: JobId,
) -> Result<Response, Error> {
    let (_, _, bytes) = read_trace(app, &visitor, project, id).await?;
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}
