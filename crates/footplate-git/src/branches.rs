//! Branches.

use std::collections::HashSet;

use crate::{Commit, Error, GitRef, RefUpdate, Repository, Result, Sha, refs::RefEntry};

/// A branch with the commit at its tip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its short name.
    pub name: String,
    /// Its tip.
    pub commit: Commit,
}

impl Repository {
    /// Names and tips of all branches in order of names.
    pub async fn branch_refs(&self) -> Result<Vec<RefEntry>> {
        self.for_each_ref("refs/heads/").await
    }

    /// The branches that `keep` chooses by short name, in order of names: `limit` of them from `skip` on, and how many there
    /// are in all.
    pub async fn branches(
        &self,
        keep: impl Fn(&str) -> bool,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<Branch>, usize)> {
        let entries = self.branch_refs().await?;
        let names = entries.iter().filter_map(|entry| {
            let name = entry.name.strip_prefix("refs/heads/")?;
            keep(name).then(|| (name.to_owned(), entry.peeled.clone()))
        });
        let chosen: Vec<(String, Sha)> = names.collect();
        let total = chosen.len();
        let page: Vec<(String, Sha)> = chosen.into_iter().skip(skip).take(limit).collect();
        let ids: Vec<Sha> = page.iter().map(|(_, id)| id.clone()).collect();
        let commits = self.commits_by_id(&ids).await?;
        let mut branches = Vec::with_capacity(page.len());
        for (name, id) in page {
            let commit = commits.iter().find(|commit| commit.id == id);
            branches.extend(commit.map(|commit| Branch {
                name,
                commit: commit.clone(),
            }));
        }
        Ok((branches, total))
    }

    /// One branch. A name that breaks git's rules is [`Error::InvalidRef`].
    pub async fn branch(&self, name: &str) -> Result<Option<Branch>> {
        let branch = GitRef::branch(name)?;
        let Some(id) = self.commit_of(&branch).await? else {
            return Ok(None);
        };
        let commit = self.commit(&id).await?;
        Ok(commit.map(|commit| Branch {
            name: name.to_owned(),
            commit,
        }))
    }

    /// What has to move to make a branch at a revision; nothing is moved yet ([`Repository::update_ref`] does).
    pub async fn new_branch(&self, name: &str, revision: &str) -> Result<RefUpdate> {
        let branch = GitRef::branch(name)?;
        let new = self.load_commit_id(revision).await?;
        if self.find_ref(&branch).await?.is_some() {
            return Err(Error::RefExists(branch.full()));
        }
        Ok(RefUpdate {
            name: branch.full(),
            old: Sha::zero(),
            new,
        })
    }

    /// What has to move to delete a branch or tag.
    pub async fn removal(&self, git_ref: &GitRef) -> Result<RefUpdate> {
        let old = self.find_ref(git_ref).await?;
        let old = old.ok_or_else(|| Error::NotFound(git_ref.full()))?;
        Ok(RefUpdate {
            name: git_ref.full(),
            old,
            new: Sha::zero(),
        })
    }

    /// Makes a branch at a revision.
    pub async fn create_branch(&self, name: &str, revision: &str) -> Result<RefUpdate> {
        let update = self.new_branch(name, revision).await?;
        self.update_ref(&update).await?;
        Ok(update)
    }

    /// Deletes a branch; [`Error::NotFound`] when it is not there.
    pub async fn delete_branch(&self, name: &str) -> Result<RefUpdate> {
        let update = self.removal(&GitRef::branch(name)?).await?;
        self.update_ref(&update).await?;
        Ok(update)
    }

    /// Short names of the branches whose tips are reachable from `commit`: those that are merged into it.
    pub async fn merged_branches(&self, commit: &Sha) -> Result<HashSet<String>> {
        let output = self
            .git("for-each-ref")
            .arg(format!("--merged={commit}"))
            .args(["--format=%(refname:lstrip=2)", "refs/heads/"])
            .run()
            .await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Full names of the branches and tags that contain `commit`.
    pub async fn refs_containing(&self, commit: &Sha) -> Result<Vec<String>> {
        let output = self
            .git("for-each-ref")
            .arg(format!("--contains={commit}"))
            .args(["--format=%(refname)", "refs/heads/", "refs/tags/"])
            .run()
            .await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().map(str::to_owned).collect())
    }
}
