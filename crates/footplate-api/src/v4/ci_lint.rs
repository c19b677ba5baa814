//! Lint (`rest-api.md §9.4`).

use footplate_app::{Error, LintRequest, can};
use http::StatusCode;

use crate::{
    call::Call,
    entity,
    error::{Answer, answer},
};

/// `POST /projects/:id/ci/lint`
pub async fn check_text(call: Call) -> Answer {
    let actor = call.anyone_but_jobs().await?;
    let request = LintRequest {
        content: Some(call.params.required("content")?),
        dry_run: call.params.boolean("dry_run")?.unwrap_or(false),
        dry_run_ref: call.params.text("ref")?,
        ..LintRequest::default()
    };
    let include_jobs = call.params.boolean("include_jobs")?.unwrap_or(false);
    let access = call.project::<can::CreatePipeline>(actor).await?;
    let found = call.app.lint_text(&access, request).await?;
    Ok(answer(
        StatusCode::OK,
        &entity::lint::result(&found, include_jobs),
    ))
}

/// `GET /projects/:id/ci/lint`
pub async fn check_project(call: Call) -> Answer {
    let actor = call.anyone_but_jobs().await?;
    let request = LintRequest {
        content: None,
        content_ref: either(&call, "sha", "content_ref")?,
        dry_run: call.params.boolean("dry_run")?.unwrap_or(false),
        dry_run_ref: either(&call, "ref", "dry_run_ref")?,
    };
    let include_jobs = call.params.boolean("include_jobs")?.unwrap_or(false);
    let access = call.project::<can::ReadCode>(actor).await?;
    let found = call.app.lint_project(&access, request).await?;
    Ok(answer(
        StatusCode::OK,
        &entity::lint::result(&found, include_jobs),
    ))
}

/// A parameter by its old or its new name, but not by both.
fn either(call: &Call, old: &str, new: &str) -> Result<Option<String>, Error> {
    match (call.params.text(old)?, call.params.text(new)?) {
        (Some(_), Some(_)) => Err(Error::Parameter(format!(
            "{old}, {new} are mutually exclusive"
        ))),
        (old, new) => Ok(old.or(new).filter(|name| !name.is_empty())),
    }
}
