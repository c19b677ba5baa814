//! The variables that exist while a configuration is compiled (`pipeline-processing.md §14`, `§19` phase P).

use footplate_ci::{Context, Later, Level, ScopedVariable, variables::Variable};
use footplate_git::{Commit, GitRef};
use footplate_model::{GivenVariable, Project, ProjectId, Timestamp, User, VariableType};
use footplate_store::{Tx, users};

use super::PipelineRequest;
use crate::{
    App, Error, Result,
    variables::{
        facts::{CommitFacts, PipelineFacts, ProjectFacts, UserFacts},
        list::{JobVariable, VariableList},
        predefined,
        secrets::{Around, Protected, Secret},
    },
};

/// What the compiler is told about variables.
#[derive(Debug, Clone)]
pub(crate) struct ConfigVariables {
    /// Below the configuration's own.
    predefined: VariableList,
    /// The same, when the configuration was read.
    numbered: VariableList,
    /// Above the configuration's own.
    user: VariableList,
    /// Above the user's: instance, groups, project.
    secrets: Vec<Secret>,
    /// Above all.
    given: VariableList,
}

impl ConfigVariables {
    /// The compiler's context.
    pub(crate) fn context(&self, request: &PipelineRequest) -> Context {
        let (mut overriding, mut scoped) = (Vec::new(), Vec::new());
        for secret in &self.secrets {
            let variable = Variable::from(secret.variable());
            match secret.scope() {
                None => overriding.push(variable),
                Some(scope) => scoped.push(ScopedVariable {
                    scope: scope.to_owned(),
                    place: overriding.len(),
                    variable,
                }),
            }
        }
        overriding.extend(compiler_variables(&self.given));
        Context {
            ref_name: request.git_ref.short().to_owned(),
            tag: request.git_ref.is_tag(),
            source: request.source,
            project: Some(request.project.full_path.clone()),
            predefined: compiler_variables(&self.predefined),
            overriding,
            later: Later {
                predefined: compiler_variables(&self.numbered),
                user: compiler_variables(&self.user),
                scoped,
            },
        }
    }
}

pub(crate) fn compiler_variables(list: &VariableList) -> Vec<Variable> {
    list.0.iter().map(Variable::from).collect()
}

/// A project as variables tell of it.
pub(crate) fn project_facts(project: &Project) -> ProjectFacts {
    let namespace = project
        .full_path
        .rsplit_once('/')
        .map_or("", |(namespace, _)| namespace);
    ProjectFacts {
        id: project.id,
        title: project.name.clone(),
        path: project.path.clone(),
        full_path: project.full_path.clone(),
        namespace: namespace.to_owned(),
        namespace_id: project.namespace_id,
        description: project.description.clone(),
        visibility: project.visibility,
        default_branch: project.default_branch.clone().unwrap_or_default(),
        config_path: project.config_path().to_owned(),
        topics: project.topics.clone(),
    }
}

/// A user as variables tell of them.
pub(crate) fn user_facts(user: &User) -> UserFacts {
    UserFacts {
        id: user.id,
        login: user.username.clone(),
        name: user.name.clone(),
        email: user.email.clone(),
    }
}

impl App {
    /// Gathers them.
    pub(super) async fn config_variables(
        &self,
        request: &PipelineRequest,
        iid: i64,
        now: Timestamp,
    ) -> Result<ConfigVariables> {
        let app = self;
        let server = &app.settings().server;
        let facts = project_facts(&request.project);
        let pipeline = PipelineFacts {
            ref_name: request.git_ref.short().to_owned(),
            tag: request.git_ref.is_tag(),
            protected: request.protected,
            source: request.source,
            created_at: now,
            iid: Some(iid),
            name: None,
            upstream: request.upstream.as_ref().map(|upstream| {
                (
                    upstream.pipeline.id.0,
                    upstream.pipeline.project_id.0,
                    upstream.bridge.id.0,
                )
            }),
        };
        let tag = match &request.git_ref {
            GitRef::Tag(name) => Some(name.as_str()),
            GitRef::Branch(_) | GitRef::Other(_) => None,
        };
        let before = request.before_sha.as_deref().unwrap_or_default();
        let mut commit = app
            .commit_facts(request.project.id, &request.commit, before, tag)
            .await?;
        let (keys, project, protected) = (
            app.keys().clone(),
            request.project.clone(),
            Protected::on(request.protected),
        );
        let author = request.commit.author.email.clone();
        let (login, secrets) = app
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let login = author_login(tx, &author).await?;
                let around = Around::read(tx, &keys, &project).await?;
                Ok::<_, Error>((login, around.secrets(protected)))
            })
            .await?;
        commit.author_login = login;
        let early = PipelineFacts {
            iid: None,
            ..pipeline.clone()
        };
        let mut predefined = predefined::project(server, &facts);
        predefined.extend(predefined::pipeline(server, &facts, &early, &commit));
        Ok(ConfigVariables {
            predefined,
            numbered: predefined::numbered(&pipeline),
            user: predefined::user(&user_facts(&request.user)),
            secrets,
            given: given(&request.variables),
        })
    }

    /// A commit as variables tell of it, but for its author's login.
    pub(crate) async fn commit_facts(
        &self,
        project: ProjectId,
        commit: &Commit,
        before_sha: &str,
        tag: Option<&str>,
    ) -> Result<CommitFacts> {
        let tag = match tag {
            Some(name) => self.repository(project).tag(name).await?,
            None => None,
        };
        Ok(CommitFacts::of(
            commit,
            before_sha,
            tag.and_then(|tag| tag.message),
        ))
    }
}

/// The login of the user with a commit's address.
pub(crate) async fn author_login(tx: &mut Tx<'_>, email: &str) -> Result<Option<String>> {
    let found = users::find_by_email(tx, email).await?;
    Ok(found.map(|user| user.username))
}

/// Pipeline or manual job variables as a list.
pub(crate) fn given(variables: &[GivenVariable]) -> VariableList {
    VariableList(
        variables
            .iter()
            .map(|variable| JobVariable {
                key: variable.key.clone(),
                value: variable.value.clone(),
                public: false,
                masked: false,
                file: variable.variable_type == VariableType::File,
                raw: variable.raw,
                level: Level::Pipeline,
            })
            .collect(),
    )
}
