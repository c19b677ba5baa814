//! Users, sessions, access tokens, namespaces and members.

use crate::{
    AccessLevel, NamespaceId, ProjectId, Timestamp, TokenId, UserId, UserState, Visibility,
};

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Login; unique without regard to case.
    pub username: String,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// State of the account.
    pub state: UserState,
    /// Administrator of the instance.
    pub admin: bool,
    /// Made for a project or group access token.
    pub bot: bool,
    /// The personal namespace.
    pub namespace_id: NamespaceId,
    /// Creation.
    pub created_at: Timestamp,
}

impl User {
    /// Whether the account may do anything.
    pub fn is_active(&self) -> bool {
        self.state == UserState::Active
    }
}

/// What a token may be used for (`rest-api.md §1.5`), as the words on the wire.
pub type Scope = String;

/// An access token; its text is never kept, only its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Id.
    pub id: TokenId,
    /// Whose rights it carries (a bot user for project and group tokens).
    pub user_id: UserId,
    /// Name.
    pub name: String,
    /// Description, empty when there is none.
    pub description: String,
    /// Scopes.
    pub scopes: Vec<Scope>,
    /// The project of a project access token.
    pub project_id: Option<ProjectId>,
    /// The group of a group access token.
    pub group_id: Option<NamespaceId>,
    /// Made by an administrator to act as that user.
    pub impersonation: bool,
    /// It no longer works.
    pub revoked: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last use, written at most every few minutes.
    pub last_used_at: Option<Timestamp>,
    /// The day (UTC midnight) from which it no longer works.
    pub expires_at: Option<Timestamp>,
}

impl AccessToken {
    /// Whether its last day has come.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Neither revoked nor expired.
    pub fn active(&self, now: Timestamp) -> bool {
        !self.revoked && !self.expired(now)
    }
}

/// Whether a namespace is a group or a user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceKind {
    /// A group, perhaps inside another.
    Group,
    /// The personal namespace of a user.
    User(UserId),
}

/// A group or personal namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Id.
    pub id: NamespaceId,
    /// Group or personal.
    pub kind: NamespaceKind,
    /// Display name.
    pub name: String,
    /// Last part of the path.
    pub path: String,
    /// Whole path; unique without regard to case, together with projects.
    pub full_path: String,
    /// Whole display name, `A / B`.
    pub full_name: String,
    /// The group around it.
    pub parent_id: Option<NamespaceId>,
    /// Description, empty when there is none.
    pub description: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Instance runners serve its projects.
    pub shared_runners_enabled: bool,
    /// Creation.
    pub created_at: Timestamp,
}

/// What somebody is a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOf {
    /// A project.
    Project(ProjectId),
    /// A group.
    Group(NamespaceId),
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// Of what.
    pub of: MemberOf,
    /// The role.
    pub access_level: AccessLevel,
    /// Since when.
    pub created_at: Timestamp,
    /// Who added them.
    pub created_by: Option<UserId>,
    /// The day (UTC midnight) on which it ends.
    pub expires_at: Option<Timestamp>,
}
