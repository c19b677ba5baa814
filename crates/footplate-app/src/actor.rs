//! Who asks: the outcome of authentication.

use footplate_model::{JobId, ProjectId, TokenId, User, UserId};

/// Who asks.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody in particular.
    Anonymous,
    /// A user, by token or session.
    User(UserActor),
    /// A running job, by its token; acts for its user within the limits of CI.
    Job(JobActor),
}

/// A user and how they came in.
#[derive(Debug, Clone)]
pub struct UserActor {
    /// The user.
    pub user: User,
    /// Scopes of the token; `None` for a session, which may do everything.
    pub scopes: Option<Vec<String>>,
    /// The token.
    pub token: Option<TokenId>,
}

/// A running job.
#[derive(Debug, Clone)]
pub struct JobActor {
    /// The job.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its user.
    pub user: User,
}

impl Actor {
    /// The user, or the job's.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::User(actor) => Some(&actor.user),
            Self::Job(actor) => Some(&actor.user),
        }
    }

    /// Id of the user, or of the job's.
    pub fn user_id(&self) -> Option<UserId> {
        self.user().map(|user| user.id)
    }

    /// An administrator; a job never is one.
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::User(actor) if actor.user.admin)
    }

    /// Whether the credential covers a call that needs one of these scopes; sessions and jobs are bounded elsewhere.
    pub fn has_scope(&self, accepted: &[&str]) -> bool {
        match self {
            Self::User(UserActor {
                scopes: Some(scopes),
                ..
            }) => scopes
                .iter()
                .any(|scope| accepted.contains(&scope.as_str())),
            Self::User(_) | Self::Job(_) | Self::Anonymous => true,
        }
    }
}
