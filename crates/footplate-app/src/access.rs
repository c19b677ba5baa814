//! Permission is a proof: use cases take a [`ProjectAccess`], and only this file makes one (DESIGN §7).

use std::{marker::PhantomData, sync::Arc};

use footplate_model::{
    AccessLevel, Job, JobId, Namespace, NamespaceId, Pipeline, PipelineId, Project, ProjectId,
    ProtectedRef, Timestamp,
    policy::{self, Ability, JobStanding, Standing},
};
use footplate_store::{Tx, jobs, members, namespaces, pipelines, projects, protected_refs};

use crate::{Actor, App, Error, Result};

/// How a client names a project: id, or full path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectRef {
    /// By number.
    Id(ProjectId),
    /// By full path, without regard to case.
    Path(String),
}

impl ProjectRef {
    /// A value that is a number is an id, anything else a path (`rest-api.md §1.2`).
    pub fn parse(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            // Beyond the range of ids there is no project.
            Self::Id(ProjectId(text.parse().unwrap_or(0)))
        } else {
            Self::Path(text.to_owned())
        }
    }
}

/// An ability as a type, so that a proof for one does not fit where another is asked for.
pub trait Proves: Send + Sync + 'static {
    /// The ability.
    const ABILITY: Ability;
}

macro_rules! proofs {
    ($($name:ident),* $(,)?) => {
        /// One type for each ability.
        pub mod can {
            use super::{Ability, Proves};
            $(
                #[doc = concat!("Proof of `", stringify!($name), "`.")]
                #[derive(Debug, Clone, Copy)]
                pub struct $name;
                impl Proves for $name { const ABILITY: Ability = Ability::$name; }
            )*
        }
    };
}

proofs! {
    ReadProject, ReadCode, PushCode, ReadPipeline, ReadBuild, ReadCommitStatus, CreatePipeline, UpdatePipeline, CancelPipeline, DestroyPipeline,
    ReadPipelineVariable, UpdateBuild, PlayJob, RetryJob, CancelBuild, KeepJobArtifacts, EraseBuild, ForceCancelBuild, DeleteJobArtifact,
    ReadJobArtifacts, ReadBuildTrace, AdminVariables, AdminProject, AdminRunners, ReadMembers, AdminMembers, ReadAgents, AdminAgents,
    ReadResourceGroup, CreateCommitStatus, ReadEnvironment, RemoveProject,
}

/// Proof that an actor has the ability `A` on a project.
pub struct ProjectAccess<A> {
    project: Arc<Project>,
    actor: Actor,
    standing: Standing,
    proof: PhantomData<A>,
}

impl<A> ProjectAccess<A> {
    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Its id.
    pub fn project_id(&self) -> ProjectId {
        self.project.id
    }

    /// Who asked.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What is known of them here.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether they have another ability, too.
    pub fn may(&self, ability: Ability) -> bool {
        policy::allows(ability, &self.standing)
    }

    /// Exchanges the proof for one of another ability.
    ///
    /// # Errors
    /// 403 without it.
    pub fn narrow<B: Proves>(&self) -> Result<ProjectAccess<B>> {
        if !self.may(B::ABILITY) {
            return Err(Error::FORBIDDEN);
        }
        Ok(ProjectAccess {
            project: Arc::clone(&self.project),
            actor: self.actor.clone(),
            standing: self.standing,
            proof: PhantomData,
        })
    }
}

impl App {
    /// Loads a project and proves that the actor may do `A` there.
    ///
    /// # Errors
    /// 404 for what is missing or may not be seen, 403 without the ability.
    pub async fn authorize<A: Proves>(
        &self,
        actor: Actor,
        project: ProjectRef,
    ) -> Result<ProjectAccess<A>> {
        let (asker, now, moment) = (actor.clone(), self.now(), self.moment());
        let known = match &project {
            ProjectRef::Id(id) if only_reads(A::ABILITY) => {
                let kept = self.kept();
                let known = kept.projects.get(id).filter(|project| !project.deleting);
                known.cloned()
            }
            ProjectRef::Id(_) | ProjectRef::Path(_) => None,
        };
        let new = known.is_none();
        let (project, standing) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let project = match &known {
                    Some(known) => Arc::clone(known),
                    None => find_project(tx, &project)
                        .await?
                        .map(Arc::new)
                        .ok_or(Error::PROJECT_NOT_FOUND)?,
                };
                let standing = standing(tx, &asker, &project, now).await?;
                Ok::<_, Error>((project, standing))
            })
            .await?;
        if new {
            self.keep(moment, |kept| {
                kept.projects.insert(project.id, Arc::clone(&project));
            });
        }
        if !policy::allows(Ability::ReadProject, &standing) {
            return Err(Error::PROJECT_NOT_FOUND);
        }
        if !policy::allows(A::ABILITY, &standing) {
            return Err(Error::FORBIDDEN);
        }
        Ok(ProjectAccess {
            project,
            actor,
            standing,
            proof: PhantomData,
        })
    }
}

/// Whether the ability changes nothing, so that what another process changed a moment ago cannot be written over.
fn only_reads(ability: Ability) -> bool {
    matches!(
        ability,
        Ability::ReadProject
            | Ability::ReadCode
            | Ability::ReadPipeline
            | Ability::ReadBuild
            | Ability::ReadCommitStatus
            | Ability::ReadPipelineVariable
            | Ability::ReadJobArtifacts
            | Ability::ReadBuildTrace
            | Ability::ReadMembers
            | Ability::ReadAgents
            | Ability::ReadResourceGroup
            | Ability::ReadEnvironment
    )
}

/// The project that a client names, unless it is being deleted.
pub(crate) async fn find_project(tx: &mut Tx<'_>, by: &ProjectRef) -> Result<Option<Project>> {
    let found = match by {
        ProjectRef::Id(id) => projects::find(tx, *id).await?,
        ProjectRef::Path(path) => projects::find_by_path(tx, path).await?,
    };
    Ok(found.filter(|project| !project.deleting))
}

/// What is known of an actor in a project. A job of another project has only what anybody signed in has.
pub(crate) async fn standing(
    tx: &mut Tx<'_>,
    actor: &Actor,
    project: &Project,
    now: Timestamp,
) -> Result<Standing> {
    let own = match actor {
        Actor::Job(job) => {
            job.project_id == project.id || !project.settings.ci_inbound_job_token_scope_enabled
        }
        Actor::User(_) | Actor::Anonymous => true,
    };
    let level = match actor.user_id().filter(|_| own) {
        Some(user) => members::project_level(tx, project.id, user, now).await?,
        None => AccessLevel::NONE,
    };
    Ok(Standing {
        level,
        admin: actor.is_admin(),
        signed_in: actor.user().is_some(),
        visibility: project.visibility,
        public_jobs: project.settings.public_jobs,
        builds_access: project.settings.builds_access_level,
    })
}

/// Whether the actor may not push to, merge into or create the ref, because it is protected (`rest-api.md §3`).
pub fn ref_locked(protections: &[ProtectedRef], level: AccessLevel, tag: bool, name: &str) -> bool {
    let mut matching = protections
        .iter()
        .filter(|entry| entry.matches(tag, name))
        .peekable();
    let may = |entry: &ProtectedRef| {
        let reaches = |needed: AccessLevel| needed > AccessLevel::NONE && level >= needed;
        reaches(entry.push_access_level) || (!tag && reaches(entry.merge_access_level))
    };
    matching.peek().is_some() && !matching.any(may)
}

/// Whether a branch or tag is protected at all.
pub fn ref_protected(protections: &[ProtectedRef], tag: bool, name: &str) -> bool {
    protections.iter().any(|entry| entry.matches(tag, name))
}

impl<A> ProjectAccess<A> {
    /// Whether the actor has the ability on this job (`rest-api.md §3`).
    pub async fn may_on_job(&self, tx: &mut Tx<'_>, ability: Ability, job: &Job) -> Result<bool> {
        let protections = protected_refs::list(tx, self.project.id).await?;
        let facts = JobStanding {
            ref_locked: ref_locked(&protections, self.standing.level, job.tag, &job.ref_name),
            protected_ref: ref_protected(&protections, job.tag, &job.ref_name),
            triggered_by_actor: job.user_id.is_some() && job.user_id == self.actor.user_id(),
            debug: job.debug,
            archived: false,
            artifact_access: Some(AccessLevel(job.artifacts_access))
                .filter(|level| *level > AccessLevel::NONE),
        };
        Ok(policy::allows_on_job(ability, &self.standing, &facts))
    }

    /// Whether the actor may run pipelines on the ref.
    pub async fn may_run_on(&self, tx: &mut Tx<'_>, tag: bool, name: &str) -> Result<bool> {
        let protections = protected_refs::list(tx, self.project.id).await?;
        Ok(self.standing.admin || !ref_locked(&protections, self.standing.level, tag, name))
    }
}

/// A job of the project, of any kind.
pub async fn load_job(tx: &mut Tx<'_>, project: ProjectId, id: JobId) -> Result<Job> {
    jobs::find(tx, id)
        .await?
        .filter(|job| job.project_id == project)
        .ok_or(Error::RECORD_NOT_FOUND)
}

/// A pipeline of the project.
pub async fn load_pipeline(
    tx: &mut Tx<'_>,
    project: ProjectId,
    id: PipelineId,
) -> Result<Pipeline> {
    pipelines::find(tx, id)
        .await?
        .filter(|pipeline| pipeline.project_id == project)
        .ok_or(Error::RECORD_NOT_FOUND)
}

/// A group with the actor's role in it.
pub struct GroupAccess {
    /// The group or personal namespace.
    pub group: Namespace,
    /// Who asked.
    pub actor: Actor,
    /// Their role.
    pub level: AccessLevel,
}

impl App {
    /// Loads a group and checks the role.
    ///
    /// # Errors
    /// 404 for what is missing or may not be seen, 403 below `needed`.
    pub async fn authorize_group(
        &self,
        actor: Actor,
        by: String,
        needed: AccessLevel,
    ) -> Result<GroupAccess> {
        let (asker, now) = (actor.user_id(), self.now());
        let (group, level) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let found = match by.parse::<i64>() {
                    Ok(id) => namespaces::find(tx, NamespaceId(id)).await?,
                    Err(_) => namespaces::find_by_path(tx, &by).await?,
                };
                let group = found.ok_or(Error::NotFound("404 Group Not Found"))?;
                let level = match asker {
                    Some(user) => members::group_level(tx, group.id, user, now).await?,
                    None => AccessLevel::NONE,
                };
                Ok::<_, Error>((group, level))
            })
            .await?;
        let level = if actor.is_admin() {
            AccessLevel::OWNER
        } else {
            level
        };
        let visible = level >= AccessLevel::GUEST
            || match group.visibility {
                footplate_model::Visibility::Public => true,
                footplate_model::Visibility::Internal => actor.user().is_some(),
                footplate_model::Visibility::Private => false,
            };
        if !visible {
            return Err(Error::NotFound("404 Group Not Found"));
        }
        if level < needed {
            return Err(Error::FORBIDDEN);
        }
        Ok(GroupAccess {
            group,
            actor,
            level,
        })
    }
}
