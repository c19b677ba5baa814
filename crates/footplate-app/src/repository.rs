//! Repositories through the API: commits, branches and tags, with the pipelines that they start.

use footplate_git::{
    Change, Commit, CommitFiles, CommitQuery, GitRef, Person, RefUpdate, Sha, TreeEntry,
};
use footplate_model::{Pipeline, ProjectId, policy::Ability};
use footplate_store::{Tx, pipelines, protected_refs};

use crate::{App, Error, ProjectAccess, Result, can};

/// A commit that a client asks for.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// The branch it goes to.
    pub branch: String,
    /// Where a new branch starts.
    pub start: Option<String>,
    /// Its message.
    pub message: String,
    /// Another author than the caller.
    pub author_name: Option<String>,
    /// Another author than the caller.
    pub author_email: Option<String>,
    /// Its changes.
    pub changes: Vec<Change>,
}

impl App {
    /// Makes a commit and lets its pipeline begin.
    ///
    /// # Errors
    /// 403 on protected branches, 400 for changes that do not fit.
    pub async fn create_commit(
        &self,
        access: &ProjectAccess<can::PushCode>,
        new: NewCommit,
    ) -> Result<Commit> {
        let user = access.actor().user().cloned().ok_or(Error::UNAUTHORIZED)?;
        self.check_ref(access, &GitRef::branch(&new.branch)?)
            .await?;
        let committer = Person {
            name: user.name.clone(),
            email: user.email.clone(),
        };
        let files = CommitFiles {
            branch: new.branch,
            start: new.start,
            message: new.message,
            author: Person {
                name: new.author_name.unwrap_or_else(|| user.name.clone()),
                email: new.author_email.unwrap_or_else(|| user.email.clone()),
            },
            committer,
            time: self.now(),
            changes: new.changes,
        };
        let repository = self.repository(access.project_id());
        let update = repository.prepare_commit(&files).await?;
        let sha = update.new.clone();
        self.move_ref(access, update).await?;
        repository
            .commit(&sha)
            .await?
            .ok_or_else(|| Error::internal("a new commit cannot be read"))
    }

    /// Makes a branch.
    ///
    /// # Errors
    /// 400 in GitLab's words.
    pub async fn create_branch(
        &self,
        access: &ProjectAccess<can::PushCode>,
        name: &str,
        from: &str,
    ) -> Result<()> {
        let git_ref =
            GitRef::branch(name).map_err(|_| Error::refused(400, "Branch name is invalid"))?;
        self.check_ref(access, &git_ref).await?;
        let update = self
            .repository(access.project_id())
            .new_branch(name, from)
            .await
            .map_err(|error| match error {
                footplate_git::Error::RefExists(_) => Error::refused(400, "Branch already exists"),
                footplate_git::Error::NotFound(_) => {
                    Error::refused(400, format!("Invalid reference name: {from}"))
                }
                other => other.into(),
            })?;
        self.move_ref(access, update).await
    }

    /// Removes a branch.
    ///
    /// # Errors
    /// 404, 403 for protected branches.
    pub async fn delete_branch(
        &self,
        access: &ProjectAccess<can::PushCode>,
        name: &str,
    ) -> Result<()> {
        let missing = Error::NotFound("404 Branch Not Found");
        let Ok(git_ref) = GitRef::branch(name) else {
            return Err(missing);
        };
        if access.project().default_branch.as_deref() == Some(name) {
            return Err(Error::refused(405, "Cannot remove HEAD branch"));
        }
        self.check_ref(access, &git_ref).await?;
        let update = self
            .repository(access.project_id())
            .removal(&git_ref)
            .await
            .map_err(|_| missing)?;
        self.move_ref(access, update).await
    }

    /// Makes a tag.
    ///
    /// # Errors
    /// 400 in GitLab's words.
    pub async fn create_tag(
        &self,
        access: &ProjectAccess<can::PushCode>,
        name: &str,
        from: &str,
        message: Option<String>,
    ) -> Result<()> {
        let git_ref = GitRef::tag(name).map_err(|_| Error::refused(400, "Tag name invalid"))?;
        self.check_ref(access, &git_ref).await?;
        let user = access.actor().user().cloned().ok_or(Error::UNAUTHORIZED)?;
        let tagger = footplate_git::Signature {
            name: user.name,
            email: user.email,
            time: self.now(),
            offset_minutes: 0,
        };
        let annotation = message.as_deref().map(|message| (message, &tagger));
        let update = self
            .repository(access.project_id())
            .new_tag(name, from, annotation)
            .await
            .map_err(|error| match error {
                footplate_git::Error::RefExists(_) => {
                    Error::refused(400, format!("Tag {name} already exists"))
                }
                footplate_git::Error::NotFound(_) => {
                    Error::refused(400, format!("Target {from} is invalid"))
                }
                other => other.into(),
            })?;
        self.move_ref(access, update).await
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// 404, 403 for protected tags.
    pub async fn delete_tag(
        &self,
        access: &ProjectAccess<can::PushCode>,
        name: &str,
    ) -> Result<()> {
        let missing = Error::NotFound("404 Tag Not Found");
        let Ok(git_ref) = GitRef::tag(name) else {
            return Err(missing);
        };
        self.check_ref(access, &git_ref).await?;
        let update = self
            .repository(access.project_id())
            .removal(&git_ref)
            .await
            .map_err(|_| missing)?;
        self.move_ref(access, update).await
    }

    /// Moves a reference as a push would: the intent first, then git, then pipelines.
    async fn move_ref(
        &self,
        access: &ProjectAccess<can::PushCode>,
        update: RefUpdate,
    ) -> Result<()> {
        let user = access.actor().user_id().ok_or(Error::UNAUTHORIZED)?;
        let intent = self
            .write_intent(
                access.project_id(),
                user,
                std::slice::from_ref(&update),
                &[],
            )
            .await?;
        let moved = match self
            .repository(access.project_id())
            .update_ref(&update)
            .await
        {
            Ok(()) => vec![update],
            Err(error) => {
                self.resolve_intent(intent, Some(Vec::new())).await?;
                return Err(error.into());
            }
        };
        self.resolve_intent(intent, Some(moved)).await?;
        Ok(())
    }

    async fn check_ref(
        &self,
        access: &ProjectAccess<can::PushCode>,
        git_ref: &GitRef,
    ) -> Result<()> {
        let project = access.project_id();
        let (tag, name) = (git_ref.is_tag(), git_ref.short().to_owned());
        let list = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, project).await)
            .await?;
        let standing = access.standing();
        let mut matching = list
            .iter()
            .filter(|entry| entry.matches(tag, &name))
            .peekable();
        let free = matching.peek().is_none()
            || standing.admin
            || matching.any(|entry| {
                entry.push_access_level.0 > 0 && standing.level >= entry.push_access_level
            });
        if free && access.may(Ability::PushCode) {
            return Ok(());
        }
        Err(Error::refused(
            403,
            "You are not allowed to push into this branch",
        ))
    }

    /// Commits from a head on, newest first.
    ///
    /// # Errors
    /// Failures of git.
    pub async fn list_commits(
        &self,
        project: ProjectId,
        head: &Sha,
        path: Option<String>,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<Commit>> {
        let query = CommitQuery {
            from: vec![head.clone()],
            path,
            skip: usize::try_from(offset).unwrap_or(usize::MAX),
            limit: usize::try_from(limit).unwrap_or(0),
            ..CommitQuery::default()
        };
        Ok(self.repository(project).commits(&query).await?)
    }

    /// The entries of a folder.
    ///
    /// # Errors
    /// 404 for a folder that is not there.
    pub async fn list_tree(
        &self,
        project: ProjectId,
        sha: &Sha,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<TreeEntry>> {
        self.repository(project)
            .tree(sha, path, recursive)
            .await?
            .ok_or(Error::NotFound("404 Tree Not Found"))
    }

    /// The newest pipeline of a commit on any ref.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn last_pipeline_of(
        &self,
        project: ProjectId,
        sha: String,
    ) -> Result<Option<Pipeline>> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                pipelines::find_latest_of_commit(tx, project, &sha).await
            })
            .await?)
    }
}
