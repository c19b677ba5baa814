//! A compiled job as a row.

use std::collections::HashMap;

use footplate_ci::{
    Chosen, Compiled, Context, Evaluated, JobScope, PipelineScope, durations,
    keywords::variables::YamlVariable,
};
use footplate_model::{
    FailureReason, Job, JobId, JobKind, PipelineId, SchedulingType, Status, Timestamp, When,
};
use serde_json::Value as Json;

use super::PipelineRequest;
use crate::{
    Error, Result,
    definition::{self, EngineFacts},
    rules::slug::environment_tier,
};

/// Bytes of an environment's name.
const ENVIRONMENT_LIMIT: usize = 255;

/// One job, to be inserted.
pub(super) struct Row {
    /// Without the ids that it gets.
    pub(super) job: Job,
    /// What it was compiled to.
    pub(super) definition: String,
    /// The engine's part of it.
    pub(super) engine: EngineFacts,
    /// The tier of the environment that it starts.
    pub(super) tier: Option<String>,
}

/// What the jobs of a pipeline have in common.
struct Shared<'p> {
    request: &'p PipelineRequest,
    scope: PipelineScope<'p>,
    /// Root variables and those of the workflow's rule.
    roots: Vec<&'p YamlVariable>,
    /// Positions of stages.
    stages: HashMap<&'p str, i64>,
    now: Timestamp,
}

/// The jobs of a pipeline, in the order of the configuration.
pub(super) fn rows(
    request: &PipelineRequest,
    compiled: &Compiled,
    evaluated: &Evaluated,
    context: &Context,
    now: Timestamp,
) -> Result<Vec<Row>> {
    let config = &compiled.config;
    let mut stages = HashMap::new();
    for (position, stage) in (0..).zip(&config.stages) {
        // Of a stage that is listed twice the first place counts.
        stages.entry(stage.as_str()).or_insert(position);
    }
    let shared = Shared {
        request,
        scope: PipelineScope::new(context, config, &evaluated.workflow_variables),
        roots: config
            .variables
            .iter()
            .chain(&evaluated.workflow_variables)
            .collect(),
        stages,
        now,
    };
    let jobs = evaluated.jobs.iter();
    jobs.map(|chosen| shared.row(chosen)).collect()
}

impl Shared<'_> {
    fn row(&self, chosen: &Chosen) -> Result<Row> {
        let instance = &*chosen.instance;
        let keyword = |name: &str| instance.job.keywords.get(name).unwrap_or(&Json::Null);
        let variables = JobScope::new(&self.scope, instance, &chosen.rule_variables);
        let filled = |value: &Json| value.as_str().map(|text| variables.fill(text));
        let tags = keyword("tags")
            .as_array()
            .map(|tags| tags.iter().filter_map(filled).collect());
        let environment = variables.environment();
        let failure_reason = environment
            .is_some_and(|name| !names_environment(name))
            .then_some(FailureReason::EnvironmentCreationFailure);
        let tier = environment
            .filter(|_| failure_reason.is_none())
            .and_then(|name| started_tier(keyword("environment"), name));
        let job = Job {
            id: JobId(0),
            kind: instance.job.kind,
            project_id: self.request.project.id,
            pipeline_id: PipelineId(0),
            name: instance.name.clone(),
            stage: instance.job.stage.clone(),
            stage_idx: self
                .stages
                .get(instance.job.stage.as_str())
                .copied()
                .unwrap_or_default(),
            status: failure_reason.map_or(Status::Created, |_| Status::Failed),
            when: When::parse(chosen.when)
                .ok_or_else(|| Error::internal(format!("unknown when `{}`", chosen.when)))?,
            allow_failure: chosen.allow_failure,
            scheduling_type: if chosen.needs.is_some() {
                SchedulingType::Dag
            } else {
                SchedulingType::Stage
            },
            needs: chosen.needs.clone().unwrap_or_default(),
            ref_name: self.request.git_ref.short().to_owned(),
            tag: self.request.git_ref.is_tag(),
            protected: self.request.protected,
            user_id: Some(self.request.user.id),
            tag_list: if instance.job.kind == JobKind::Build {
                tags.unwrap_or_default()
            } else {
                Vec::new()
            },
            definition_id: 0,
            start_in: chosen.start_in.as_deref().and_then(seconds),
            environment: environment.map(str::to_owned),
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
            created_at: self.now,
            updated_at: self.now,
            queued_at: None,
            started_at: None,
            finished_at: failure_reason.map(|_| self.now),
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
        let engine = EngineFacts::of(chosen);
        Ok(Row {
            job,
            definition: definition::text(chosen, &self.roots, &engine)?,
            engine,
            tier,
        })
    }
}

/// The tier of the environment that a job starts, as written or guessed.
fn started_tier(written: &Json, name: &str) -> Option<String> {
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
