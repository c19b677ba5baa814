//! Git over HTTP: who may, and what a push starts (DESIGN §3).

use std::time::Duration;

use footplate_git::{
    GitRef, Push, PushCommands, PushOutcome, RefUpdate, Rejection, Repository, Service,
};
use footplate_model::{
    AccessLevel, GivenVariable, PipelineSource, Project, ProjectId, ProtectedRef, ProtectedRefId,
    PushIntentId, User, VariableType,
    policy::{Ability, Standing, allows},
};
use footplate_store::{Tx, namespaces, projects, protected_refs, push_intents, users};
use serde_json::Value as Json;

use crate::{
    Actor, App, Credential, Error, NewProject, ProjectRef, Result, Unauthorized, UserActor,
    access::{find_project, ref_protected, standing},
    create_pipeline::PipelineRequest,
    secrets::JOB_TOKEN_PREFIX,
};

/// A push waits so long for its pipelines' addresses.
const PATIENCE: Duration = Duration::from_secs(5);

/// A repository that an actor may use.
#[derive(Clone)]
pub struct GitAccess {
    /// The project.
    pub project: Project,
    /// Its repository.
    pub repository: Repository,
    actor: Actor,
    standing: Standing,
}

/// What became of a push that wants to begin.
pub enum Begun {
    /// Git may go on; the intent is written down.
    Go(PushIntentId),
    /// Refused: a message, and reasons of single references.
    Refused(String, Vec<Rejection>),
}

impl App {
    /// Who asks with a user name and password of HTTP Basic.
    ///
    /// # Errors
    /// 401.
    pub async fn authenticate_git(&self, basic: Option<(String, String)>) -> Result<Actor> {
        let Some((login, password)) = basic else {
            return Ok(Actor::Anonymous);
        };
        if login == "gitlab-ci-token" || password.starts_with(JOB_TOKEN_PREFIX) {
            return self.authenticate(Credential::JobToken(password)).await;
        }
        match self
            .authenticate(Credential::AccessToken(password.clone()))
            .await
        {
            Ok(actor) => Ok(actor),
            Err(Error::Unauthorized(Unauthorized::Plain)) => {
                let user = self.authenticate_password(login, password).await?;
                Ok(Actor::User(UserActor {
                    user,
                    scopes: None,
                    token: None,
                }))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an actor may fetch or push; a push may make the project (`path` without `.git`).
    ///
    /// # Errors
    /// 401 without a credential, 403 and 404 otherwise.
    pub async fn open_repository(
        &self,
        actor: Actor,
        path: String,
        service: Service,
    ) -> Result<GitAccess> {
        let scopes: &[&str] = match service {
            Service::UploadPack => &["api", "read_repository", "write_repository"],
            Service::ReceivePack => &["api", "write_repository"],
        };
        if !actor.has_scope(scopes) {
            return Err(Error::forbidden(
                "HTTP Basic: Access denied. The token lacks the scope for this",
            ));
        }
        let (asker, by, now) = (actor.clone(), ProjectRef::Path(path.clone()), self.now());
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(project) = find_project(tx, &by).await? else {
                    return Ok(None);
                };
                let standing = standing(tx, &asker, &project, now).await?;
                Ok::<_, Error>(Some((project, standing)))
            })
            .await?;
        let found = match found {
            None if service == Service::ReceivePack && actor.user().is_some() => {
                Some(self.project_for_push(&actor, &path).await?)
            }
            found => found,
        };
        let anonymous = matches!(actor, Actor::Anonymous);
        let hidden = || {
            if anonymous {
                return Error::UNAUTHORIZED;
            }
            Error::NotFound(
                "The project you were looking for could not be found or you don't have permission to view it.",
            )
        };
        let (project, standing) = found.ok_or_else(hidden)?;
        if !allows(Ability::ReadProject, &standing) || !allows(Ability::ReadCode, &standing) {
            return Err(hidden());
        }
        let job = matches!(actor, Actor::Job(_));
        let push_by_job = project.settings.ci_push_repository_for_job_token_allowed;
        if service == Service::ReceivePack
            && (!allows(Ability::PushCode, &standing) || (job && !push_by_job))
        {
            if anonymous {
                return Err(Error::UNAUTHORIZED);
            }
            return Err(Error::refused(
                403,
                "You are not allowed to push code to this project.",
            ));
        }
        let repository = self.repository(project.id);
        if !repository.exists().await {
            // Its row was written and the process killed before the folder was there.
            let branch = project
                .default_branch
                .clone()
                .unwrap_or_else(|| "main".to_owned());
            self.repositories().create(project.id, &branch).await?;
        }
        Ok(GitAccess {
            repository,
            project,
            actor,
            standing,
        })
    }

    async fn project_for_push(&self, actor: &Actor, path: &str) -> Result<(Project, Standing)> {
        let missing = || {
            Error::NotFound(
                "The project you were looking for could not be found or you don't have permission to view it.",
            )
        };
        let (namespace, name) = path.rsplit_once('/').ok_or_else(missing)?;
        let by = namespace.to_owned();
        let known = self
            .db()
            .read(async move |tx: &mut Tx<'_>| namespaces::find_by_path(tx, &by).await)
            .await?;
        if known.is_none() || matches!(actor, Actor::Job(_)) {
            return Err(missing());
        }
        let new = NewProject {
            path: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..NewProject::default()
        };
        let project = self
            .create_project(actor, new)
            .await
            .map_err(|error| match error {
                Error::Invalid(_) => missing(),
                other => other,
            })?;
        let (asker, of, now) = (actor.clone(), project.clone(), self.now());
        let standing = self
            .db()
            .read(async move |tx: &mut Tx<'_>| standing(tx, &asker, &of, now).await)
            .await?;
        Ok((project, standing))
    }

    /// Checks the references of a push and writes down what it is about to do.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn begin_push(&self, access: &GitAccess, commands: &PushCommands) -> Result<Begun> {
        let project = access.project.id;
        let protections = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, project).await)
            .await?;
        let rejections: Vec<Rejection> = commands
            .updates
            .iter()
            .filter(|update| refusal(&protections, &access.standing, update).is_some())
            .map(|update| Rejection {
                name: update.name.clone(),
                reason: "pre-receive hook declined".to_owned(),
            })
            .collect();
        if let Some(reason) = commands
            .updates
            .iter()
            .find_map(|update| refusal(&protections, &access.standing, update))
        {
            return Ok(Begun::Refused(format!("GitLab: {reason}"), rejections));
        }
        let user = access.actor.user_id().ok_or(Error::UNAUTHORIZED)?;
        let id = self
            .write_intent(project, user, &commands.updates, &commands.push_options)
            .await?;
        Ok(Begun::Go(id))
    }

    /// Writes down what is about to move, before git moves it.
    pub(crate) async fn write_intent(
        &self,
        project: ProjectId,
        user: footplate_model::UserId,
        updates: &[RefUpdate],
        options: &[String],
    ) -> Result<PushIntentId> {
        let updates = stored_updates(updates);
        let options = serde_json::to_string(options).map_err(Error::internal)?;
        let now = self.now();
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                push_intents::insert(tx, project, user, &updates, &options, now).await
            })
            .await?)
    }

    /// A push has ended: its pipelines, and the lines that its author sees.
    pub async fn finish_push(&self, intent: PushIntentId, outcome: PushOutcome) -> Vec<String> {
        let app = self.clone();
        let moved: Vec<RefUpdate> = outcome.moved().cloned().collect();
        let work = tokio::spawn(async move { app.resolve_intent(intent, Some(moved)).await });
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(Ok(lines))) => lines,
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "the pipelines of a push could not be made; they are tried again");
                vec!["The pipelines of this push are not made yet.".to_owned()]
            }
            Ok(Err(_)) | Err(_) => vec!["The pipelines of this push are being made.".to_owned()],
        }
    }

    /// Does what a push intent says. `moved` is known when git has just told it; otherwise the refs are looked at.
    pub(crate) async fn resolve_intent(
        &self,
        id: PushIntentId,
        moved: Option<Vec<RefUpdate>>,
    ) -> Result<Vec<String>> {
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(intent) = push_intents::find(tx, id).await? else {
                    return Ok(None);
                };
                let user = users::find(tx, intent.user_id).await?;
                Ok::<_, footplate_store::Error>(Some((intent, user)))
            })
            .await?;
        let Some((intent, user)) = found else {
            return Ok(Vec::new());
        };
        let options: Vec<String> =
            serde_json::from_str(&intent.options).map_err(Error::internal)?;
        let moved = match moved {
            Some(moved) => moved,
            None => self.moved_of(intent.project_id, &intent.updates).await?,
        };
        let lines = match user {
            Some(user) => {
                self.refs_moved(intent.project_id, user, moved, options, Some(id))
                    .await?
            }
            None => Vec::new(),
        };
        self.db()
            .write(async move |tx: &mut Tx<'_>| push_intents::delete(tx, id).await)
            .await?;
        Ok(lines)
    }

    /// Which references of an intent stand where the push wanted them.
    async fn moved_of(&self, project: ProjectId, updates: &str) -> Result<Vec<RefUpdate>> {
        let repository = self.repository(project);
        let mut moved = Vec::new();
        for update in parse_updates(updates)? {
            let Some(git_ref) = update.git_ref() else {
                continue;
            };
            let at = repository.find_ref(&git_ref).await?;
            let there = match at {
                Some(sha) => sha == update.new,
                None => update.is_delete(),
            };
            if there {
                moved.push(update);
            }
        }
        Ok(moved)
    }

    /// References were moved by a user: the default branch is adopted and protected, each new head gets its pipeline.
    pub(crate) async fn refs_moved(
        &self,
        project: ProjectId,
        user: User,
        moved: Vec<RefUpdate>,
        options: Vec<String>,
        intent: Option<PushIntentId>,
    ) -> Result<Vec<String>> {
        let project = self.adopt_default_branch(project).await?;
        let default = project.default_branch.as_deref();
        let on_default = |update: &RefUpdate| {
            let named = update.git_ref();
            named.is_some_and(|named| !named.is_tag() && Some(named.short()) == default)
        };
        if moved.iter().any(on_default)
            && let Err(error) = self.read_agent_configurations(&project).await
        {
            // The push stands, and its pipeline shall come.
            tracing::error!(%error, project = %project.id, "agents' configurations were not read");
        }
        let variables: Vec<GivenVariable> = options
            .iter()
            .filter_map(|option| option.strip_prefix("ci.variable="))
            .filter_map(pushed_variable)
            .collect();
        let skip = options.iter().any(|option| option == "ci.skip");
        let inputs: serde_json::Map<String, Json> = options
            .iter()
            .filter_map(|option| option.strip_prefix("ci.input="))
            .filter_map(pushed_input)
            .collect();
        let mut lines = Vec::new();
        for update in moved.iter().filter(|update| !update.is_delete()) {
            let Some(git_ref) = update.git_ref() else {
                continue;
            };
            if matches!(git_ref, GitRef::Other(_)) {
                continue;
            }
            let key = intent.map(|intent| format!("{intent}:{}", update.name));
            let push = PushedRef {
                git_ref,
                update,
                key,
                skip,
            };
            lines.extend(
                self.pipeline_of_ref(&project, &user, push, &variables, &inputs)
                    .await?,
            );
        }
        Ok(lines)
    }

    async fn pipeline_of_ref(
        &self,
        project: &Project,
        user: &User,
        push: PushedRef<'_>,
        variables: &[GivenVariable],
        inputs: &serde_json::Map<String, Json>,
    ) -> Result<Vec<String>> {
        // The commit behind an annotated tag.
        let repository = self.repository(project.id);
        let Some(sha) = repository.commit_of(&push.git_ref).await? else {
            return Ok(Vec::new());
        };
        let sha = if push.git_ref.is_tag() {
            sha
        } else {
            push.update.new.clone()
        };
        let Some(commit) = repository.commit(&sha).await? else {
            return Ok(Vec::new());
        };
        if self.config_text(project, &commit.id).await?.is_none() {
            return Ok(Vec::new());
        }
        let id = project.id;
        let protections = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, id).await)
            .await?;
        let protected = ref_protected(&protections, push.git_ref.is_tag(), push.git_ref.short());
        let creation = self
            .create(PipelineRequest {
                project: project.clone(),
                user: user.clone(),
                git_ref: push.git_ref,
                commit,
                before_sha: Some(push.update.old.to_string()),
                protected,
                source: PipelineSource::Push,
                variables: variables.to_vec(),
                inputs: inputs.clone(),
                ignore_skip: false,
                skip: push.skip,
                save_on_errors: true,
                push_key: push.key,
                upstream: None,
            })
            .await?;
        let mut lines = Vec::new();
        if let Some(pipeline) = creation.pipeline {
            let url = self.url(&format!(
                "/{}/-/pipelines/{}",
                project.full_path, pipeline.id
            ));
            lines.push(format!(
                "pipeline #{} {url} ({})",
                pipeline.id, pipeline.status
            ));
        }
        lines.extend(
            creation
                .errors
                .iter()
                .flat_map(|error| error.lines())
                .map(|line| format!("  {line}")),
        );
        Ok(lines)
    }

    /// The first branch of a project becomes its default branch and is protected.
    async fn adopt_default_branch(&self, id: ProjectId) -> Result<Project> {
        let repository = self.repository(id);
        let adopted = match repository.adopt_default_branch().await? {
            Some(branch) => Some(branch),
            None if repository.is_empty().await? => None,
            None => Some(repository.default_branch().await?),
        };
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let mut project = projects::find(tx, id)
                    .await?
                    .ok_or(Error::PROJECT_NOT_FOUND)?;
                let Some(branch) = &adopted else {
                    return Ok(project);
                };
                if project.default_branch.as_ref() != Some(branch) {
                    project.default_branch = Some(branch.clone());
                    projects::update(tx, &project, now).await?;
                }
                let mark = format!("default_branch_protected:{id}");
                if footplate_store::settings::find(tx, &mark).await?.is_none() {
                    let known = protected_refs::list(tx, id).await?;
                    if !known
                        .iter()
                        .any(|entry| !entry.tag && entry.name == *branch)
                    {
                        protected_refs::insert(tx, &default_protection(id, branch, now)).await?;
                    }
                    footplate_store::settings::put(tx, &mark, "true").await?;
                }
                Ok(project)
            })
            .await
    }
}

struct PushedRef<'p> {
    git_ref: GitRef,
    update: &'p RefUpdate,
    key: Option<String>,
    skip: bool,
}

fn default_protection(
    project: ProjectId,
    branch: &str,
    now: footplate_model::Timestamp,
) -> ProtectedRef {
    ProtectedRef {
        id: ProtectedRefId(0),
        project_id: project,
        tag: false,
        name: branch.to_owned(),
        push_access_level: AccessLevel::MAINTAINER,
        merge_access_level: AccessLevel::MAINTAINER,
        allow_force_push: false,
        created_at: now,
    }
}

/// Why a reference may not move, in GitLab's words.
fn refusal(
    protections: &[ProtectedRef],
    standing: &Standing,
    update: &RefUpdate,
) -> Option<&'static str> {
    let git_ref = update.git_ref()?;
    let (tag, name) = (git_ref.is_tag(), git_ref.short());
    let matching: Vec<&ProtectedRef> = protections
        .iter()
        .filter(|entry| entry.matches(tag, name))
        .collect();
    if matching.is_empty() {
        return None;
    }
    if update.is_delete() {
        return Some(if tag {
            "You can not delete protected tags over git."
        } else {
            "You can only delete protected branches using the web interface."
        });
    }
    let may = standing.admin
        || matching.iter().any(|entry| {
            entry.push_access_level > AccessLevel::NONE && standing.level >= entry.push_access_level
        });
    if may {
        return None;
    }
    Some(if tag {
        "You are not allowed to create this tag as it is protected."
    } else {
        "You are not allowed to push code to protected branches on this project."
    })
}

/// Whether a push must not rewrite history because a protected branch is among its references.
pub(crate) fn rewrites_are_denied(protections: &[ProtectedRef], updates: &[RefUpdate]) -> bool {
    updates
        .iter()
        .filter_map(RefUpdate::git_ref)
        .any(|git_ref| {
            let mut matching = protections
                .iter()
                .filter(|entry| entry.matches(git_ref.is_tag(), git_ref.short()))
                .peekable();
            matching.peek().is_some() && !matching.any(|entry| entry.allow_force_push)
        })
}

impl App {
    /// Lets git do a push that has begun.
    ///
    /// # Errors
    /// When git cannot be started.
    pub async fn run_push(
        &self,
        access: &GitAccess,
        push: Push,
        intent: PushIntentId,
    ) -> Result<footplate_git::ByteStream> {
        let (app, project) = (self.clone(), access.project.id);
        let protections = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, project).await)
            .await?;
        let deny = rewrites_are_denied(&protections, &push.commands().updates);
        let push = if deny { push.without_rewrites() } else { push };
        Ok(push
            .run(move |outcome| async move { app.finish_push(intent, outcome).await })
            .await?)
    }
}

/// `K=V` of the push option `ci.variable`, with or without quotes.
fn pushed_variable(text: &str) -> Option<GivenVariable> {
    let text = text.trim();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let (key, value) = text.split_once('=')?;
    (!key.is_empty()).then(|| GivenVariable {
        key: key.to_owned(),
        value: value.to_owned(),
        variable_type: VariableType::EnvVar,
        raw: false,
    })
}

/// `NAME=VALUE` of the push option `ci.input`. What JSON reads as a number, boolean or list is one; all else is text.
fn pushed_input(text: &str) -> Option<(String, Json)> {
    let (name, value) = text.split_once('=')?;
    let value = match serde_json::from_str::<Json>(value) {
        Ok(value @ (Json::Bool(_) | Json::Number(_) | Json::Array(_))) => value,
        Ok(_) | Err(_) => Json::from(value),
    };
    (!name.is_empty()).then(|| (name.to_owned(), value))
}

fn stored_updates(updates: &[RefUpdate]) -> String {
    let list: Vec<[String; 3]> = updates
        .iter()
        .map(|update| {
            [
                update.name.clone(),
                update.old.to_string(),
                update.new.to_string(),
            ]
        })
        .collect();
    serde_json::json!(list).to_string()
}

fn parse_updates(text: &str) -> Result<Vec<RefUpdate>> {
    let list: Vec<[String; 3]> = serde_json::from_str(text).map_err(Error::internal)?;
    list.into_iter()
        .map(|[name, old, new]| {
            Ok(RefUpdate {
                name,
                old: footplate_git::Sha::parse(&old)?,
                new: footplate_git::Sha::parse(&new)?,
            })
        })
        .collect()
}
