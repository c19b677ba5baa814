//! The whole router and the loop that serves it.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use footplate_app::App;
use rand::RngExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{discovery, error::answer, footplate_v1, git_http, health, v4};

/// Requests that run when the server is told to stop may take so long.
const DRAIN: Duration = Duration::from_secs(25);

/// Everything below the external URL. `pages` answers what neither the API nor git does.
pub fn router(app: App, pages: Router<App>) -> Router {
    let api = Router::new()
        .nest(
            "/api/v4",
            v4::routes()
                .fallback(no_route)
                .method_not_allowed_fallback(wrong_method),
        )
        .nest(
            "/api/footplate/v1",
            footplate_v1::routes()
                .fallback(no_route)
                .method_not_allowed_fallback(wrong_method),
        )
        .route("/api/v3/{*rest}", get(v3).post(v3))
        .route("/api/v4", get(no_route))
        .route("/oauth/discovery/keys", get(discovery::keys))
        .route("/-/jwks", get(discovery::keys))
        .route(
            "/.well-known/openid-configuration",
            get(discovery::configuration),
        )
        .route("/-/health", get(health::health))
        .route("/-/liveness", get(health::liveness))
        .route("/-/readiness", get(health::readiness))
        .route("/-/metrics", get(health::metrics))
        .merge(pages);
    let root = app.settings().server.root_path().to_owned();
    let all = if root.is_empty() {
        api
    } else {
        Router::new().nest(&root, api)
    };
    all.layer(middleware::from_fn_with_state(
        (app.clone(), root),
        git_first,
    ))
    .layer(middleware::from_fn(headers))
    .with_state(app)
}

/// Git's paths end in the middle of a project's path, which no route can say.
async fn git_first(
    State((app, root)): State<(App, String)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query());
    if path.contains(".git/")
        && let Some(rest) = path.strip_prefix(root.as_str())
        && !rest.starts_with("/api/")
        && git_http::is_git(rest, query)
    {
        let text = match query {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        };
        if let Ok(uri) = text.parse() {
            *request.uri_mut() = uri;
            return git_http::serve(State(app), request).await;
        }
    }
    if path.len() > root.len() + 8 && path.contains("/api/v4/") && path.ends_with('/') {
        // `…/jobs/` is `…/jobs`.
        let trimmed = path.trim_end_matches('/');
        let text = query.map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
        if let Ok(uri) = text.parse() {
            *request.uri_mut() = uri;
        }
    }
    next.run(request).await
}

async fn headers(request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get("x-request-id")
        .filter(|value| value.len() <= 255)
        .cloned();
    let head = request.method() == http::Method::HEAD;
    let mut response = next.run(request).await;
    let id = given.or_else(|| {
        let id: u128 = rand::rng().random();
        HeaderValue::from_str(&format!("{id:032x}")).ok()
    });
    let headers = response.headers_mut();
    if let Some(id) = id {
        headers.insert("x-request-id", id);
    }
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    headers
        .entry(header::X_FRAME_OPTIONS)
        .or_insert(HeaderValue::from_static("SAMEORIGIN"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(
            "max-age=0, private, must-revalidate",
        ));
    if head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

async fn no_route() -> Response {
    answer(StatusCode::NOT_FOUND, &json!({"error": "404 Not Found"}))
}

async fn wrong_method() -> Response {
    answer(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({"error": "405 Not Allowed"}),
    )
}

async fn v3() -> impl IntoResponse {
    answer(
        StatusCode::GONE,
        &json!({"error": "API V3 is no longer supported. Use API V4 instead."}),
    )
}

/// Serves until it is told to stop, then lets running requests end for a while.
///
/// # Errors
/// When connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let waiting = stop.clone();
    let serving = async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { waiting.cancelled().await })
            .await
    };
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving => result,
        () = patience => Ok(()),
    }
}
