//! Agents for Kubernetes: their records, tokens, configuration, and which of them a job may use (`rest-api.md §4.8`).

use std::collections::HashSet;

use footplate_ci::yaml::{Limits, load as load_yaml};
use footplate_git::Sha;
use footplate_model::{
    AccessLevel, Agent, AgentAuthorization, AgentGrantee, AgentId, AgentToken, AgentTokenId, Job,
    JobId, NamespaceId, NamespaceKind, Project, ProjectId, User, wildcard_matches,
};
use footplate_store::{
    Tx, agents, environments, jobs, members, namespaces, projects, token_hash, users,
};
use serde_json::{Map, Value as Json};

use crate::{
    App, Error, ProjectAccess, Result, can,
    secrets::{AGENT_TOKEN_PREFIX, random_token},
};

/// Entries of a configuration that are read, of each kind.
const ENTRIES: usize = 500;
/// A configuration file may be so large, in bytes.
const CONFIG_LIMIT: u64 = 1 << 20;
/// Active tokens of an agent.
const TOKENS: usize = 2;

/// An agent with the project that has its configuration.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// The agent.
    pub agent: Agent,
    /// Its project.
    pub project: Project,
    /// What the job's authorization says beside its `id`.
    pub configuration: Map<String, Json>,
}

/// Which agents a job may use, and what an agent needs to know of the job.
#[derive(Debug)]
pub struct AllowedAgents {
    /// The agents.
    pub agents: Vec<AgentView>,
    /// The job.
    pub job: Job,
    /// The job's group and all groups around it, the closest first.
    pub groups: Vec<NamespaceId>,
    /// The job's user.
    pub user: User,
    /// Their level in the project.
    pub level: AccessLevel,
    /// Tier and slug of the job's environment.
    pub environment: Option<(String, String)>,
}

impl App {
    /// The agents that a job may use (`rest-api.md §4.8`).
    ///
    /// # Errors
    /// 404 when the job went away meanwhile.
    pub async fn allowed_agents(&self, id: JobId) -> Result<AllowedAgents> {
        let now = self.now();
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let job = jobs::find(tx, id)
                    .await?
                    .ok_or(Error::NotFound("404 Job Not Found"))?;
                let user = match job.user_id {
                    Some(user) => users::find(tx, user).await?,
                    None => None,
                }
                .ok_or(Error::UNAUTHORIZED)?;
                let project = projects::find(tx, job.project_id)
                    .await?
                    .ok_or(Error::PROJECT_NOT_FOUND)?;
                let groups: Vec<NamespaceId> = namespaces::list_ancestors(tx, project.namespace_id)
                    .await?
                    .into_iter()
                    .filter(|namespace| namespace.kind == NamespaceKind::Group)
                    .map(|namespace| namespace.id)
                    .collect();
                let environment = match &job.environment {
                    Some(name) => environments::find_by_name(tx, project.id, name)
                        .await?
                        .map(|environment| (environment.tier, environment.slug)),
                    None => None,
                };
                Ok::<_, Error>(AllowedAgents {
                    agents: agents_of_job(tx, &job, &groups).await?,
                    level: members::project_level(tx, project.id, user.id, now).await?,
                    job,
                    groups,
                    user,
                    environment,
                })
            })
            .await
    }

    /// The agents of a project.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_agents(
        &self,
        access: &ProjectAccess<can::ReadAgents>,
    ) -> Result<Vec<AgentView>> {
        let project = access.project().clone();
        let id = project.id;
        let list = self
            .db()
            .read(async move |tx: &mut Tx<'_>| agents::list(tx, id).await)
            .await?;
        Ok(list
            .into_iter()
            .map(|agent| plain(agent, project.clone()))
            .collect())
    }

    /// One agent of a project.
    ///
    /// # Errors
    /// 404.
    pub async fn find_agent(
        &self,
        access: &ProjectAccess<can::ReadAgents>,
        id: AgentId,
    ) -> Result<AgentView> {
        let project = access.project_id();
        let agent = self
            .db()
            .read(async move |tx: &mut Tx<'_>| load_agent(tx, project, id).await)
            .await?;
        Ok(plain(agent, access.project().clone()))
    }

    /// Registers an agent, and reads its configuration where there is one already.
    ///
    /// # Errors
    /// 400 for a name that is not one or is taken.
    pub async fn create_agent(
        &self,
        access: &ProjectAccess<can::AdminAgents>,
        name: String,
    ) -> Result<AgentView> {
        if !is_agent_name(&name) {
            let message = "can contain only lowercase letters, digits, and '-', but cannot start or end with '-'";
            return Err(Error::invalid("name", message));
        }
        let by = access
            .actor()
            .user()
            .map(|user| user.id)
            .ok_or(Error::UNAUTHORIZED)?;
        let (now, project) = (self.now(), access.project_id());
        let made = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                Ok::<_, Error>(agents::insert(tx, project, &name, by, now).await?)
            })
            .await;
        let agent = match made {
            Err(Error::Conflict(_)) => {
                return Err(Error::invalid("name", "has already been taken"));
            }
            other => other?,
        };
        self.read_agent_configurations(access.project()).await?;
        Ok(plain(agent, access.project().clone()))
    }

    /// Removes an agent with its tokens and authorizations.
    ///
    /// # Errors
    /// 404.
    pub async fn delete_agent(
        &self,
        access: &ProjectAccess<can::AdminAgents>,
        id: AgentId,
    ) -> Result<()> {
        let project = access.project_id();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                load_agent(tx, project, id).await?;
                Ok::<_, Error>(agents::delete(tx, id).await?)
            })
            .await
    }

    /// The tokens of an agent that work, newest first.
    ///
    /// # Errors
    /// 404.
    pub async fn list_agent_tokens(
        &self,
        access: &ProjectAccess<can::ReadAgents>,
        id: AgentId,
    ) -> Result<Vec<AgentToken>> {
        let project = access.project_id();
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                load_agent(tx, project, id).await?;
                Ok::<_, Error>(agents::list_tokens(tx, id).await?)
            })
            .await
    }

    /// Makes a token; its text is shown only now.
    ///
    /// # Errors
    /// 404; 400 without a name and when two are active.
    pub async fn create_agent_token(
        &self,
        access: &ProjectAccess<can::AdminAgents>,
        id: AgentId,
        name: String,
        description: Option<String>,
    ) -> Result<(AgentToken, String)> {
        if name.trim().is_empty() {
            return Err(Error::invalid("name", "can't be blank"));
        }
        let (now, project) = (self.now(), access.project_id());
        let by = access.actor().user().map(|user| user.id);
        let text = random_token(AGENT_TOKEN_PREFIX);
        let hash = token_hash(&text);
        let token = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                load_agent(tx, project, id).await?;
                if agents::list_tokens(tx, id).await?.len() >= TOKENS {
                    return Err(Error::BadRequest(
                        "An agent can have only two active tokens at a time".to_owned(),
                    ));
                }
                let new = AgentToken {
                    id: AgentTokenId(0),
                    agent_id: id,
                    name: name.clone(),
                    description: description.clone(),
                    revoked: false,
                    created_by_user_id: by,
                    created_at: now,
                    last_used_at: None,
                };
                Ok(agents::insert_token(tx, &new, &hash).await?)
            })
            .await?;
        Ok((token, text))
    }

    /// Makes a token useless.
    ///
    /// # Errors
    /// 404, also for one that was revoked before.
    pub async fn revoke_agent_token(
        &self,
        access: &ProjectAccess<can::AdminAgents>,
        id: AgentId,
        token: AgentTokenId,
    ) -> Result<()> {
        let project = access.project_id();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                load_agent(tx, project, id).await?;
                let known = agents::list_tokens(tx, id).await?;
                if !known.iter().any(|entry| entry.id == token) {
                    return Err(Error::RECORD_NOT_FOUND);
                }
                Ok(agents::revoke_token(tx, token).await?)
            })
            .await
    }

    /// Reads the configuration of every agent of a project from its default branch. A file that is not valid YAML leaves
    /// things as they were; one that is gone lets nobody in.
    pub(crate) async fn read_agent_configurations(&self, project: &Project) -> Result<()> {
        let id = project.id;
        let list = self
            .db()
            .read(async move |tx: &mut Tx<'_>| agents::list(tx, id).await)
            .await?;
        let Some(branch) = project.default_branch.clone().filter(|_| !list.is_empty()) else {
            return Ok(());
        };
        let repository = self.repository(id);
        let head = footplate_git::GitRef::Branch(branch);
        let Some(sha) = repository.commit_of(&head).await? else {
            return Ok(());
        };
        for agent in list {
            if let Some(config) = self.agent_configuration(id, &sha, &agent.name).await? {
                let agent = agent.id;
                let namespace = project.namespace_id;
                self.db()
                    .write(async move |tx: &mut Tx<'_>| {
                        let list = authorizations(tx, agent, namespace, &config).await?;
                        Ok::<_, Error>(agents::replace_authorizations(tx, agent, &list).await?)
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// The file of an agent; `None` where it is not valid, an empty object where it is absent.
    async fn agent_configuration(
        &self,
        project: ProjectId,
        sha: &Sha,
        name: &str,
    ) -> Result<Option<Json>> {
        let path = format!(".gitlab/agents/{name}/config.yaml");
        let blob = self
            .repository(project)
            .blob(sha, &path, CONFIG_LIMIT)
            .await?;
        let Some(blob) = blob else {
            return Ok(Some(Json::Object(Map::new())));
        };
        Ok(load_yaml(&blob.data, 0, Limits::default())
            .inspect_err(|error| tracing::warn!(%project, path, %error, "an agent's configuration is not valid"))
            .ok()
            .map(|tree| footplate_ci::json(&tree)))
    }
}

fn plain(agent: Agent, project: Project) -> AgentView {
    AgentView {
        agent,
        project,
        configuration: Map::new(),
    }
}

async fn load_agent(tx: &mut Tx<'_>, project: ProjectId, id: AgentId) -> Result<Agent> {
    agents::find(tx, id)
        .await?
        .filter(|agent| agent.project_id == project)
        .ok_or(Error::RECORD_NOT_FOUND)
}

/// 1 to 63 of `a-z 0-9 -`, beginning and ending with a letter or digit.
fn is_agent_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| inner(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// What `ci_access` of a file lets in: projects and groups below the same top-level namespace as the agent's project.
async fn authorizations(
    tx: &mut Tx<'_>,
    agent: AgentId,
    namespace: NamespaceId,
    config: &Json,
) -> Result<Vec<AgentAuthorization>> {
    let root = root_of(tx, namespace).await?;
    let mut list: Vec<AgentAuthorization> = Vec::new();
    for kind in ["projects", "groups"] {
        let entries = config["ci_access"][kind].as_array();
        for entry in entries.into_iter().flatten().take(ENTRIES) {
            let Some(path) = entry["id"].as_str() else {
                continue;
            };
            let found = if kind == "projects" {
                projects::find_by_path(tx, path)
                    .await?
                    .map(|project| (AgentGrantee::Project(project.id), project.namespace_id))
            } else {
                namespaces::find_by_path(tx, path)
                    .await?
                    .map(|group| (AgentGrantee::Group(group.id), group.id))
            };
            let Some((grantee, at)) = found else { continue };
            if root_of(tx, at).await? != root || list.iter().any(|known| known.grantee == grantee) {
                continue;
            }
            let mut rest = entry.as_object().cloned().unwrap_or_default();
            rest.remove("id");
            list.push(AgentAuthorization {
                agent_id: agent,
                grantee,
                configuration: Json::Object(rest).to_string(),
            });
        }
    }
    Ok(list)
}

async fn root_of(tx: &mut Tx<'_>, namespace: NamespaceId) -> Result<Option<NamespaceId>> {
    let chain = namespaces::list_ancestors(tx, namespace).await?;
    Ok(chain.last().map(|root| root.id))
}

/// The project's authorizations, its own agents, its groups' authorizations: the first entry of an agent wins.
async fn agents_of_job(
    tx: &mut Tx<'_>,
    job: &Job,
    groups: &[NamespaceId],
) -> Result<Vec<AgentView>> {
    let mut entries = agents::list_authorizations_of_project(tx, job.project_id).await?;
    for agent in agents::list(tx, job.project_id).await? {
        entries.push(AgentAuthorization {
            agent_id: agent.id,
            grantee: AgentGrantee::Project(job.project_id),
            configuration: "{}".to_owned(),
        });
    }
    for group in groups {
        entries.extend(agents::list_authorizations_of_group(tx, *group).await?);
    }
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for entry in entries {
        let configuration: Map<String, Json> =
            serde_json::from_str(&entry.configuration).map_err(Error::internal)?;
        if !counts(&configuration, job) || !seen.insert(entry.agent_id) {
            continue;
        }
        let Some(agent) = agents::find(tx, entry.agent_id).await? else {
            continue;
        };
        let Some(project) = projects::find(tx, agent.project_id).await? else {
            continue;
        };
        list.push(AgentView {
            agent,
            project,
            configuration,
        });
    }
    Ok(list)
}

/// Whether an entry counts for a job: its environments and whether it wants a protected ref.
fn counts(configuration: &Map<String, Json>, job: &Job) -> bool {
    let guarded = configuration.get("protected_branches_only") == Some(&Json::Bool(true));
    let Some(patterns) = configuration.get("environments").and_then(Json::as_array) else {
        return !guarded || job.protected;
    };
    let fits = job.environment.as_ref().is_some_and(|name| {
        patterns
            .iter()
            .filter_map(Json::as_str)
            .any(|pattern| wildcard_matches(pattern, name))
    });
    fits && (!guarded || job.protected)
}
