//! What others need to check id tokens of jobs: where they come from, and the keys that sign them (OpenID Connect Discovery).

use axum::{extract::State, response::Response};
use footplate_app::App;
use http::StatusCode;
use serde_json::json;

use crate::error::{Answer, answer};

/// `GET /oauth/discovery/keys`, also `GET /-/jwks`
pub async fn keys(State(app): State<App>) -> Answer {
    Ok(answer(StatusCode::OK, &app.public_keys().await?))
}

/// `GET /.well-known/openid-configuration`: nobody signs in by it, so it names only what tokens of jobs need.
pub async fn configuration(State(app): State<App>) -> Response {
    let issuer = &app.settings().server.url;
    answer(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/oauth/discovery/keys"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claim_types_supported": ["normal"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "namespace_id", "namespace_path", "project_id", "project_path",
                "user_id", "user_login", "user_email", "user_access_level", "job_project_id", "job_project_path",
                "job_namespace_id", "job_namespace_path", "pipeline_id", "pipeline_source", "job_id", "ref", "ref_type",
                "ref_path", "ref_protected", "environment", "environment_protected", "deployment_tier", "environment_action",
                "runner_id", "runner_environment", "sha", "project_visibility", "ci_config_ref_uri", "ci_config_sha",
            ],
        }),
    )
}
