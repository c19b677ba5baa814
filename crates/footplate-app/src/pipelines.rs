//! Pipelines as users handle them (`rest-api.md §7`).

use std::sync::Arc;

use footplate_ci::PipelineWhy;
use footplate_git::GitRef;
use footplate_model::{
    GivenVariable, Pipeline, PipelineId, PipelineSource, Status, User, policy::Ability,
};
use footplate_pipeline::{Event, Input, has_warnings};
use footplate_store::{
    Tx, jobs,
    pipelines::{self, Filter, Order},
    protected_refs, users,
};
use serde_json::{Map, Value as Json};

use crate::{
    App, Creation, Error, ProjectAccess, Result,
    access::{load_pipeline, ref_locked, ref_protected},
    background::{Work, plan},
    can,
    create_pipeline::{PipelineRequest, may_not_run},
    movement::{happen, key},
    pipeline_variables,
};

/// A pipeline that a user asks for.
#[derive(Debug, Clone, Default)]
pub struct NewPipeline {
    /// Branch or tag.
    pub ref_name: String,
    /// Variables.
    pub variables: Vec<GivenVariable>,
    /// Inputs.
    pub inputs: Map<String, Json>,
}

/// A pipeline with what is shown with it alone.
#[derive(Debug, Clone)]
pub struct PipelineView {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Who made it.
    pub user: Option<User>,
    /// Mean coverage of its jobs.
    pub coverage: Option<f64>,
    /// Whole seconds between creation and start.
    pub queued_duration: Option<i64>,
    /// Jobs that failed and may.
    pub warnings: bool,
    /// Path of its project.
    pub project_path: String,
}

impl App {
    /// Creates a pipeline for a branch or tag.
    ///
    /// # Errors
    /// 403, and 400 with GitLab's messages.
    pub async fn create_pipeline(
        &self,
        access: &ProjectAccess<can::CreatePipeline>,
        new: NewPipeline,
        source: PipelineSource,
    ) -> Result<PipelineView> {
        let project = access.project().clone();
        if !new.variables.is_empty() && !self.may_set_variables(access) {
            return Err(Error::base(vec![
                "Insufficient permissions to set pipeline variables".to_owned(),
            ]));
        }
        let repository = self.repository(project.id);
        let resolved = match repository.resolve_ref(&new.ref_name).await {
            Ok(resolved) => resolved,
            Err(footplate_git::Error::AmbiguousRef(_)) => {
                return Err(Error::base(vec!["Ref is ambiguous".to_owned()]));
            }
            Err(footplate_git::Error::NoRepository(_) | footplate_git::Error::InvalidRef(_)) => {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let reference_not_found = || Error::base(vec!["Reference not found".to_owned()]);
        let (git_ref, sha) = resolved.ok_or_else(reference_not_found)?;
        if matches!(git_ref, GitRef::Other(_)) {
            return Err(reference_not_found());
        }
        let commit = repository
            .commit(&sha)
            .await?
            .ok_or_else(reference_not_found)?;
        let (id, name, tag) = (project.id, git_ref.short().to_owned(), git_ref.is_tag());
        let protections = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, id).await)
            .await?;
        let standing = access.standing();
        if ref_locked(&protections, standing.level, tag, &name) && !standing.admin {
            return Err(Error::base(vec![may_not_run(&name)]));
        }
        let user = access.actor().user().cloned().ok_or(Error::FORBIDDEN)?;
        let creation = self
            .create(PipelineRequest {
                project,
                user,
                git_ref,
                commit,
                before_sha: None,
                protected: ref_protected(&protections, tag, &name),
                source,
                variables: new.variables,
                inputs: new.inputs,
                ignore_skip: true,
                skip: false,
                save_on_errors: false,
                push_key: None,
                upstream: None,
            })
            .await?;
        let Creation {
            pipeline: Some(pipeline),
            ..
        } = creation
        else {
            return Err(Error::base(creation.errors));
        };
        self.pipeline_view(pipeline).await
    }

    /// A page of pipelines and how many there are.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_pipelines(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        filter: Filter,
        order: Order,
        ascending: bool,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<Pipeline>, i64)> {
        let project = access.project_id();
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let rows =
                    pipelines::list(tx, project, &filter, order, ascending, limit, offset).await?;
                Ok::<_, footplate_store::Error>((
                    rows,
                    pipelines::count(tx, project, &filter).await?,
                ))
            })
            .await?)
    }

    /// A pipeline.
    ///
    /// # Errors
    /// 404.
    pub async fn show_pipeline(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        id: PipelineId,
    ) -> Result<PipelineView> {
        let project = access.project_id();
        let pipeline = self
            .db()
            .read(async move |tx: &mut Tx<'_>| load_pipeline(tx, project, id).await)
            .await?;
        self.pipeline_view(pipeline).await
    }

    /// The newest pipeline of a ref at its head.
    ///
    /// # Errors
    /// 403 when there is none, as GitLab answers.
    pub async fn show_latest_pipeline(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        ref_name: Option<String>,
    ) -> Result<PipelineView> {
        let project = access.project();
        let name = ref_name
            .or_else(|| project.default_branch.clone())
            .ok_or(Error::FORBIDDEN)?;
        let sha = match self.repository(project.id).resolve_ref(&name).await {
            Ok(found) => found.map(|(_, sha)| sha.to_string()),
            Err(_) => None,
        };
        let id = project.id;
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| match &sha {
                Some(sha) => pipelines::find_latest(tx, id, &name, Some(sha)).await,
                None => Ok(None),
            })
            .await?;
        self.pipeline_view(found.ok_or(Error::FORBIDDEN)?).await
    }

    pub(crate) async fn pipeline_view(&self, pipeline: Pipeline) -> Result<PipelineView> {
        let (id, user, project) = (pipeline.id, pipeline.user_id, pipeline.project_id);
        let (outcomes, user, project) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let outcomes = jobs::list_outcomes(tx, id).await?;
                let user = match user {
                    Some(user) => users::find(tx, user).await?,
                    None => None,
                };
                Ok::<_, footplate_store::Error>((
                    outcomes,
                    user,
                    footplate_store::projects::find(tx, project).await?,
                ))
            })
            .await?;
        let project = project.ok_or(Error::PROJECT_NOT_FOUND)?;
        let known: Vec<f64> = outcomes.iter().filter_map(|job| job.coverage).collect();
        #[expect(clippy::cast_precision_loss, reason = "a pipeline has few jobs")]
        let coverage = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        let inputs = outcomes.iter().map(|job| Input {
            status: job.status,
            allow_failure: job.allow_failure,
        });
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a pipeline")]
        let queued = pipeline
            .started_at
            .map(|start| start.seconds_since(pipeline.created_at) as i64);
        Ok(PipelineView {
            warnings: pipeline.status == Status::Success && has_warnings(inputs),
            queued_duration: queued,
            coverage,
            user,
            project_path: project.full_path,
            pipeline,
        })
    }

    /// Cancels what can be canceled, children too.
    ///
    /// # Errors
    /// 404, 403 on protected refs.
    pub async fn cancel_pipeline(
        &self,
        access: &ProjectAccess<can::CancelPipeline>,
        id: PipelineId,
    ) -> Result<PipelineView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::CancelPipeline>()?;
        let pipeline = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let pipeline = load_pipeline(tx, project, id).await?;
                if !asker
                    .may_run_on(tx, pipeline.tag, &pipeline.ref_name)
                    .await?
                {
                    return Err(Error::FORBIDDEN);
                }
                happen(tx, id, Event::CancelPipeline, now).await?.done()?;
                for child in pipelines::list_descendants(tx, id).await? {
                    let work = Work::Event {
                        pipeline: child.id,
                        event: Event::CancelPipeline,
                    };
                    plan(tx, &work, now).await?;
                }
                load_pipeline(tx, project, id).await
            })
            .await?;
        self.pipeline_view(pipeline).await
    }

    /// Tries everything again that failed or was canceled.
    ///
    /// # Errors
    /// 404, 403 on protected refs.
    pub async fn retry_pipeline(
        &self,
        access: &ProjectAccess<can::UpdatePipeline>,
        id: PipelineId,
    ) -> Result<PipelineView> {
        let (project, now) = (access.project_id(), self.now());
        let asker = access.narrow::<can::UpdatePipeline>()?;
        let user = access.actor().user_id().ok_or(Error::FORBIDDEN)?;
        let pipeline = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let pipeline = load_pipeline(tx, project, id).await?;
                if !asker
                    .may_run_on(tx, pipeline.tag, &pipeline.ref_name)
                    .await?
                {
                    return Err(Error::FORBIDDEN);
                }
                happen(tx, id, Event::RetryPipeline { user }, now)
                    .await?
                    .done()?;
                load_pipeline(tx, project, id).await
            })
            .await?;
        self.restore_pipeline_ref(id).await?;
        self.pipeline_view(pipeline).await
    }

    /// Removes a pipeline with everything of it.
    ///
    /// # Errors
    /// 404.
    pub async fn delete_pipeline(
        &self,
        access: &ProjectAccess<can::DestroyPipeline>,
        id: PipelineId,
    ) -> Result<()> {
        let (project, now) = (access.project_id(), self.now());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                load_pipeline(tx, project, id).await?;
                // Runners that are at it hear it from their next call.
                happen(tx, id, Event::CancelPipeline, now).await?;
                for job in jobs::list_of_pipeline(tx, id).await? {
                    if job.status == Status::Canceling {
                        happen(
                            tx,
                            id,
                            Event::Cancel {
                                job: key(job.id),
                                force: true,
                            },
                            now,
                        )
                        .await?;
                    }
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.delete_pipeline_rows(id).await?;
        self.repository(project).delete_pipeline_refs(&[id]).await?;
        Ok(())
    }

    /// Variables that were given with a pipeline.
    ///
    /// # Errors
    /// 404, and 403 for others than maintainers and its creator.
    pub async fn list_pipeline_variables(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        id: PipelineId,
    ) -> Result<Vec<GivenVariable>> {
        let (project, keys) = (access.project_id(), self.keys().clone());
        let (asker, all) = (
            access.actor().user_id(),
            access.may(Ability::ReadPipelineVariable),
        );
        let update = access.may(Ability::UpdatePipeline);
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let pipeline = load_pipeline(tx, project, id).await?;
                let own = asker.is_some() && pipeline.user_id == asker && update;
                if !all && !own {
                    return Err(Error::FORBIDDEN);
                }
                pipeline_variables(tx, &keys, id).await
            })
            .await
    }

    /// Why each job is in a pipeline or not, as it was written down at its creation.
    ///
    /// # Errors
    /// 404.
    pub async fn read_why(
        &self,
        access: &ProjectAccess<can::ReadPipeline>,
        id: PipelineId,
    ) -> Result<PipelineWhy> {
        let project = access.project_id();
        let text = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                load_pipeline(tx, project, id).await?;
                Ok::<_, Error>(pipelines::find_why(tx, id).await?)
            })
            .await?;
        serde_json::from_str(&text.unwrap_or_else(|| "{}".to_owned())).map_err(Error::internal)
    }

    /// Users by their ids, for lists.
    pub(crate) async fn users_of(&self, ids: Vec<i64>) -> Result<Vec<Arc<User>>> {
        let list = Json::from(ids).to_string();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| users::list_by_ids(tx, &list).await)
            .await?;
        Ok(found.into_iter().map(Arc::new).collect())
    }
}
