//! Files, path lists and changed paths out of git: of the pipeline's project, or of another that its user may read.

use std::sync::Arc;

use footplate_ci::{Answer, Origin};
use footplate_git::Sha;
use footplate_model::{PipelineSource, Project, ProjectId, policy::Ability};
use footplate_store::Tx;

use super::{FILE_LIMIT, Files, answer::Told, memory::Stored};
use crate::{
    App, Error, ProjectRef, Result,
    access::{find_project, standing},
};

/// Where a file was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Full path of the project.
    pub(crate) project: String,
    /// The commit.
    pub(crate) sha: Sha,
    /// Path from the root of the repository.
    pub(crate) path: String,
}

impl App {
    /// A file of a commit, from memory where it was read before; `None` when it is too large.
    pub(super) async fn stored_file(
        &self,
        project: ProjectId,
        sha: &Sha,
        path: &str,
    ) -> Result<Option<Stored>> {
        let key = (project, sha.clone(), path.to_owned());
        if path.is_empty() {
            return Ok(Some(Stored::Missing));
        }
        if let Some(known) = self.config_memory().file(&key) {
            return Ok(Some(known));
        }
        use footplate_git::Error as Git;
        let stored = match self.repository(project).blob(sha, path, FILE_LIMIT).await {
            Ok(Some(blob)) => Stored::Text(String::from_utf8_lossy(&blob.data).into()),
            Ok(None) | Err(Git::InvalidPath(_)) => Stored::Missing,
            // Not remembered: the repository may come.
            Err(Git::NoRepository(_)) => return Ok(Some(Stored::Missing)),
            Err(Git::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.config_memory().put_file(key, stored.clone());
        Ok(Some(stored))
    }

    /// A file that a configuration includes.
    pub(super) async fn included_file(
        &self,
        origin: &Origin,
        path: &str,
        files: &Files,
    ) -> Result<Told> {
        let path = path.trim_start_matches('/');
        let what = match &origin.project {
            Some(project) => format!("Project `{}` file `{path}`", project.to_lowercase()),
            None => format!("Local file `{path}`"),
        };
        let (project, sha) = match self.place(origin, files).await? {
            Ok((project, Some(sha))) => (project, sha),
            Ok((_, None)) => return Ok(Told::problem(format!("{what} does not exist!"))),
            Err(message) => return Ok(Told::problem(message)),
        };
        let answer = match self.stored_file(project.id, &sha, path).await? {
            Some(Stored::Text(text)) if text.trim().is_empty() => {
                Answer::Problem(format!("{what} is empty!"))
            }
            Some(Stored::Text(text)) => Answer::Text(text.to_string()),
            Some(Stored::Missing | Stored::Paths(_)) => {
                Answer::Problem(format!("{what} does not exist!"))
            }
            None => Answer::Problem(format!("{what} is larger than {FILE_LIMIT} bytes!")),
        };
        let place = Place {
            project: project.full_path,
            sha,
            path: path.to_owned(),
        };
        Ok(Told::at(answer, place))
    }

    /// Every path of a repository at a commit.
    pub(super) async fn all_paths(&self, origin: &Origin, files: &Files) -> Result<Answer> {
        let (project, sha) = match self.place(origin, files).await? {
            Ok((project, Some(sha))) => (project.id, sha),
            Ok((_, None)) => return Ok(Answer::Paths(files.overrides.exists.clone())),
            Err(message) => return Ok(Answer::Problem(message)),
        };
        let key = (project, sha, String::new());
        let paths = match self.config_memory().file(&key) {
            Some(Stored::Paths(paths)) => paths,
            Some(Stored::Text(_) | Stored::Missing) | None => {
                let read = self.repository(project).list_paths(&key.1).await?;
                let paths = Arc::new(read);
                self.config_memory()
                    .put_file(key, Stored::Paths(Arc::clone(&paths)));
                paths
            }
        };
        let mut paths = paths.as_ref().clone();
        if origin.project.is_none() && !files.overrides.exists.is_empty() {
            paths.extend(files.overrides.exists.iter().cloned());
            paths.sort();
            paths.dedup();
        }
        Ok(Answer::Paths(paths))
    }

    /// The project and commit that an origin means; the inner error is GitLab's message.
    async fn place(
        &self,
        origin: &Origin,
        files: &Files,
    ) -> Result<Result<(Project, Option<Sha>), String>> {
        let Some(path) = &origin.project else {
            return Ok(Ok((files.project.clone(), files.sha.clone())));
        };
        let shown = path.to_lowercase();
        let Some(project) = self
            .readable_project(path, files)
            .await?
            .filter(|(_, may)| *may)
        else {
            return Ok(Err(format!(
                "Project `{shown}` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined."
            )));
        };
        let project = project.0;
        let name = origin
            .git_ref
            .clone()
            .or_else(|| project.default_branch.clone());
        let sha = match &name {
            Some(name) => self.resolve(project.id, name).await?,
            None => None,
        };
        let missing = || {
            let name = origin.git_ref.as_deref().unwrap_or("HEAD");
            format!("Project `{shown}` reference `{name}` does not exist!")
        };
        Ok(sha.map(|sha| (project, Some(sha))).ok_or_else(missing))
    }

    /// A project by its path, and whether the one whom the pipeline is for may read its code.
    pub(super) async fn readable_project(
        &self,
        path: &str,
        files: &Files,
    ) -> Result<Option<(Project, bool)>> {
        let by = ProjectRef::Path(path.trim_matches('/').to_owned());
        let (actor, now) = (Arc::new(files.actor.clone()), self.now());
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(project) = find_project(tx, &by).await? else {
                    return Ok(None);
                };
                let standing = standing(tx, &actor, &project, now).await?;
                let may = footplate_model::policy::allows(Ability::ReadCode, &standing);
                Ok::<_, Error>(Some((project, may)))
            })
            .await
    }

    /// The commit of a revision; a project without a repository has none.
    pub(super) async fn resolve(&self, project: ProjectId, revision: &str) -> Result<Option<Sha>> {
        match self.repository(project).resolve(revision).await {
            Ok(found) => Ok(found),
            Err(footplate_git::Error::NoRepository(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changed paths (`ci-yaml.md §10.3`): of a push against its old head, of a new branch and other sources not known.
    pub(super) async fn changed_paths(
        &self,
        against: Option<&str>,
        files: &Files,
    ) -> Result<Answer> {
        if let Some(changed) = &files.overrides.changed {
            return Ok(Answer::Paths(changed.clone()));
        }
        let Some(sha) = &files.sha else {
            return Ok(Answer::Unknown);
        };
        let repository = self.repository(files.project.id);
        let changed = match against {
            Some(name) => match repository.resolve(name).await? {
                Some(base) => repository.changed_paths_since(&base, sha).await?,
                None => {
                    return Ok(Answer::Problem(
                        "rules:changes:compare_to is not a valid ref".to_owned(),
                    ));
                }
            },
            None => match files.before_sha.as_deref().map(Sha::parse) {
                Some(Ok(before))
                    if !before.is_zero() && files.source == PipelineSource::Push && !files.tag =>
                {
                    repository.changed_paths(&before, sha).await?
                }
                Some(_) | None => None,
            },
        };
        Ok(changed.map_or(Answer::Unknown, Answer::Paths))
    }
}
