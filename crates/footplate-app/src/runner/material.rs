//! What a runner is told of the job that it got, beside what was read when the job was claimed.

use std::sync::Arc;

use footplate_git::Sha;
use footplate_model::Runner;
use footplate_store::Tx;

use super::handout::Claimed;
use crate::{
    App, Error, Result,
    create_pipeline::author_login,
    variables::{facts::CommitFacts, material::Sealed},
};

/// A claimed job on its way to the one who asked.
pub(super) struct Told {
    pub(super) runner: Arc<Runner>,
    pub(super) claimed: Claimed,
    /// What is stored of its variables; an error spoils the job.
    pub(super) sealed: Result<Sealed>,
    /// Jobs that wait, at most a thousand.
    pub(super) queue_size: i64,
}

impl App {
    /// What variables tell of the commit of a job.
    pub(super) async fn commit_of_job(&self, claimed: &Claimed) -> Result<CommitFacts> {
        let sha = Sha::parse(&claimed.pipeline.sha)?;
        let project = claimed.project.id;
        let commit = self
            .commit_of_project(project, &sha)
            .await?
            .ok_or_else(|| Error::internal("the commit of a pipeline is gone"))?;
        let tag = claimed.pipeline.tag.then_some(&*claimed.pipeline.ref_name);
        let before = &claimed.pipeline.before_sha;
        Ok(CommitFacts {
            author_login: self.login_of(&commit.author.email).await?,
            ..self.commit_facts(project, &commit, before, tag).await?
        })
    }

    /// The login of the author of a commit, if it is a user.
    async fn login_of(&self, email: &str) -> Result<Option<String>> {
        let moment = self.moment();
        if let Some(login) = self.kept().logins.get(email) {
            return Ok(login.clone());
        }
        let wanted = email.to_owned();
        let login = self
            .db()
            .read(async move |tx: &mut Tx<'_>| author_login(tx, &wanted).await)
            .await?;
        self.keep(moment, |kept| {
            kept.logins.insert(email.to_owned(), login.clone());
        });
        Ok(login)
    }
}
