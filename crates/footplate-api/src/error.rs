//! The application's error as GitLab's bodies, in one place (`rest-api.md §1.7`).

use axum::response::{IntoResponse, Response};
use footplate_app::{Error, Unauthorized};
use http::{StatusCode, header};
use serde_json::{Value as Json, json};

/// An error on its way to the client.
#[derive(Debug)]
pub struct Failure(pub Error);

/// The outcome of a handler.
pub type Answer = Result<Response, Failure>;

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

fn oauth(status: StatusCode, error: &str, description: &str, scope: Option<&str>) -> Response {
    let mut body = json!({"error": error, "error_description": description});
    if let Some(scope) = scope {
        body["scope"] = Json::from(scope);
    }
    let challenge =
        format!("Bearer realm=\"The API\", error=\"{error}\", error_description=\"{description}\"");
    let mut response = answer(status, &body);
    if let Ok(value) = challenge.parse() {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn unauthorized(reason: Unauthorized) -> Response {
    let message = |text: &str| answer(StatusCode::UNAUTHORIZED, &json!({"message": text}));
    match reason {
        Unauthorized::Plain => message("401 Unauthorized"),
        Unauthorized::Reason(reason) => message(&format!("401 Unauthorized - {reason}")),
        Unauthorized::Message(text) => message(text),
        Unauthorized::Expired => oauth(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "Token is expired. You can either do re-authorization or token refresh.",
            None,
        ),
        Unauthorized::Revoked => oauth(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "Token was revoked. You have to re-authorize from the user.",
            None,
        ),
        Unauthorized::InsufficientScope(scope) => oauth(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "The request requires higher privileges than provided by the access token.",
            Some(scope),
        ),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let message = |status: StatusCode, text: &str| answer(status, &json!({"message": text}));
        match self.0 {
            Error::NotFound(text) => message(StatusCode::NOT_FOUND, text),
            Error::NotFoundText(text) => message(StatusCode::NOT_FOUND, &text),
            Error::Unauthorized(reason) => unauthorized(reason),
            Error::Forbidden(None) => message(StatusCode::FORBIDDEN, "403 Forbidden"),
            Error::Forbidden(Some(reason)) => {
                message(StatusCode::FORBIDDEN, &format!("403 Forbidden - {reason}"))
            }
            Error::BadRequest(reason) if reason.is_empty() => {
                message(StatusCode::BAD_REQUEST, "400 Bad request")
            }
            Error::BadRequest(reason) => message(
                StatusCode::BAD_REQUEST,
                &format!("400 Bad request - {reason}"),
            ),
            Error::Invalid(attributes) => {
                answer(StatusCode::BAD_REQUEST, &json!({"message": attributes}))
            }
            Error::Parameter(text) => answer(StatusCode::BAD_REQUEST, &json!({"error": text})),
            Error::Refused {
                status,
                message: text,
            } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                message(status, &text)
            }
            Error::Conflict(text) => {
                message(StatusCode::CONFLICT, &format!("409 Conflict - {text}"))
            }
            Error::Internal(text) => {
                tracing::error!(error = text, "a request failed");
                message(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "500 Internal Server Error",
                )
            }
        }
    }
}

/// A JSON body with a status.
pub fn answer(status: StatusCode, body: &Json) -> Response {
    raw(status, "application/json", body.to_string())
}

/// A body that is JSON already, with a status.
pub fn json(status: StatusCode, text: impl Into<axum::body::Body>) -> Response {
    raw(status, "application/json", text)
}

/// A body of any kind.
pub fn raw(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<axum::body::Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// 204 without a body.
pub fn no_content() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
