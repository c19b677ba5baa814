//! The pipeline that would be made under other circumstances, and what is different from one to the other.
//!
//! Real variables, includes and git data of the project, and what the caller assumes in their place. Nothing is written,
//! and values that are masked in logs are masked in the answer.

use footplate_ci::lint;
use footplate_git::{Commit, GitRef};
use footplate_model::{GivenVariable, PipelineSource, Timestamp};
use serde_json::{Map, Value as Json, json};

use crate::{
    App, Error, ProjectAccess, Result, can,
    config_files::{Overrides, masked},
    create_pipeline::{DryOutcome, DryRun},
};

/// What is assumed.
#[derive(Debug, Clone, Default)]
pub struct Assumed {
    /// Branch or tag; `None` = the default branch.
    pub ref_name: Option<String>,
    /// The ref is a tag, or is none. Said of a ref that does not exist, the head of the default branch stands for it.
    pub tag: Option<bool>,
    /// Where the pipeline comes from; `None` = a push, or the parent of a child.
    pub source: Option<PipelineSource>,
    /// Pipeline variables.
    pub variables: Vec<GivenVariable>,
    /// The changed paths; `None` = not known.
    pub changed: Option<Vec<String>>,
    /// Paths that exist beside those of the commit.
    pub exists: Vec<String>,
    /// Pipeline inputs.
    pub inputs: Map<String, Json>,
    /// A child pipeline.
    pub child: bool,
    /// The configuration; `None` = the project's file.
    pub content: Option<String>,
}

/// What would come of it, as `footplate lint --json` prints it.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation(pub Json);

impl App {
    /// Imagines a pipeline, and where `against` is given a second one beside it.
    ///
    /// # Errors
    /// 400 with GitLab's messages when there would not even be a configuration.
    pub async fn simulate(
        &self,
        access: &ProjectAccess<can::CreatePipeline>,
        assumed: Assumed,
        against: Option<Assumed>,
    ) -> Result<Simulation> {
        let now = self.now();
        let first = self.imagine(access, assumed, now).await?;
        let Some(against) = against else {
            return Ok(Simulation(first));
        };
        let second = self.imagine(access, against, now).await?;
        let differences = lint::compare(&first, &second);
        Ok(Simulation(
            json!({"a": first, "b": second, "differences": differences}),
        ))
    }

    async fn imagine(
        &self,
        access: &ProjectAccess<can::CreatePipeline>,
        assumed: Assumed,
        now: Timestamp,
    ) -> Result<Json> {
        let (git_ref, commit) = self.imagined_ref(access, &assumed).await?;
        let source = match assumed.source {
            Some(source) => source,
            None if assumed.child => PipelineSource::ParentPipeline,
            None => PipelineSource::Push,
        };
        let dry = DryRun {
            git_ref,
            commit,
            source,
            variables: assumed.variables,
            inputs: assumed.inputs,
            child: assumed.child,
            content: assumed.content,
            overrides: Overrides {
                changed: assumed.changed,
                exists: assumed.exists,
            },
            now,
        };
        let (reading, context) = match self.dry_run(access, dry).await? {
            DryOutcome::Refused(message) => return Err(Error::base(vec![message])),
            DryOutcome::Read(read) => *read,
        };
        let mut object = match &reading.result {
            Ok(compiled) => lint::report(compiled, Some(&context), true),
            Err(faults) => lint::refused(&faults.errors, &faults.warnings, &faults.files),
        };
        hide(&mut object, &masked(context.variables()));
        Ok(object)
    }

    /// The ref and its head; a ref that does not exist may be described.
    async fn imagined_ref(
        &self,
        access: &ProjectAccess<can::CreatePipeline>,
        assumed: &Assumed,
    ) -> Result<(GitRef, Commit)> {
        let project = access.project();
        let repository = self.repository(project.id);
        let missing = || Error::base(vec!["Reference not found".to_owned()]);
        let default = project.default_branch.as_deref();
        let name = assumed
            .ref_name
            .as_deref()
            .or(default)
            .ok_or_else(missing)?;
        let described = match assumed.tag {
            Some(true) => Some(GitRef::tag(name).map_err(|_| missing())?),
            Some(false) => Some(GitRef::branch(name).map_err(|_| missing())?),
            None => None,
        };
        use footplate_git::Error as Git;
        let resolved = match &described {
            Some(git_ref) => {
                let sha = repository.commit_of(git_ref).await;
                sha.map(|sha| sha.map(|sha| (git_ref.clone(), sha)))
            }
            None => repository.resolve_ref(name).await,
        };
        let resolved = match resolved {
            Ok(found) => found,
            Err(Git::AmbiguousRef(_)) => {
                return Err(Error::base(vec!["Ref is ambiguous".to_owned()]));
            }
            Err(Git::InvalidRef(_) | Git::NoRepository(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let (git_ref, sha) = match (resolved, described) {
            (Some((GitRef::Other(_), _)), _) | (None, None) => return Err(missing()),
            (Some(found), _) => found,
            (None, Some(git_ref)) => {
                let branch = GitRef::branch(default.ok_or_else(missing)?)?;
                let head = match repository.commit_of(&branch).await {
                    Ok(head) => head,
                    Err(Git::NoRepository(_)) => None,
                    Err(error) => return Err(error.into()),
                };
                (git_ref, head.ok_or_else(missing)?)
            }
        };
        let commit = self.commit_of_project(project.id, &sha).await?;
        Ok((git_ref, commit.ok_or_else(missing)?.as_ref().clone()))
    }
}

/// Masked values, wherever they got to.
fn hide(value: &mut Json, masked: &[String]) {
    match value {
        Json::String(text) => {
            for secret in masked {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "[MASKED]");
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, masked)),
        Json::Object(map) => {
            let shown = std::mem::take(map).into_iter().map(|(key, mut value)| {
                hide(&mut value, masked);
                let mut key = Json::String(key);
                hide(&mut key, masked);
                (key.as_str().unwrap_or_default().to_owned(), value)
            });
            *map = shown.collect();
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_are_hidden_wherever_they_are() {
        let mut value =
            json!({"a": ["x s3cret y"], "k-s3cret": {"b": "s3cret", "n": 1}, "c": "plain"});
        hide(&mut value, &["s3cret".to_owned()]);
        assert_eq!(
            value,
            json!({"a": ["x [MASKED] y"], "k-[MASKED]": {"b": "[MASKED]", "n": 1}, "c": "plain"})
        );
    }
}
