//! A compiled pipeline as rows, written in one transaction.

use std::collections::{BTreeSet, HashMap};

use footplate_ci::{
    Chosen, Compiled, Context, Evaluated, PipelineWhy, durations, environment_name, scoped,
    variables::Variable,
};
use footplate_model::{
    FailureReason, Job, JobId, JobKind, OnJobFailure, OnNewCommit, Pipeline, PipelineFailureReason,
    PipelineId, PipelineSource, SchedulingType, Status, Timestamp, When,
};
use footplate_store::{
    Topic, Tx, environments, jobs, pipelines, projects, resource_groups, stages,
};
use serde_json::Value as Json;

use super::{ConfigVariables, PipelineRequest};
use crate::{
    App, Error, Result,
    definition::Definition,
    rules::slug::{environment_slug, environment_tier},
};

/// Bytes of an environment's name.
const ENVIRONMENT_LIMIT: usize = 255;

/// Everything that is to be inserted.
pub(super) struct Plan {
    pipeline: Pipeline,
    push_key: Option<String>,
    /// Sealed.
    variables: Vec<u8>,
    inputs: String,
    why: String,
    stages: Vec<(i64, String)>,
    jobs: Vec<(Job, String)>,
}

impl Plan {
    pub(super) fn new(
        app: &App,
        request: PipelineRequest,
        compiled: Compiled,
        variables: ConfigVariables,
        iid: i64,
        now: Timestamp,
    ) -> Result<Self> {
        let context = variables.context(&request);
        let Some(evaluated) = &compiled.evaluated else {
            return Err(Error::internal("a pipeline without a context"));
        };
        let mut pipeline = bare(&request, Status::Created, now);
        pipeline.iid = iid;
        pipeline.name = pipeline_name(&compiled, &context, evaluated);
        let auto_cancel = evaluated.auto_cancel.as_ref();
        let setting = |name: &str| auto_cancel.and_then(|setting| setting[name].as_str());
        pipeline.on_job_failure = setting("on_job_failure")
            .and_then(OnJobFailure::parse)
            .unwrap_or(OnJobFailure::None);
        pipeline.on_new_commit = setting("on_new_commit")
            .and_then(OnNewCommit::parse)
            .unwrap_or(OnNewCommit::Conservative);
        let mut used = BTreeSet::new();
        let mut rows = Vec::with_capacity(evaluated.jobs.len());
        for chosen in &evaluated.jobs {
            let (job, definition) = job_row(&request, &compiled, evaluated, &context, chosen, now)?;
            used.insert((job.stage_idx, job.stage.clone()));
            rows.push((job, definition));
        }
        // Jobs have their ids in the order of stages.
        rows.sort_by_key(|(job, _)| job.stage_idx);
        Ok(Self {
            push_key: request.push_key.clone(),
            variables: sealed_variables(app, &request)?,
            inputs: Json::Object(request.inputs).to_string(),
            why: serde_json::to_string(&compiled.why()).map_err(Error::internal)?,
            stages: used.into_iter().collect(),
            pipeline,
            jobs: rows,
        })
    }

    pub(super) async fn insert(&self, tx: &mut Tx<'_>) -> Result<PipelineId> {
        let stored = pipelines::insert(tx, &self.pipeline, self.push_key.as_deref()).await?;
        pipelines::insert_facts(tx, stored.id, self.variables.clone(), &self.why).await?;
        pipelines::set_inputs(tx, stored.id, &self.inputs).await?;
        for (position, name) in &self.stages {
            stages::insert(tx, stored.id, *position, name).await?;
        }
        let mut definitions: HashMap<&str, i64> = HashMap::new();
        for (job, definition) in &self.jobs {
            let definition_id = match definitions.get(definition.as_str()) {
                Some(id) => *id,
                None => {
                    let id = jobs::insert_definition(tx, stored.id, definition).await?;
                    definitions.insert(definition, id);
                    id
                }
            };
            let row = Job {
                pipeline_id: stored.id,
                definition_id,
                ..job.clone()
            };
            jobs::insert(tx, &row).await?;
            let (project, now) = (stored.project_id, stored.created_at);
            if let Some(key) = &row.resource_group {
                resource_groups::ensure(tx, project, key, now).await?;
            }
            if let Some(name) = &row.environment
                && row.status != Status::Failed
                && let Some(tier) = started_tier(definition, name)
            {
                let slug = environment_slug(name);
                environments::ensure(tx, project, name, &slug, &tier, now).await?;
            }
        }
        projects::touch(tx, stored.project_id, stored.created_at).await?;
        tx.wake(Topic::Project(stored.project_id));
        Ok(stored.id)
    }
}

/// The tier of the environment that a job starts, as written or guessed.
fn started_tier(definition: &str, name: &str) -> Option<String> {
    let definition = Definition::parse(definition).ok()?;
    let written = definition.keyword("environment");
    let tier = written["deployment_tier"].as_str();
    (written["action"].as_str().unwrap_or("start") == "start")
        .then(|| tier.unwrap_or_else(|| environment_tier(name)).to_owned())
}

/// Whether an expanded name can be an environment's (`ci-yaml.md §17`).
fn names_environment(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    let inside = !name.is_empty() && name.len() <= ENVIRONMENT_LIMIT && name.chars().all(allowed);
    inside && !name.starts_with('/') && !name.ends_with('/')
}

impl App {
    /// A pipeline without jobs: skipped, or failed because of its configuration.
    pub(super) async fn save_bare(
        &self,
        request: &PipelineRequest,
        status: Status,
        reason: Option<PipelineFailureReason>,
        errors: &[String],
        why: &PipelineWhy,
        now: Timestamp,
    ) -> Result<Pipeline> {
        let why = serde_json::to_string(why).map_err(Error::internal)?;
        let mut pipeline = bare(request, status, now);
        pipeline.failure_reason = reason;
        pipeline.yaml_errors = (!errors.is_empty()).then(|| errors.join(", "));
        pipeline.finished_at = Some(now);
        let sealed = sealed_variables(self, request)?;
        let key = request.push_key.clone();
        let inputs = Json::Object(request.inputs.clone()).to_string();
        let id = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let iid = projects::next_pipeline_iid(tx, pipeline.project_id).await?;
                let row = Pipeline {
                    iid,
                    ..pipeline.clone()
                };
                let stored = pipelines::insert(tx, &row, key.as_deref()).await?;
                pipelines::insert_facts(tx, stored.id, sealed.clone(), &why).await?;
                pipelines::set_inputs(tx, stored.id, &inputs).await?;
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

fn job_row(
    request: &PipelineRequest,
    compiled: &Compiled,
    evaluated: &Evaluated,
    context: &Context,
    chosen: &Chosen,
    now: Timestamp,
) -> Result<(Job, String)> {
    let instance = &chosen.instance;
    let keyword = |name: &str| instance.job.keywords.get(name).unwrap_or(&Json::Null);
    let variables = scoped(
        context,
        &compiled.config,
        &evaluated.workflow_variables,
        instance,
        &chosen.rule_variables,
    );
    let filled = |value: &Json| value.as_str().map(|text| fill(text, &variables));
    let tags = keyword("tags")
        .as_array()
        .map(|tags| tags.iter().filter_map(filled).collect());
    let stage_idx = compiled
        .config
        .stages
        .iter()
        .position(|stage| *stage == instance.job.stage)
        .unwrap_or_default();
    let environment = environment_name(
        context,
        &compiled.config,
        &evaluated.workflow_variables,
        instance,
        &chosen.rule_variables,
    );
    let failure_reason = environment
        .as_deref()
        .is_some_and(|name| !names_environment(name))
        .then_some(FailureReason::EnvironmentCreationFailure);
    let mut roots = compiled.config.variables.clone();
    roots.extend(evaluated.workflow_variables.iter().cloned());
    let definition = Definition::of(chosen, &roots).text()?;
    let job = Job {
        id: JobId(0),
        kind: instance.job.kind,
        project_id: request.project.id,
        pipeline_id: PipelineId(0),
        name: instance.name.clone(),
        stage: instance.job.stage.clone(),
        stage_idx: i64::try_from(stage_idx).unwrap_or(i64::MAX),
        status: failure_reason.map_or(Status::Created, |_| Status::Failed),
        when: When::parse(&chosen.when)
            .ok_or_else(|| Error::internal(format!("unknown when `{}`", chosen.when)))?,
        allow_failure: chosen.allow_failure,
        scheduling_type: if chosen.needs.is_some() {
            SchedulingType::Dag
        } else {
            SchedulingType::Stage
        },
        needs: chosen.needs.clone().unwrap_or_default(),
        ref_name: request.git_ref.short().to_owned(),
        tag: request.git_ref.is_tag(),
        protected: request.protected,
        user_id: Some(request.user.id),
        tag_list: if instance.job.kind == JobKind::Build {
            tags.unwrap_or_default()
        } else {
            Vec::new()
        },
        definition_id: 0,
        start_in: chosen.start_in.as_deref().and_then(seconds),
        environment,
        resource_group: filled(keyword("resource_group")).filter(|key| !key.is_empty()),
        interruptible: chosen
            .interruptible
            .or(keyword("interruptible").as_bool())
            .unwrap_or(false),
        retried: false,
        processed: false,
        enqueue_immediately: false,
        exit_code: None,
        failure_reason,
        coverage: None,
        coverage_regex: keyword("coverage_regex").as_str().map(str::to_owned),
        created_at: now,
        updated_at: now,
        queued_at: None,
        started_at: None,
        finished_at: failure_reason.map(|_| now),
        scheduled_at: None,
        erased_at: None,
        erased_by: None,
        runner_id: None,
        runner_manager_id: None,
        timeout: None,
        timeout_source: None,
        acked_at: None,
        graceful_cancel: false,
        debug: false,
        has_trace: false,
        trace_size: None,
        trace_resends: 0,
        artifacts: Vec::new(),
        artifacts_expire_at: None,
        artifacts_access: artifacts_access(keyword("artifacts")),
        downstream_pipeline_id: None,
        bridge_errors: None,
        target_url: None,
        description: None,
    };
    Ok((job, definition))
}

/// A duration in whole seconds.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let seconds = durations::parse(text).ok().flatten()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "durations are bounded by the compiler"
    )]
    let whole = seconds as i64;
    Some(whole)
}

/// The role that `artifacts:access` or `artifacts:public` asks for.
fn artifacts_access(artifacts: &Json) -> i64 {
    use footplate_model::AccessLevel as Level;
    match (artifacts["access"].as_str(), artifacts["public"].as_bool()) {
        (Some("developer"), _) | (None, Some(false)) => Level::DEVELOPER.0,
        (Some("maintainer"), _) => Level::MAINTAINER.0,
        (Some("none"), _) => i64::MAX,
        (Some(_), _) | (None, _) => 0,
    }
}
