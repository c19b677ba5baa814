//! The CI language for editors, as a JSON schema (draft-07).

use http::StatusCode;

use crate::error::{Answer, raw};

/// The schema.
const SCHEMA: &str = include_str!("../../assets/ci-schema.json");

/// `GET /ci-schema.json`: for everybody; it says nothing of this instance.
pub async fn show() -> Answer {
    Ok(raw(StatusCode::OK, "application/schema+json", SCHEMA))
}
