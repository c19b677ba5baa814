//! From what a client wrote to a reference or a commit.

use crate::{Error, GitRef, Repository, Result, Sha, names::is_plain_revision};

impl Repository {
    /// The branch or tag that a name means, with the commit it leads to: a full name, or a short one.
    ///
    /// # Errors
    /// [`Error::AmbiguousRef`] when a branch and a tag have the short name (`pipeline-processing.md §2.1` #3).
    pub async fn resolve_ref(&self, name: &str) -> Result<Option<(GitRef, Sha)>> {
        if name.starts_with("refs/") {
            let Ok(git_ref) = GitRef::parse(name) else {
                return Ok(None);
            };
            let sha = self.commit_of(&git_ref).await?;
            return Ok(sha.map(|sha| (git_ref, sha)));
        }
        let (Ok(branch), Ok(tag)) = (GitRef::branch(name), GitRef::tag(name)) else {
            return Ok(None);
        };
        let names = [commit_of(&branch.full()), commit_of(&tag.full())];
        let mut found = self.infos(&names).await?.into_iter();
        match (found.next().flatten(), found.next().flatten()) {
            (Some(_), Some(_)) => Err(Error::AmbiguousRef(name.to_owned())),
            (Some(info), None) => Ok(Some((branch, info.id))),
            (None, Some(info)) => Ok(Some((tag, info.id))),
            (None, None) => Ok(None),
        }
    }

    /// The commit that a branch, a tag, a full or abbreviated id, `HEAD`, or one of them with `~N` and `^N` leads to.
    /// An abbreviation that fits several objects finds nothing. Unlike git, a branch wins over a tag of the same name.
    pub async fn resolve(&self, revision: &str) -> Result<Option<Sha>> {
        if !is_plain_revision(revision) {
            return Ok(None);
        }
        let mut names = vec![commit_of(revision)];
        if !revision.starts_with("refs/") && Sha::parse(revision).is_err() {
            names.insert(0, commit_of(&format!("refs/heads/{revision}")));
        }
        let found = self.infos(&names).await?;
        Ok(found.into_iter().flatten().next().map(|info| info.id))
    }

    /// The commit of a reference, tags peeled.
    pub async fn commit_of(&self, git_ref: &GitRef) -> Result<Option<Sha>> {
        let infos = self.infos(&[commit_of(&git_ref.full())]).await?;
        Ok(infos.into_iter().flatten().next().map(|info| info.id))
    }

    /// The commit of a revision that must be there.
    pub(crate) async fn load_commit_id(&self, revision: &str) -> Result<Sha> {
        let found = self.resolve(revision).await?;
        found.ok_or_else(|| Error::NotFound(revision.chars().take(200).collect()))
    }

    /// The best common ancestor of commits, `None` when their histories have nothing in common.
    pub async fn merge_base(&self, commits: &[Sha]) -> Result<Option<Sha>> {
        let (code, output) = self
            .git("merge-base")
            .arg("--end-of-options")
            .args(commits.iter().map(Sha::as_str))
            .accept(&[0, 1])
            .run_with_code()
            .await?;
        if code == 1 {
            return Ok(None);
        }
        Sha::parse(String::from_utf8_lossy(&output).trim()).map(Some)
    }

    /// Whether `ancestor` is reachable from `commit`; `false` when one of them is not there.
    pub async fn is_ancestor(&self, ancestor: &Sha, commit: &Sha) -> Result<bool> {
        let (code, _) = self
            .git("merge-base")
            .args(["--is-ancestor", ancestor.as_str(), commit.as_str()])
            .accept(&[0, 1, 128])
            .run_with_code()
            .await?;
        Ok(code == 0)
    }
}

fn commit_of(name: &str) -> String {
    format!("{name}^{{commit}}")
}
