//! Agents for Kubernetes (`rest-api.md §4.8`).

use crate::{AgentId, AgentTokenId, NamespaceId, ProjectId, Timestamp, UserId};

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Id.
    pub id: AgentId,
    /// The project with its configuration.
    pub project_id: ProjectId,
    /// Name; unique in the project.
    pub name: String,
    /// Who registered it.
    pub created_by_user_id: Option<UserId>,
    /// Creation.
    pub created_at: Timestamp,
}

/// Whom an entry of `ci_access` lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentGrantee {
    /// Jobs of a project.
    Project(ProjectId),
    /// Jobs of a group's projects.
    Group(NamespaceId),
}

/// One authorization from an agent's configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAuthorization {
    /// The agent.
    pub agent_id: AgentId,
    /// Whom it lets in.
    pub grantee: AgentGrantee,
    /// The entry without its `id`, as JSON.
    pub configuration: String,
}

/// A token of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentToken {
    /// Id.
    pub id: AgentTokenId,
    /// Its agent.
    pub agent_id: AgentId,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// It no longer works.
    pub revoked: bool,
    /// Who made it.
    pub created_by_user_id: Option<UserId>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
}
