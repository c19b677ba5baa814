//! The variables that exist while a configuration is compiled (`pipeline-processing.md §14`, `§19` phase P).

use footplate_ci::{Context, Level, variables::Variable};
use footplate_git::GitRef;
use footplate_model::{
    GivenVariable, NamespaceId, Project, ProjectId, Timestamp, User, VariableOwner, VariableType,
};
use footplate_store::{Keys, Tx, namespaces, variables};

use super::PipelineRequest;
use crate::{
    App, Result,
    variables::{
        facts::{CommitFacts, PipelineFacts, ProjectFacts, UserFacts},
        list::{JobVariable, VariableList},
        predefined,
    },
};

/// What the compiler is told about variables.
#[derive(Debug, Clone)]
pub(crate) struct ConfigVariables {
    /// Below the configuration's own.
    pub(crate) predefined: VariableList,
    /// Above the configuration's own.
    pub(crate) overriding: VariableList,
}

impl ConfigVariables {
    /// The compiler's context.
    pub(crate) fn context(&self, request: &PipelineRequest) -> Context {
        Context {
            ref_name: request.git_ref.short().to_owned(),
            tag: request.git_ref.is_tag(),
            source: request.source,
            project: Some(request.project.full_path.clone()),
            predefined: compiler_variables(&self.predefined),
            overriding: compiler_variables(&self.overriding),
        }
    }
}

pub(crate) fn compiler_variables(list: &VariableList) -> Vec<Variable> {
    list.0
        .iter()
        .map(|variable| Variable {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
            file: variable.file,
            masked: variable.masked,
            public: variable.public,
            level: variable.level,
        })
        .collect()
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
        let commit = app.commit_facts(request).await?;
        let mut predefined = predefined::project(server, &facts);
        predefined.extend(predefined::pipeline(server, &facts, &pipeline, &commit));
        let mut overriding = predefined::user(&user_facts(&request.user));
        let (keys, project, protected) = (
            app.keys().clone(),
            request.project.clone(),
            request.protected,
        );
        let secrets = app
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                secret_variables(tx, &keys, project.id, project.namespace_id, protected, None).await
            })
            .await?;
        overriding.extend(secrets);
        overriding.extend(given(&request.variables));
        Ok(ConfigVariables {
            predefined,
            overriding,
        })
    }

    /// The commit as variables tell of it.
    async fn commit_facts(&self, request: &PipelineRequest) -> Result<CommitFacts> {
        let commit = &request.commit;
        let tag_message = match &request.git_ref {
            GitRef::Tag(name) => self
                .repository(request.project.id)
                .tag(name)
                .await?
                .and_then(|tag| tag.message),
            GitRef::Branch(_) | GitRef::Other(_) => None,
        };
        Ok(CommitFacts {
            sha: commit.id.to_string(),
            before_sha: request.before_sha.clone().unwrap_or_default(),
            message: commit.message.clone(),
            author: format!("{} <{}>", commit.author.name, commit.author.email),
            timestamp: commit.committer.iso8601(),
            tag_message,
        })
    }
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

/// Variables of the instance, of the groups from the outermost in, and of the project. `environment` chooses among
/// scopes; without one only those for every environment count.
pub(crate) async fn secret_variables(
    tx: &mut Tx<'_>,
    keys: &Keys,
    project: ProjectId,
    namespace: NamespaceId,
    protected: bool,
    environment: Option<&str>,
) -> Result<VariableList> {
    let mut owners = vec![VariableOwner::Instance];
    let mut groups = namespaces::list_ancestors(tx, namespace).await?;
    groups.sort_by_key(|group| group.full_path.matches('/').count());
    owners.extend(
        groups
            .into_iter()
            .map(|group| VariableOwner::Group(group.id)),
    );
    owners.push(VariableOwner::Project(project));
    let mut list = VariableList::default();
    for owner in owners {
        let mut found = variables::list(tx, keys, owner).await?;
        found.retain(|variable| {
            (protected || !variable.protected)
                && scope_matches(&variable.environment_scope, environment)
        });
        found.sort_by_key(|variable| {
            (
                variable.environment_scope != "*",
                variable.environment_scope.len(),
            )
        });
        list.0.extend(found.into_iter().map(|variable| JobVariable {
            key: variable.key,
            value: variable.value,
            public: false,
            masked: variable.masked,
            file: variable.variable_type == VariableType::File,
            raw: variable.raw,
            level: level(owner),
        }));
    }
    Ok(list)
}

fn level(owner: VariableOwner) -> Level {
    match owner {
        VariableOwner::Instance => Level::Instance,
        VariableOwner::Group(_) => Level::Group,
        VariableOwner::Project(_) => Level::Project,
    }
}

fn scope_matches(scope: &str, environment: Option<&str>) -> bool {
    match environment {
        None => scope == "*",
        Some(name) => footplate_model::wildcard_matches(scope, name),
    }
}
