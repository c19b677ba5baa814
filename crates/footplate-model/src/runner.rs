//! Runners and their machines.

use crate::{
    NamespaceId, ProjectId, RunnerAccessLevel, RunnerId, RunnerManagerId, RunnerType, Timestamp,
    UserId,
};

/// A runner; one token, perhaps many machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Id.
    pub id: RunnerId,
    /// Whom it serves.
    pub runner_type: RunnerType,
    /// The group of a group runner.
    pub group_id: Option<NamespaceId>,
    /// The first project of a project runner.
    pub project_id: Option<ProjectId>,
    /// Who made it.
    pub creator_id: Option<UserId>,
    /// First characters of the token, for people.
    pub short_token: String,
    /// Made with a registration token.
    pub legacy: bool,
    /// Description.
    pub description: String,
    /// Note of its administrator.
    pub maintenance_note: Option<String>,
    /// Takes nothing.
    pub paused: bool,
    /// May not be assigned to further projects.
    pub locked: bool,
    /// Takes jobs without tags.
    pub run_untagged: bool,
    /// Which refs it serves.
    pub access_level: RunnerAccessLevel,
    /// Seconds.
    pub maximum_timeout: Option<i64>,
    /// Tags, sorted.
    pub tag_list: Vec<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last contact.
    pub contacted_at: Option<Timestamp>,
    /// The token's end.
    pub token_expires_at: Option<Timestamp>,
    /// A job request was seen.
    pub polled: bool,
}

/// One machine of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerManager {
    /// Id.
    pub id: RunnerManagerId,
    /// Its runner.
    pub runner_id: RunnerId,
    /// What the machine calls itself.
    pub system_id: String,
    /// Program name, `gitlab-runner`.
    pub name: Option<String>,
    /// Program version.
    pub version: Option<String>,
    /// Program revision.
    pub revision: Option<String>,
    /// Operating system.
    pub platform: Option<String>,
    /// Architecture.
    pub architecture: Option<String>,
    /// `shell`, `docker`, …
    pub executor: Option<String>,
    /// Its address.
    pub ip_address: Option<String>,
    /// `features` as JSON.
    pub features: String,
    /// `labels` as JSON.
    pub labels: String,
    /// First sight.
    pub created_at: Timestamp,
    /// Last contact.
    pub contacted_at: Option<Timestamp>,
}
