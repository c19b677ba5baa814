//! The variables of one job, in the order of their layers (`pipeline-processing.md §14`).

use footplate_ci::{
    Level,
    variables::{SortOptions, Variable, sort_and_expand},
};
use footplate_model::{
    Job, Pipeline, PipelineSource, Project, Runner, User, When, environment_slug, environment_tier,
    group_name, slugify,
};
use footplate_store::environments::Environment;

use super::{
    facts::{CommitFacts, ServerFacts},
    list::{JobVariable, VariableList},
    material::Material,
    predefined,
    secrets::fitting,
};
use crate::{
    create_pipeline::{given, project_facts, user_facts},
    definition::{DefinedVariable, Definition},
};

/// The last variable of [`persisted`].
const LAST_PERSISTED: &str = "CI_REPOSITORY_URL";

/// What stands around a job that is about to run.
pub(crate) struct JobContext<'c> {
    pub(crate) server: &'c ServerFacts,
    pub(crate) project: &'c Project,
    pub(crate) pipeline: &'c Pipeline,
    pub(crate) job: &'c Job,
    pub(crate) definition: &'c Definition,
    pub(crate) user: Option<&'c User>,
    pub(crate) commit: &'c CommitFacts,
    pub(crate) runner: Option<&'c Runner>,
    pub(crate) token: Option<&'c str>,
}

/// All variables of a job; later ones win. Not expanded.
pub(crate) fn job_variables_of(context: &JobContext<'_>, material: Material) -> VariableList {
    let (job, project) = (context.job, context.project);
    let environment = material.environment.as_ref();
    let mut list = persisted(context);
    list.extend(job_predefined(context, environment));
    let facts = project_facts(project);
    list.extend(predefined::project(context.server, &facts));
    list.extend(predefined::pipeline(
        context.server,
        &facts,
        &material.pipeline,
        context.commit,
    ));
    if let Some(runner) = context.runner {
        runner_variables(runner, &mut list);
    }
    list.0
        .extend(context.definition.job.variables.iter().map(written));
    if let Some(user) = context.user {
        list.extend(predefined::user(&user_facts(user)));
    }
    list.extend(given(&material.dotenv));
    list.extend(fitting(material.secrets, job.environment.as_deref()));
    list.extend(given(&material.given));
    list.extend(given(&material.own));
    persisted_environment(context, environment, &mut list);
    list
}

/// What exists because the job does: phase J.
fn persisted(context: &JobContext<'_>) -> VariableList {
    let (job, server) = (context.job, context.server);
    // As many as most jobs have in the end.
    let mut list = VariableList(Vec::with_capacity(128));
    let base = format!("{}/{}", server.url, context.project.full_path);
    list.public("CI_PIPELINE_ID", &context.pipeline.id.to_string());
    list.public(
        "CI_PIPELINE_URL",
        &format!("{base}/-/pipelines/{}", context.pipeline.id),
    );
    let Some(token) = context.token else {
        return list;
    };
    let host = base
        .split_once("://")
        .map_or(base.as_str(), |(_, host)| host);
    let url = format!("{}://gitlab-ci-token:{token}@{host}.git", server.protocol());
    list.public("CI_JOB_ID", &job.id.to_string());
    list.public("CI_JOB_URL", &format!("{base}/-/jobs/{}", job.id));
    list.masked("CI_JOB_TOKEN", token);
    if let Some(started) = job.started_at {
        list.public("CI_JOB_STARTED_AT", &started.iso_seconds());
    }
    list.public("CI_REGISTRY_USER", "gitlab-ci-token");
    list.masked("CI_REGISTRY_PASSWORD", token);
    list.hidden(LAST_PERSISTED, &url);
    list
}

fn job_predefined(context: &JobContext<'_>, environment: Option<&Environment>) -> VariableList {
    let (job, mut list) = (context.job, VariableList::default());
    list.public("CI_JOB_NAME", &job.name);
    list.public("CI_JOB_NAME_SLUG", &slugify(&job.name));
    list.public("CI_JOB_GROUP_NAME", group_name(&job.name));
    list.public("CI_JOB_STAGE", &job.stage);
    if matches!(job.when, When::Manual | When::Delayed) {
        list.public("CI_JOB_MANUAL", "true");
    }
    if context.pipeline.source == PipelineSource::Trigger {
        list.public("CI_PIPELINE_TRIGGERED", "true");
    }
    if let Some((number, _)) = context.definition.job.number {
        list.public("CI_NODE_INDEX", &number.to_string());
    }
    let total = context.definition.job.number.map_or(1, |(_, total)| total);
    list.public("CI_NODE_TOTAL", &total.to_string());
    if let Some(name) = &job.environment {
        let written = context.definition.keyword("environment");
        let guessed = environment.map_or_else(|| environment_tier(name), |known| &known.tier);
        list.public("CI_ENVIRONMENT_NAME", name);
        list.public(
            "CI_ENVIRONMENT_ACTION",
            written["action"].as_str().unwrap_or("start"),
        );
        list.public(
            "CI_ENVIRONMENT_TIER",
            written["deployment_tier"].as_str().unwrap_or(guessed),
        );
    }
    list
}

/// What is known of the job's environment itself. It stands above everything, and the URL is filled by all below it.
fn persisted_environment(
    context: &JobContext<'_>,
    environment: Option<&Environment>,
    list: &mut VariableList,
) {
    let Some(name) = &context.job.environment else {
        return;
    };
    if let Some(environment) = environment {
        list.public("CI_ENVIRONMENT_ID", &environment.id.to_string());
    }
    let slug = environment.map_or_else(|| environment_slug(name), |known| known.slug.clone());
    list.public("CI_ENVIRONMENT_SLUG", &slug);
    let written = context.definition.keyword("environment")["url"].as_str();
    let url = written.or_else(|| environment?.external_url.as_deref());
    if let Some(url) = url {
        list.public("CI_ENVIRONMENT_URL", url);
    }
}

fn runner_variables(runner: &Runner, list: &mut VariableList) {
    list.public("CI_RUNNER_ID", &runner.id.to_string());
    list.public("CI_RUNNER_DESCRIPTION", &runner.description);
    // JSON the way Ruby shows a list, with a blank after each comma.
    let tags: Vec<String> = runner
        .tag_list
        .iter()
        .map(|tag| serde_json::Value::from(tag.as_str()).to_string())
        .collect();
    list.public("CI_RUNNER_TAGS", &format!("[{}]", tags.join(", ")));
}

fn written(variable: &DefinedVariable) -> JobVariable {
    JobVariable {
        key: variable.key.clone(),
        value: variable.value.clone(),
        public: true,
        masked: false,
        file: false,
        raw: variable.raw,
        level: Level::Job,
    }
}

/// Puts tokens where GitLab has them: behind what exists because the job does.
pub(crate) fn with_tokens(mut list: VariableList, tokens: VariableList) -> VariableList {
    let last = list
        .0
        .iter()
        .position(|variable| variable.key == LAST_PERSISTED);
    let at = last.map_or(0, |at| at + 1);
    list.0.splice(at..at, tokens.0);
    list
}

/// The list as runners get it: sorted, expanded, with what cannot be expanded kept (`runner-protocol.md §2.5`).
pub(crate) fn expanded(list: VariableList) -> VariableList {
    let refers = |variable: &JobVariable| !variable.raw && variable.value.contains(['$', '%']);
    if !list.0.iter().any(refers) {
        return list;
    }
    let plain: Vec<Variable> = list.0.iter().map(Variable::from).collect();
    let options = SortOptions {
        keep_undefined: true,
        expand_raw_refs: false,
        expand_file_refs: false,
    };
    let Ok(done) = sort_and_expand(&plain, options) else {
        return list;
    };
    VariableList(
        list.0
            .into_iter()
            .zip(done)
            .map(|(variable, done)| JobVariable {
                value: done.value,
                ..variable
            })
            .collect(),
    )
}
