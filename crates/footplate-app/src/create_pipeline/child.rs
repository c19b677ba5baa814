//! A bridge starts its downstream pipeline (`pipeline-processing.md §12`).

use footplate_git::GitRef;
use footplate_model::{
    FailureReason, GivenVariable, Job, JobId, JobKind, Pipeline, PipelineId, PipelineSource,
    Project, Status, User, policy::Ability,
};
use footplate_pipeline::Event;
use footplate_store::{Tx, job_variables, jobs, pipelines, projects, protected_refs, users};
use serde_json::{Map, Value as Json};

use super::{PipelineRequest, Upstream};
use crate::{
    Actor, App, Error, Result, UserActor,
    access::{find_project, ref_locked, ref_protected, standing},
    definition::Definition,
    movement::{happen, key},
    runner::artifact_sources,
};

/// Levels of children below the root.
const MAX_DEPTH: i64 = 2;
/// Pipelines of one family.
const MAX_FAMILY: i64 = 1000;
/// A chain that has the same project, ref and source so often goes in circles.
const MAX_REPEATS: usize = 2;

/// A bridge with what stands around it.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) bridge: Job,
    pub(super) definition: Definition,
    pub(super) pipeline: Pipeline,
    pub(super) project: Project,
    pub(super) user: User,
    /// Whose artifacts the bridge takes.
    pub(super) sources: Vec<JobId>,
    /// Variables of their dotenv reports.
    pub(super) dotenv: Vec<GivenVariable>,
    pub(super) given: Vec<GivenVariable>,
}

/// Why a downstream pipeline could not be made, and the messages that are kept with the bridge.
struct Failed(FailureReason, Vec<String>);

impl From<FailureReason> for Failed {
    fn from(reason: FailureReason) -> Self {
        Self(reason, Vec::new())
    }
}

impl App {
    /// Starts what a pending bridge triggers. May run again: a bridge that has its downstream pipeline gets no second one.
    pub(crate) async fn start_bridge(&self, id: JobId) -> Result<()> {
        let Some(start) = self.load_bridge(id).await? else {
            return Ok(());
        };
        let existing = self
            .db()
            .read(async move |tx: &mut Tx<'_>| pipelines::find_by_source_job(tx, id).await)
            .await?;
        let pipeline = start.pipeline.id;
        let outcome = match existing {
            Some(existing) => Ok(existing),
            None => self.downstream(start).await?,
        };
        match outcome {
            Ok(downstream) => self.connect(pipeline, id, &downstream).await,
            Err(Failed(reason, messages)) => self.drop_bridge(pipeline, id, reason, messages).await,
        }
    }

    async fn load_bridge(&self, id: JobId) -> Result<Option<Start>> {
        let keys = self.keys().clone();
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(bridge) = jobs::find(tx, id).await? else {
                    return Ok(None);
                };
                if bridge.kind != JobKind::Bridge || bridge.status != Status::Pending {
                    return Ok(None);
                }
                let Some(pipeline) = pipelines::find(tx, bridge.pipeline_id).await? else {
                    return Ok(None);
                };
                let text = jobs::find_definition(tx, bridge.definition_id).await?;
                let definition = Definition::parse(&text.unwrap_or_default())?;
                let project = projects::find(tx, bridge.project_id).await?;
                let user = match bridge.user_id {
                    Some(user) => users::find(tx, user).await?,
                    None => None,
                };
                let given = given_variables(tx, &keys, &pipeline, &bridge).await?;
                let jobs = jobs::list_of_pipeline(tx, pipeline.id).await?;
                let sources: Vec<JobId> = artifact_sources(&jobs, &bridge, &definition)
                    .iter()
                    .map(|job| job.id)
                    .collect();
                let mut dotenv = Vec::new();
                for source in &sources {
                    dotenv.extend(job_variables::list(tx, &keys, *source, true).await?);
                }
                Ok::<_, Error>(project.zip(user).map(|(project, user)| Start {
                    bridge,
                    definition,
                    pipeline,
                    project,
                    user,
                    sources,
                    dotenv,
                    given,
                }))
            })
            .await
    }

    async fn downstream(&self, start: Start) -> Result<Result<Pipeline, Failed>> {
        let child = !start.definition.keyword("trigger")["include"].is_null();
        let request = if child {
            self.child_request(start).await?
        } else {
            self.project_request(start).await?
        };
        let request = match request {
            Ok(request) => request,
            Err(failed) => return Ok(Err(failed)),
        };
        let creation = self.create(request).await?;
        Ok(match creation.pipeline {
            Some(pipeline) if creation.errors.is_empty() => Ok(pipeline),
            Some(_) | None => Err(Failed(
                FailureReason::DownstreamPipelineCreationFailed,
                creation.errors,
            )),
        })
    }

    async fn child_request(&self, start: Start) -> Result<Result<PipelineRequest, Failed>> {
        if start.pipeline.depth >= MAX_DEPTH {
            return Ok(Err(FailureReason::ReachedMaxDescendantPipelinesDepth.into()));
        }
        let id = start.pipeline.id;
        let family = self
            .db()
            .read(async move |tx: &mut Tx<'_>| pipelines::count_family(tx, id).await)
            .await?;
        if family >= MAX_FAMILY {
            return Ok(Err(FailureReason::ReachedMaxPipelineHierarchySize.into()));
        }
        let trigger = start.definition.keyword("trigger");
        // The list of includes is a configuration itself; the compiler reads JSON as YAML.
        let config = Json::Object(Map::from_iter([(
            "include".to_owned(),
            trigger["include"].clone(),
        )]))
        .to_string();
        let git_ref = if start.pipeline.tag {
            GitRef::tag(&start.pipeline.ref_name)?
        } else {
            GitRef::branch(&start.pipeline.ref_name)?
        };
        let sha = footplate_git::Sha::parse(&start.pipeline.sha)?;
        let Some(commit) = self.repository(start.project.id).commit(&sha).await? else {
            return Ok(Err(FailureReason::DownstreamPipelineCreationFailed.into()));
        };
        let known = self.known(&start, Some(&start.project)).await?;
        Ok(Ok(PipelineRequest {
            variables: known.forwarded(&start),
            project: start.project,
            user: start.user,
            git_ref,
            commit,
            before_sha: Some(start.pipeline.before_sha.clone()),
            protected: start.pipeline.protected,
            source: PipelineSource::ParentPipeline,
            inputs: trigger_inputs(trigger),
            ignore_skip: true,
            skip: false,
            save_on_errors: true,
            push_key: None,
            upstream: Some(Upstream {
                bridge: start.bridge,
                pipeline: start.pipeline,
                config: Some(config),
            }),
        }))
    }

    async fn project_request(&self, start: Start) -> Result<Result<PipelineRequest, Failed>> {
        let trigger = start.definition.keyword("trigger").clone();
        let known = self.known(&start, None).await?;
        let path = known.fill(trigger["project"].as_str().unwrap_or_default());
        let (by, actor, now) = (
            crate::ProjectRef::Path(path),
            Actor::User(UserActor {
                user: start.user.clone(),
                scopes: None,
                token: None,
            }),
            self.now(),
        );
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(project) = find_project(tx, &by).await? else {
                    return Ok(None);
                };
                let standing = standing(tx, &actor, &project, now).await?;
                let protections = protected_refs::list(tx, project.id).await?;
                Ok::<_, Error>(Some((project, standing, protections)))
            })
            .await?;
        let Some((project, standing, protections)) = found else {
            return Ok(Err(FailureReason::DownstreamBridgeProjectNotFound.into()));
        };
        let may = |ability| footplate_model::policy::allows(ability, &standing);
        if !may(Ability::ReadProject) {
            return Ok(Err(FailureReason::DownstreamBridgeProjectNotFound.into()));
        }
        if project.id == start.project.id {
            return Ok(Err(FailureReason::InvalidBridgeTrigger.into()));
        }
        let branch = trigger["branch"].as_str().map(|branch| known.fill(branch));
        let Some(branch) = branch.or_else(|| project.default_branch.clone()) else {
            return Ok(Err(reference_not_found()));
        };
        let repository = self.repository(project.id);
        let resolved = match repository.resolve_ref(&branch).await {
            Ok(resolved) => resolved,
            Err(footplate_git::Error::NoRepository(_) | footplate_git::Error::AmbiguousRef(_)) => {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let Some((git_ref, sha)) = resolved else {
            return Ok(Err(reference_not_found()));
        };
        let locked = ref_locked(
            &protections,
            standing.level,
            git_ref.is_tag(),
            git_ref.short(),
        );
        if !may(Ability::CreatePipeline) || (locked && !standing.admin) {
            return Ok(Err(FailureReason::InsufficientBridgePermissions.into()));
        }
        if self
            .goes_in_circles(&start.pipeline, project.id, git_ref.short())
            .await?
        {
            return Ok(Err(FailureReason::PipelineLoopDetected.into()));
        }
        let Some(commit) = repository.commit(&sha).await? else {
            return Ok(Err(reference_not_found()));
        };
        let protected = ref_protected(&protections, git_ref.is_tag(), git_ref.short());
        let known = self.known(&start, Some(&project)).await?;
        Ok(Ok(PipelineRequest {
            variables: known.forwarded(&start),
            project,
            user: start.user,
            git_ref,
            commit,
            before_sha: None,
            protected,
            source: PipelineSource::Pipeline,
            inputs: trigger_inputs(&trigger),
            ignore_skip: true,
            skip: false,
            save_on_errors: true,
            push_key: None,
            upstream: Some(Upstream {
                bridge: start.bridge,
                pipeline: start.pipeline,
                config: None,
            }),
        }))
    }

    /// The same project and ref more than twice up the chain.
    async fn goes_in_circles(
        &self,
        from: &Pipeline,
        project: footplate_model::ProjectId,
        ref_name: &str,
    ) -> Result<bool> {
        let (at, ref_name) = (Some(from.clone()), ref_name.to_owned());
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let mut at = at.clone();
                let mut seen = 0;
                while let Some(pipeline) = at {
                    let same = pipeline.project_id == project && pipeline.ref_name == ref_name;
                    seen += usize::from(same && pipeline.source == PipelineSource::Pipeline);
                    if seen >= MAX_REPEATS {
                        return Ok(true);
                    }
                    at = match pipeline.source_job_id {
                        Some(job) => match jobs::find(tx, job).await? {
                            Some(job) => pipelines::find(tx, job.pipeline_id).await?,
                            None => None,
                        },
                        None => None,
                    };
                }
                Ok::<_, Error>(false)
            })
            .await
    }

    async fn connect(
        &self,
        pipeline: PipelineId,
        bridge: JobId,
        downstream: &Pipeline,
    ) -> Result<()> {
        let (now, downstream) = (self.now(), downstream.id);
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                happen_lock(tx, pipeline).await?;
                jobs::set_downstream(tx, bridge, Some(downstream), None).await?;
                happen(tx, pipeline, Event::DownstreamCreated(key(bridge)), now).await?;
                // It may have moved before the bridge knew it.
                if let Some(known) = pipelines::find(tx, downstream).await? {
                    let event = Event::DownstreamMoved {
                        job: key(bridge),
                        status: known.status,
                    };
                    happen(tx, pipeline, event, now).await?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    async fn drop_bridge(
        &self,
        pipeline: PipelineId,
        bridge: JobId,
        reason: FailureReason,
        messages: Vec<String>,
    ) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                happen_lock(tx, pipeline).await?;
                let text = messages.join(", ");
                let downstream = pipelines::find_by_source_job(tx, bridge)
                    .await?
                    .map(|found| found.id);
                jobs::set_downstream(tx, bridge, downstream, Some(&text)).await?;
                let event = Event::Drop {
                    job: key(bridge),
                    reason,
                    exit_code: None,
                };
                happen(tx, pipeline, event, now).await?;
                Ok::<_, Error>(())
            })
            .await
    }
}

async fn happen_lock(tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<()> {
    pipelines::lock(tx, pipeline).await?;
    Ok(())
}

fn reference_not_found() -> Failed {
    Failed(
        FailureReason::DownstreamPipelineCreationFailed,
        vec!["Reference not found".to_owned()],
    )
}

fn trigger_inputs(trigger: &Json) -> Map<String, Json> {
    trigger["inputs"].as_object().cloned().unwrap_or_default()
}

/// Variables of the pipeline's request and those given to the bridge when it was played.
async fn given_variables(
    tx: &mut Tx<'_>,
    keys: &footplate_store::Keys,
    pipeline: &Pipeline,
    bridge: &Job,
) -> Result<Vec<GivenVariable>> {
    let mut given = crate::pipeline_variables(tx, keys, pipeline.id).await?;
    given.extend(footplate_store::job_variables::list(tx, keys, bridge.id, false).await?);
    Ok(given)
}
