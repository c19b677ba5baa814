//! The variables that includes may refer to where there is no pipeline.

use footplate_ci::variables::Variable;
use footplate_git::GitRef;
use footplate_model::{PipelineSource, policy::Ability};
use footplate_store::{Tx, protected_refs};

use super::stand::Stand;
use crate::{
    App, ProjectAccess, Result,
    access::{ref_locked, ref_protected},
    create_pipeline::{compiler_variables, project_facts, user_facts},
    variables::{
        facts::{CommitFacts, PipelineFacts},
        list::VariableList,
        predefined,
        secrets::{Around, Protected, fitting},
    },
};

impl App {
    /// Those of the server, the project, the commit and its ref. Secrets only for who could start a pipeline, and the
    /// protected ones only for who could start it on that protected ref.
    pub(super) async fn lint_variables<A>(
        &self,
        access: &ProjectAccess<A>,
        stand: Option<&Stand>,
    ) -> Result<Vec<Variable>> {
        let project = access.project().clone();
        let keys = self.keys().clone();
        let git_ref = stand.and_then(|stand| stand.git_ref.clone());
        let named = git_ref
            .as_ref()
            .map(|git_ref| (git_ref.is_tag(), git_ref.short().to_owned()));
        let (level, admin) = (access.standing().level, access.standing().admin);
        let secrets = access.may(Ability::CreatePipeline);
        let (locked, protected, secrets) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let protections = protected_refs::list(tx, project.id).await?;
                let (locked, protected) = named.as_ref().map_or((false, false), |(tag, name)| {
                    let locked = ref_locked(&protections, level, *tag, name) && !admin;
                    (locked, ref_protected(&protections, *tag, name))
                });
                let list = if secrets {
                    let protected = protected && !locked;
                    let around = Around::read(tx, &keys, &project).await?;
                    fitting(around.secrets(Protected::on(protected)), None)
                } else {
                    VariableList::default()
                };
                Ok::<_, crate::Error>((locked, protected, list))
            })
            .await?;
        let git_ref = git_ref.filter(|_| !locked);
        let mut list = self.lint_predefined(access, stand, git_ref.as_ref(), protected);
        list.extend(secrets);
        Ok(compiler_variables(&list))
    }

    fn lint_predefined<A>(
        &self,
        access: &ProjectAccess<A>,
        stand: Option<&Stand>,
        git_ref: Option<&GitRef>,
        protected: bool,
    ) -> VariableList {
        let server = &self.settings().server;
        let facts = project_facts(access.project());
        let mut list = predefined::project(server, &facts);
        if let Some(stand) = stand {
            let pipeline = PipelineFacts {
                ref_name: git_ref.map_or_else(String::new, |git_ref| git_ref.short().to_owned()),
                tag: git_ref.is_some_and(GitRef::is_tag),
                protected,
                source: PipelineSource::Push,
                created_at: self.now(),
                iid: None,
                name: None,
                upstream: None,
            };
            let commit = &stand.commit;
            let commit = CommitFacts::of(commit, "", None);
            let mut of_pipeline = predefined::pipeline(server, &facts, &pipeline, &commit);
            // There is no pipeline that would come from anywhere.
            let absent = |key: &str| {
                key.starts_with("CI_PIPELINE_")
                    || (git_ref.is_none()
                        && (key.starts_with("CI_COMMIT_REF") || key == "CI_COMMIT_BRANCH"))
            };
            of_pipeline.0.retain(|variable| !absent(&variable.key));
            list.extend(of_pipeline);
        }
        if let Some(user) = access.actor().user() {
            list.extend(predefined::user(&user_facts(user)));
        }
        list
    }
}
