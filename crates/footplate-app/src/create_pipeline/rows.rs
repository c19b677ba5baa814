//! A compiled pipeline as rows, written in one transaction as its first pass leaves them.

use std::collections::BTreeSet;

use footplate_ci::{Compiled, Context, Evaluated, PipelineWhy, variables::Variable};
use footplate_model::{
    Job, JobId, OnJobFailure, OnNewCommit, Pipeline, PipelineFailureReason, PipelineId,
    PipelineSource, Status, Timestamp,
};
use footplate_store::{
    Topic, Tx, environments, new_jobs, pipelines, projects, resource_groups, stages,
};
use indexmap::IndexSet;
use serde_json::Value as Json;

use super::{
    ConfigVariables, PipelineRequest, Reserved,
    first_pass::FirstPass,
    job_row::{Row, rows},
};
use crate::{App, Error, Result, rules::slug::environment_slug};

/// A stage that is to be inserted.
pub(super) struct NewStage {
    pub(super) position: i64,
    name: String,
    pub(super) status: Status,
}

/// Everything that is to be inserted.
pub(super) struct Plan {
    pipeline: Pipeline,
    push_key: Option<String>,
    /// Sealed.
    variables: Vec<u8>,
    inputs: String,
    why: String,
    stages: Vec<NewStage>,
    jobs: Vec<Row>,
    pass: FirstPass,
}

impl Plan {
    pub(super) fn new(
        app: &App,
        request: PipelineRequest,
        compiled: Compiled,
        variables: &ConfigVariables,
        reserved: Reserved,
        now: Timestamp,
    ) -> Result<Self> {
        let context = variables.context(&request);
        let Some(evaluated) = &compiled.evaluated else {
            return Err(Error::internal("a pipeline without a context"));
        };
        let mut pipeline = bare(&request, Status::Created, now);
        (pipeline.id, pipeline.iid) = (reserved.id, reserved.iid);
        pipeline.name = pipeline_name(&compiled, &context, evaluated);
        let auto_cancel = evaluated.auto_cancel.as_ref();
        let setting = |name: &str| auto_cancel.and_then(|setting| setting[name].as_str());
        pipeline.on_job_failure = setting("on_job_failure")
            .and_then(OnJobFailure::parse)
            .unwrap_or(OnJobFailure::None);
        pipeline.on_new_commit = setting("on_new_commit")
            .and_then(OnNewCommit::parse)
            .unwrap_or(OnNewCommit::Conservative);
        let mut jobs = rows(&request, &compiled, evaluated, &context, now)?;
        // Jobs have their ids in the order of stages.
        jobs.sort_by_key(|row| row.job.stage_idx);
        let mut stages = stages(&jobs);
        let pass = FirstPass::new(&pipeline, &mut stages, &mut jobs, app.now())?;
        Ok(Self {
            push_key: request.push_key.clone(),
            variables: sealed_variables(app, &request)?,
            inputs: Json::Object(request.inputs).to_string(),
            why: serde_json::to_string(&compiled.into_why()).map_err(Error::internal)?,
            stages,
            pipeline,
            jobs,
            pass,
        })
    }

    /// Writes everything; the pipeline as it stands after its first pass.
    pub(super) async fn insert(&self, tx: &mut Tx<'_>) -> Result<Pipeline> {
        let stored = pipelines::insert(tx, &self.pipeline, self.push_key.as_deref()).await?;
        let variables = self.variables.clone();
        pipelines::insert_facts(tx, stored.id, variables, &self.inputs, &self.why).await?;
        for stage in &self.stages {
            stages::insert(tx, stored.id, stage.position, &stage.name, stage.status).await?;
        }
        let ids = self.insert_jobs(tx, stored.id).await?;
        let (project, now) = (stored.project_id, stored.created_at);
        for Row { job, tier, .. } in &self.jobs {
            if let Some(key) = &job.resource_group {
                resource_groups::ensure(tx, project, key, now).await?;
            }
            if let (Some(name), Some(tier)) = (&job.environment, tier) {
                let slug = environment_slug(name);
                environments::ensure(tx, project, name, &slug, tier, now).await?;
            }
        }
        self.pass.finish(tx, &stored, &self.jobs, &ids).await?;
        projects::touch(tx, project, now).await?;
        tx.wake(Topic::Project(project));
        let moved = pipelines::find(tx, stored.id).await?;
        moved.ok_or_else(|| Error::internal("a pipeline that was inserted is not there"))
    }

    /// Inserts jobs with what they were compiled to, each such text once.
    async fn insert_jobs(&self, tx: &mut Tx<'_>, pipeline: PipelineId) -> Result<Vec<JobId>> {
        let texts = self.jobs.iter().map(|row| row.definition.as_str());
        let texts: IndexSet<&str> = texts.collect();
        let list: Vec<&str> = texts.iter().copied().collect();
        let definitions = new_jobs::insert_definitions(tx, pipeline, &list).await?;
        let jobs = self.jobs.iter().map(|row| {
            let text = texts.get_index_of(row.definition.as_str());
            let definition = text.and_then(|place| definitions.get(place));
            (&row.job, definition.copied().unwrap_or_default())
        });
        let jobs: Vec<(&Job, i64)> = jobs.collect();
        Ok(new_jobs::insert_jobs(tx, pipeline, &jobs).await?)
    }
}

/// The stages that have jobs.
fn stages(jobs: &[Row]) -> Vec<NewStage> {
    let stages = jobs.iter().map(|row| (row.job.stage_idx, &*row.job.stage));
    let stages: BTreeSet<(i64, &str)> = stages.collect();
    stages
        .into_iter()
        .map(|(position, name)| NewStage {
            position,
            name: name.to_owned(),
            status: Status::Created,
        })
        .collect()
}

impl App {
    /// A pipeline without jobs: failed because of its configuration when there is a reason, otherwise skipped.
    pub(super) async fn save_bare(
        &self,
        request: &PipelineRequest,
        reason: Option<PipelineFailureReason>,
        errors: &[String],
        why: &PipelineWhy,
        reserved: Reserved,
        now: Timestamp,
    ) -> Result<Pipeline> {
        let why = serde_json::to_string(why).map_err(Error::internal)?;
        let status = reason.map_or(Status::Skipped, |_| Status::Failed);
        let mut pipeline = bare(request, status, now);
        (pipeline.id, pipeline.iid) = (reserved.id, reserved.iid);
        pipeline.failure_reason = reason;
        pipeline.yaml_errors = (!errors.is_empty()).then(|| errors.join(", "));
        pipeline.finished_at = Some(now);
        let sealed = sealed_variables(self, request)?;
        let key = request.push_key.clone();
        let inputs = Json::Object(request.inputs.clone()).to_string();
        let id = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let stored = pipelines::insert(tx, &pipeline, key.as_deref()).await?;
                pipelines::insert_facts(tx, stored.id, sealed.clone(), &inputs, &why).await?;
                tx.wake(Topic::Project(stored.project_id));
                Ok::<_, Error>(stored.id)
            })
            .await?;
        self.repository(request.project.id)
            .write_pipeline_ref(id, &request.commit.id)
            .await?;
        self.load_pipeline_row(id).await
    }
}

fn sealed_variables(app: &App, request: &PipelineRequest) -> Result<Vec<u8>> {
    let text = serde_json::to_string(&request.variables).map_err(Error::internal)?;
    Ok(app.keys().encrypt(&text)?)
}

fn bare(request: &PipelineRequest, status: Status, now: Timestamp) -> Pipeline {
    let upstream = request.upstream.as_ref();
    let child = request.source == PipelineSource::ParentPipeline;
    Pipeline {
        id: PipelineId(0),
        iid: 0,
        project_id: request.project.id,
        ref_name: request.git_ref.short().to_owned(),
        tag: request.git_ref.is_tag(),
        sha: request.commit.id.to_string(),
        before_sha: request.before_sha.clone().unwrap_or_else(|| "0".repeat(40)),
        source: request.source,
        user_id: Some(request.user.id),
        status,
        protected: request.protected,
        name: None,
        yaml_errors: None,
        failure_reason: None,
        on_job_failure: OnJobFailure::None,
        on_new_commit: OnNewCommit::Conservative,
        source_job_id: upstream.map(|upstream| upstream.bridge.id),
        parent_id: upstream
            .filter(|_| child)
            .map(|upstream| upstream.pipeline.id),
        depth: upstream
            .filter(|_| child)
            .map_or(0, |upstream| upstream.pipeline.depth + 1),
        auto_canceled_by: None,
        committed_at: Some(request.commit.committer.time),
        created_at: now,
        updated_at: now,
        started_at: None,
        finished_at: None,
        duration: None,
        lock_version: 0,
    }
}

fn pipeline_name(compiled: &Compiled, context: &Context, evaluated: &Evaluated) -> Option<String> {
    let name = compiled.config.workflow.name.as_deref()?;
    let variables = context.around(&compiled.config, &evaluated.workflow_variables);
    let name: String = fill(name, &variables).trim().chars().take(255).collect();
    (!name.is_empty()).then_some(name)
}

/// Expands a text by a list that is expanded itself first.
pub(crate) fn fill(text: &str, variables: &[Variable]) -> String {
    footplate_ci::fill(text, || variables.to_vec())
}
