//! A pipeline up to the point where it would be written: for lint and simulations.

use footplate_ci::Context;
use footplate_git::{Commit, GitRef};
use footplate_model::{GivenVariable, PipelineSource, Timestamp};
use footplate_store::{Tx, projects, protected_refs};
use serde_json::{Map, Value as Json};

use super::PipelineRequest;
use crate::{
    App, Error, ProjectAccess, Result,
    access::{ref_locked, ref_protected},
    config_files::{Compilation, Files, Overrides, Reading, RootText},
};

/// A pipeline that is only imagined.
pub(crate) struct DryRun {
    /// Branch or tag.
    pub(crate) git_ref: GitRef,
    /// Its head.
    pub(crate) commit: Commit,
    /// Where it would come from.
    pub(crate) source: PipelineSource,
    /// Pipeline variables.
    pub(crate) variables: Vec<GivenVariable>,
    /// Pipeline inputs.
    pub(crate) inputs: Map<String, Json>,
    /// It would be a child pipeline.
    pub(crate) child: bool,
    /// The configuration; `None` = the project's file.
    pub(crate) content: Option<String>,
    /// What is assumed in place of git.
    pub(crate) overrides: Overrides,
    /// When it would be made.
    pub(crate) now: Timestamp,
}

/// What would have come of it.
pub(crate) enum DryOutcome {
    /// It did not get to its configuration; GitLab's message.
    Refused(String),
    /// Its configuration was read.
    Read(Box<(Reading, Context)>),
}

impl App {
    /// What would come of a pipeline. Nothing is written.
    pub(crate) async fn dry_run<A>(
        &self,
        access: &ProjectAccess<A>,
        dry: DryRun,
    ) -> Result<DryOutcome> {
        let project = access.project().clone();
        let user = access.actor().user().cloned().ok_or(Error::FORBIDDEN)?;
        let (id, name, tag) = (
            project.id,
            dry.git_ref.short().to_owned(),
            dry.git_ref.is_tag(),
        );
        let (protections, iid) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let protections = protected_refs::list(tx, id).await?;
                let iid = projects::last_pipeline_iid(tx, id).await?;
                Ok::<_, footplate_store::Error>((protections, iid + 1))
            })
            .await?;
        let standing = access.standing();
        if ref_locked(&protections, standing.level, tag, &name) && !standing.admin {
            return Ok(DryOutcome::Refused(may_not_run(&name)));
        }
        let root = match dry.content {
            Some(content) => Some(RootText::Own(content)),
            None => self.config_text(&project, &dry.commit.id).await?,
        };
        let Some(root) = root else {
            return Ok(DryOutcome::Refused("Missing CI config file".to_owned()));
        };
        let files = Files {
            project: project.clone(),
            sha: Some(dry.commit.id.clone()),
            before_sha: None,
            tag,
            source: dry.source,
            parent: None,
            actor: access.actor().clone(),
            overrides: dry.overrides,
        };
        let request = PipelineRequest {
            project,
            user,
            git_ref: dry.git_ref,
            commit: dry.commit,
            before_sha: None,
            protected: ref_protected(&protections, tag, &name),
            source: dry.source,
            variables: dry.variables,
            inputs: dry.inputs,
            ignore_skip: true,
            skip: false,
            save_on_errors: false,
            push_key: None,
            upstream: None,
        };
        let variables = self.config_variables(&request, iid, dry.now).await?;
        let context = variables.context(&request);
        let (text, inputs) = root.with_inputs(&request.inputs);
        let compilation = Compilation {
            text,
            inputs,
            context: Some(context.clone()),
            variables: Vec::new(),
            child: dry.child,
        };
        let reading = self.compile(compilation, &files).await?;
        Ok(DryOutcome::Read(Box::new((reading, context))))
    }
}

/// A protected ref on which the user starts nothing.
pub(crate) fn may_not_run(name: &str) -> String {
    format!(
        "You do not have sufficient permission to run a pipeline on '{name}'. Please select a different branch or contact your administrator for assistance."
    )
}
