//! The variables of one job, in the order of their layers (`pipeline-processing.md §14`).

use footplate_ci::{
    Level,
    variables::{SortOptions, Variable, sort_and_expand},
};
use footplate_model::{
    GivenVariable, Job, JobId, JobKind, Pipeline, PipelineId, Project, Runner, User, When,
};
use footplate_store::{Keys, Tx, environments, job_variables, pipelines};

use super::{
    facts::{CommitFacts, PipelineFacts, ServerFacts},
    list::{JobVariable, VariableList},
    predefined,
};
use crate::{
    Error, Result,
    create_pipeline::{given, project_facts, secret_variables, user_facts},
    definition::Definition,
    rules::slug::{environment_slug, environment_tier, slugify},
};

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

/// Variables given with a pipeline.
pub(crate) async fn pipeline_variables(
    tx: &mut Tx<'_>,
    keys: &Keys,
    pipeline: PipelineId,
) -> Result<Vec<GivenVariable>> {
    let Some(sealed) = pipelines::find_variables(tx, pipeline).await? else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&keys.decrypt(&sealed)?).map_err(Error::internal)
}

/// All variables of a job; later ones win. Not expanded.
pub(crate) async fn job_variables_of(
    tx: &mut Tx<'_>,
    keys: &Keys,
    context: &JobContext<'_>,
    dotenv_from: &[JobId],
) -> Result<VariableList> {
    let (job, pipeline) = (context.job, context.pipeline);
    let mut list = VariableList::default();
    job_predefined(context, &mut list);
    let facts = project_facts(context.project);
    list.extend(predefined::project(context.server, &facts));
    let upstream = match pipeline.source_job_id {
        Some(id) => footplate_store::jobs::find(tx, id)
            .await?
            .map(|bridge| (bridge.pipeline_id.0, bridge.project_id.0, bridge.id.0)),
        None => None,
    };
    let pipeline_facts = PipelineFacts {
        ref_name: pipeline.ref_name.clone(),
        tag: pipeline.tag,
        protected: pipeline.protected,
        source: pipeline.source,
        created_at: pipeline.created_at,
        iid: Some(pipeline.iid),
        name: pipeline.name.clone(),
        upstream,
    };
    list.extend(predefined::pipeline(
        context.server,
        &facts,
        &pipeline_facts,
        context.commit,
    ));
    if let Some(runner) = context.runner {
        list.public("CI_RUNNER_ID", &runner.id.to_string());
        list.public("CI_RUNNER_DESCRIPTION", &runner.description);
        list.public(
            "CI_RUNNER_TAGS",
            &serde_json::Value::from(runner.tag_list.clone()).to_string(),
        );
    }
    environment(tx, context, &mut list).await?;
    list.0.extend(
        context
            .definition
            .job
            .variables
            .iter()
            .map(|variable| JobVariable {
                key: variable.key.clone(),
                value: variable.value.clone(),
                public: true,
                masked: false,
                file: false,
                raw: variable.raw,
                level: Level::Job,
            }),
    );
    if let Some(user) = context.user {
        list.extend(predefined::user(&user_facts(user)));
    }
    for id in dotenv_from {
        for variable in job_variables::list(tx, keys, *id, true).await? {
            list.0.push(JobVariable {
                key: variable.key,
                value: variable.value,
                public: false,
                masked: false,
                file: false,
                raw: false,
                level: Level::Pipeline,
            });
        }
    }
    let project = context.project;
    list.extend(
        secret_variables(
            tx,
            keys,
            project.id,
            project.namespace_id,
            job.protected,
            Some(job.environment.as_deref().unwrap_or_default()),
        )
        .await?,
    );
    list.extend(given(&pipeline_variables(tx, keys, pipeline.id).await?));
    list.extend(given(&job_variables::list(tx, keys, job.id, false).await?));
    Ok(list)
}

fn job_predefined(context: &JobContext<'_>, list: &mut VariableList) {
    let (job, server) = (context.job, context.server);
    let base = format!("{}/{}", server.url, context.project.full_path);
    list.public("CI_PIPELINE_ID", &context.pipeline.id.to_string());
    list.public(
        "CI_PIPELINE_URL",
        &format!("{base}/-/pipelines/{}", context.pipeline.id),
    );
    if let Some(token) = context.token {
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
        list.0.push(JobVariable {
            key: "CI_REPOSITORY_URL".to_owned(),
            value: url,
            public: false,
            masked: false,
            file: false,
            raw: false,
            level: Level::Predefined,
        });
    }
    list.public("CI_JOB_NAME", &job.name);
    list.public("CI_JOB_NAME_SLUG", &slugify(&job.name));
    list.public("CI_JOB_GROUP_NAME", group_name(&job.name));
    list.public("CI_JOB_STAGE", &job.stage);
    if matches!(job.when, When::Manual | When::Delayed) && job.kind == JobKind::Build {
        list.public("CI_JOB_MANUAL", "true");
    }
    match context.definition.job.number {
        Some((number, total)) => {
            list.public("CI_NODE_INDEX", &number.to_string());
            list.public("CI_NODE_TOTAL", &total.to_string());
        }
        None => list.public("CI_NODE_TOTAL", "1"),
    }
}

/// A job's name without the number or matrix values behind it.
pub(crate) fn group_name(name: &str) -> &str {
    let cut = name.find(": [").or_else(|| {
        let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let rest = digits
            .strip_suffix('/')
            .or_else(|| digits.strip_suffix(' '))?;
        (digits.len() < name.len())
            .then(|| rest.trim_end_matches(|c: char| c.is_ascii_digit()).len())
    });
    name[..cut.unwrap_or(name.len())].trim_end()
}

async fn environment(
    tx: &mut Tx<'_>,
    context: &JobContext<'_>,
    list: &mut VariableList,
) -> Result<()> {
    let Some(name) = &context.job.environment else {
        return Ok(());
    };
    let written = context.definition.keyword("environment");
    let stored = environments::find_by_name(tx, context.project.id, name).await?;
    let (slug, tier) = match &stored {
        Some(stored) => (stored.slug.clone(), stored.tier.clone()),
        None => (environment_slug(name), environment_tier(name).to_owned()),
    };
    list.public("CI_ENVIRONMENT_NAME", name);
    list.public("CI_ENVIRONMENT_SLUG", &slug);
    list.public(
        "CI_ENVIRONMENT_ACTION",
        written["action"].as_str().unwrap_or("start"),
    );
    list.public(
        "CI_ENVIRONMENT_TIER",
        written["deployment_tier"].as_str().unwrap_or(&tier),
    );
    if let Some(url) = written["url"].as_str() {
        list.public("CI_ENVIRONMENT_URL", url);
    }
    if let Some(stored) = stored {
        list.public("CI_ENVIRONMENT_ID", &stored.id.to_string());
    }
    Ok(())
}

/// The list as runners get it: sorted, expanded, with what cannot be expanded kept (`runner-protocol.md §2.5`).
pub(crate) fn expanded(list: VariableList) -> VariableList {
    let plain: Vec<Variable> = list
        .0
        .iter()
        .map(|variable| Variable {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
            file: variable.file,
            masked: variable.masked,
            public: variable.public,
            level: variable.level,
        })
        .collect();
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
