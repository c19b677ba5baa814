//! The policy table: which role may do what in a project (`rest-api.md §3`).
//!
//! Pure: it is told the facts about the actor and the thing, and answers yes or no. Loading those facts, and hiding
//! what may not be seen behind a 404, is the work of `footplate-app`.

use crate::words::words;
use crate::{AccessLevel, Visibility};

words! {
    /// Something an actor may do in a project. The words are GitLab's ability names.
    Ability {
        ReadProject = "read_project",
        ReadCode = "read_code",
        PushCode = "push_code",
        ReadPipeline = "read_pipeline",
        ReadBuild = "read_build",
        ReadCommitStatus = "read_commit_status",
        CreatePipeline = "create_pipeline",
        UpdatePipeline = "update_pipeline",
        CancelPipeline = "cancel_pipeline",
        DestroyPipeline = "destroy_pipeline",
        ReadPipelineVariable = "read_pipeline_variable",
        UpdateBuild = "update_build",
        PlayJob = "play_job",
        RetryJob = "retry_job",
        CancelBuild = "cancel_build",
        KeepJobArtifacts = "keep_job_artifacts",
        EraseBuild = "erase_build",
        ForceCancelBuild = "force_cancel_build",
        DeleteJobArtifact = "delete_job_artifact",
        ReadJobArtifacts = "read_job_artifacts",
        ReadBuildTrace = "read_build_trace",
        AdminVariables = "admin_cicd_variables",
        AdminProject = "admin_project",
        AdminRunners = "admin_runners",
        ReadMembers = "read_project_member",
        AdminMembers = "admin_project_member",
        ReadAgents = "read_cluster_agent",
        AdminAgents = "admin_cluster_agent",
        ReadResourceGroup = "read_resource_group",
        CreateCommitStatus = "create_commit_status",
        ReadEnvironment = "read_environment",
        RemoveProject = "remove_project",
    }
}

words! {
    /// Who may use CI in a project that they can see.
    BuildsAccess { Disabled = "disabled", Private = "private", Enabled = "enabled" }
}

/// What is known of an actor in a project.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The role in the project, inherited ones included; `NONE` for non-members.
    pub level: AccessLevel,
    /// An administrator of the instance.
    pub admin: bool,
    /// Any signed-in user (job tokens stand for theirs).
    pub signed_in: bool,
    /// Who may see the project.
    pub visibility: Visibility,
    /// Project setting `public_jobs`.
    pub public_jobs: bool,
    /// Project setting `builds_access_level`.
    pub builds_access: BuildsAccess,
}

impl Standing {
    fn at_least(&self, level: AccessLevel) -> bool {
        self.admin || self.level >= level
    }

    fn is_member(&self) -> bool {
        self.at_least(AccessLevel::GUEST)
    }

    fn sees_project(&self) -> bool {
        self.is_member()
            || match self.visibility {
                Visibility::Public => true,
                Visibility::Internal => self.signed_in,
                Visibility::Private => false,
            }
    }

    /// Whether the feature CI is there for this actor at all.
    fn has_builds(&self) -> bool {
        match self.builds_access {
            BuildsAccess::Disabled => false,
            BuildsAccess::Private => self.is_member(),
            BuildsAccess::Enabled => self.sees_project(),
        }
    }

    fn reads_builds(&self) -> bool {
        self.has_builds()
            && (self.at_least(AccessLevel::REPORTER) || (self.public_jobs && self.sees_project()))
    }

    fn reads_pipelines(&self) -> bool {
        self.has_builds()
            && (self.at_least(AccessLevel::REPORTER)
                || (self.visibility == Visibility::Public && self.sees_project())
                || (self.public_jobs && self.sees_project()))
    }

    fn reads_code(&self) -> bool {
        self.at_least(AccessLevel::REPORTER)
            || (self.visibility != Visibility::Private && self.sees_project())
    }
}

/// Whether an actor of this standing has the ability on the project as a whole. What a single job or ref takes
/// away again is asked with [`allows_on_job`].
pub fn allows(ability: Ability, standing: &Standing) -> bool {
    let builds = |level| standing.has_builds() && standing.at_least(level);
    match ability {
        Ability::ReadProject => standing.sees_project(),
        Ability::ReadCode => standing.reads_code(),
        Ability::PushCode => standing.at_least(AccessLevel::DEVELOPER),
        Ability::ReadPipeline => standing.reads_pipelines(),
        Ability::ReadBuild | Ability::ReadJobArtifacts | Ability::ReadBuildTrace => {
            standing.reads_builds()
        }
        Ability::ReadCommitStatus | Ability::ReadEnvironment => {
            standing.at_least(AccessLevel::REPORTER)
                || (standing.visibility == Visibility::Public && standing.sees_project())
        }
        Ability::CreatePipeline
        | Ability::UpdatePipeline
        | Ability::CancelPipeline
        | Ability::UpdateBuild
        | Ability::PlayJob
        | Ability::RetryJob
        | Ability::CancelBuild
        | Ability::KeepJobArtifacts
        | Ability::EraseBuild
        | Ability::ReadResourceGroup
        | Ability::CreateCommitStatus => builds(AccessLevel::DEVELOPER),
        Ability::ReadPipelineVariable => builds(AccessLevel::DEVELOPER),
        Ability::ForceCancelBuild | Ability::DeleteJobArtifact => builds(AccessLevel::MAINTAINER),
        Ability::DestroyPipeline => builds(AccessLevel::OWNER),
        Ability::AdminVariables
        | Ability::AdminProject
        | Ability::AdminRunners
        | Ability::AdminMembers
        | Ability::AdminAgents => standing.at_least(AccessLevel::MAINTAINER),
        Ability::ReadMembers => standing.sees_project() && standing.signed_in,
        Ability::ReadAgents => standing.at_least(AccessLevel::DEVELOPER),
        Ability::RemoveProject => standing.at_least(AccessLevel::OWNER),
    }
}

/// What is known of a job for one actor.
#[derive(Debug, Clone, Copy)]
pub struct JobStanding {
    /// The actor may not push to, merge into or create the job's protected ref.
    pub ref_locked: bool,
    /// The job ran on a protected ref.
    pub protected_ref: bool,
    /// The actor triggered this attempt.
    pub triggered_by_actor: bool,
    /// The job ran in debug mode.
    pub debug: bool,
    /// The job is too old to be changed.
    pub archived: bool,
    /// Minimum role for its archive; `None` = as the builds.
    pub artifact_access: Option<AccessLevel>,
}

/// Whether an actor of this standing has the ability on one job (`rest-api.md §3`, `§5.4`).
pub fn allows_on_job(ability: Ability, standing: &Standing, job: &JobStanding) -> bool {
    if !allows(ability, standing) {
        return false;
    }
    let unlocked = standing.admin || !job.ref_locked;
    match ability {
        Ability::UpdateBuild | Ability::PlayJob | Ability::RetryJob | Ability::KeepJobArtifacts => {
            unlocked && !job.archived
        }
        Ability::CancelBuild | Ability::ForceCancelBuild => unlocked,
        Ability::EraseBuild => {
            unlocked
                && (standing.at_least(AccessLevel::MAINTAINER)
                    || (job.triggered_by_actor && !job.protected_ref))
        }
        Ability::ReadBuildTrace => !job.debug || standing.at_least(AccessLevel::DEVELOPER),
        Ability::ReadJobArtifacts => job
            .artifact_access
            .is_none_or(|level| standing.at_least(level)),
        Ability::ReadProject
        | Ability::ReadCode
        | Ability::PushCode
        | Ability::ReadPipeline
        | Ability::ReadBuild
        | Ability::ReadCommitStatus
        | Ability::CreatePipeline
        | Ability::UpdatePipeline
        | Ability::CancelPipeline
        | Ability::DestroyPipeline
        | Ability::ReadPipelineVariable
        | Ability::DeleteJobArtifact
        | Ability::AdminVariables
        | Ability::AdminProject
        | Ability::AdminRunners
        | Ability::ReadMembers
        | Ability::AdminMembers
        | Ability::ReadAgents
        | Ability::AdminAgents
        | Ability::ReadResourceGroup
        | Ability::CreateCommitStatus
        | Ability::ReadEnvironment
        | Ability::RemoveProject => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(level: AccessLevel, visibility: Visibility) -> Standing {
        Standing {
            level,
            admin: false,
            signed_in: true,
            visibility,
            public_jobs: true,
            builds_access: BuildsAccess::Enabled,
        }
    }

    #[test]
    fn guests_read_builds_only_with_public_jobs() {
        let mut guest = standing(AccessLevel::GUEST, Visibility::Private);
        assert!(allows(Ability::ReadBuild, &guest));
        guest.public_jobs = false;
        assert!(!allows(Ability::ReadBuild, &guest));
        assert!(allows(Ability::ReadProject, &guest));
    }

    #[test]
    fn private_builds_hide_from_non_members_only() {
        let mut stranger = standing(AccessLevel::NONE, Visibility::Public);
        assert!(allows(Ability::ReadBuild, &stranger));
        stranger.builds_access = BuildsAccess::Private;
        assert!(!allows(Ability::ReadBuild, &stranger));
        let mut guest = standing(AccessLevel::GUEST, Visibility::Private);
        guest.builds_access = BuildsAccess::Private;
        assert!(allows(Ability::ReadBuild, &guest));
    }

    #[test]
    fn developers_erase_only_their_own_on_unprotected_refs() {
        let developer = standing(AccessLevel::DEVELOPER, Visibility::Private);
        let mut job = JobStanding {
            ref_locked: false,
            protected_ref: false,
            triggered_by_actor: true,
            debug: false,
            archived: false,
            artifact_access: None,
        };
        assert!(allows_on_job(Ability::EraseBuild, &developer, &job));
        job.protected_ref = true;
        assert!(!allows_on_job(Ability::EraseBuild, &developer, &job));
        job.triggered_by_actor = false;
        job.protected_ref = false;
        assert!(!allows_on_job(Ability::EraseBuild, &developer, &job));
    }
}
