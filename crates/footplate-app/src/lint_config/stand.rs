//! What a name leads to in the repository.

use footplate_git::{Commit, GitRef};
use footplate_model::Project;

use crate::{App, Result};

/// The state of a repository that a configuration is checked at.
pub(super) struct Stand {
    pub(super) git_ref: Option<GitRef>,
    pub(super) commit: Commit,
}

impl App {
    /// The commit that a name leads to, and the branch or tag that stands for it.
    pub(super) async fn stand(&self, project: &Project, name: &str) -> Result<Option<Stand>> {
        use footplate_git::Error as Git;
        let repository = self.repository(project.id);
        let named = match repository.resolve_ref(name).await {
            Ok(named) => named,
            Err(Git::AmbiguousRef(_) | Git::InvalidRef(_) | Git::NoRepository(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let named = named.filter(|(git_ref, _)| !matches!(git_ref, GitRef::Other(_)));
        let (git_ref, sha) = match named {
            Some((git_ref, sha)) => (Some(git_ref), Some(sha)),
            None => match repository.resolve(name).await {
                Ok(sha) => (None, sha),
                Err(Git::NoRepository(_)) => (None, None),
                Err(error) => return Err(error.into()),
            },
        };
        let Some(sha) = sha else {
            return Ok(None);
        };
        let Some(commit) = self.commit_of_project(project.id, &sha).await? else {
            return Ok(None);
        };
        let git_ref = match git_ref {
            Some(git_ref) => Some(git_ref),
            None => self.ref_at(project, &sha).await?,
        };
        Ok(Some(Stand {
            git_ref,
            commit: commit.as_ref().clone(),
        }))
    }

    /// A branch whose history has the commit: the default one where that has it.
    async fn ref_at(&self, project: &Project, sha: &footplate_git::Sha) -> Result<Option<GitRef>> {
        let names = self.repository(project.id).refs_containing(sha).await?;
        let branches: Vec<GitRef> = names
            .iter()
            .filter_map(|name| match GitRef::parse(name) {
                Ok(git_ref) => Some(git_ref),
                Err(_) => GitRef::branch(name).ok(),
            })
            .filter(|git_ref| !matches!(git_ref, GitRef::Other(_)))
            .collect();
        let default = project.default_branch.as_deref();
        let of_default = branches
            .iter()
            .find(|git_ref| !git_ref.is_tag() && Some(git_ref.short()) == default);
        Ok(of_default.or(branches.first()).cloned())
    }
}
