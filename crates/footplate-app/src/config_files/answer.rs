//! One question, one answer.

use footplate_ci::{Answer, Request, templates};

use super::{Files, repository::Place};
use crate::{App, Result};

/// An answer, and where a file was found.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) answer: Answer,
    pub(super) place: Option<Place>,
}

impl Told {
    pub(super) fn problem(message: String) -> Self {
        Answer::Problem(message).into()
    }

    pub(super) fn at(answer: Answer, place: Place) -> Self {
        Self {
            answer,
            place: Some(place),
        }
    }
}

impl From<Answer> for Told {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            place: None,
        }
    }
}

impl App {
    pub(super) async fn answer(&self, request: &Request, files: &Files) -> Result<Told> {
        Ok(match request {
            Request::File { origin, path } => self.included_file(origin, path, files).await?,
            Request::Component(name) => self.component(name, files).await?,
            Request::Template(name) => self.template(name).await.into(),
            Request::Remote { url, .. } if files.actor.user().is_none() => Told::problem(format!(
                "Remote file `{url}` could not be fetched because nobody is signed in!"
            )),
            Request::Remote { url, cache_seconds } => {
                self.remote_file(url, *cache_seconds).await.into()
            }
            Request::Artifact { job, path } => self.artifact_file(job, path, files).await?.into(),
            Request::Paths(origin) => self.all_paths(origin, files).await?.into(),
            Request::Changes(against) => {
                self.changed_paths(against.as_deref(), files).await?.into()
            }
        })
    }

    /// A template of the folder that the administrator named, or one of ours.
    async fn template(&self, name: &str) -> Answer {
        if !name.ends_with(".gitlab-ci.yml") {
            return Answer::Problem(format!("Template file `{name}` is not a valid location!"));
        }
        let missing = || {
            Answer::Problem(format!(
                "Included file `{name}` is empty or does not exist!"
            ))
        };
        let plain = name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        if !plain || name.contains(['\0', '\\']) {
            return missing();
        }
        if let Some(folder) = &self.settings().templates
            && let Ok(text) = tokio::fs::read_to_string(folder.join(name)).await
        {
            return Answer::Text(text);
        }
        templates::template(name).map_or_else(missing, |text| Answer::Text(text.to_owned()))
    }
}
