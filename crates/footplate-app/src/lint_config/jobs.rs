//! Jobs as lint lists them, in the order of their stages.

use footplate_ci::{Compiled, Context, Outcome, facts};
use serde_json::Value as Json;

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct LintedJob {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// `before_script`, flat.
    pub before_script: Vec<Json>,
    /// `script`, flat.
    pub script: Vec<Json>,
    /// `after_script`, flat.
    pub after_script: Vec<Json>,
    /// Tags that its runner must have.
    pub tag_list: Vec<Json>,
    /// Name of the environment.
    pub environment: Json,
    /// `when`.
    pub when: Json,
    /// It may fail.
    pub allow_failure: Json,
    /// `only`, `except` and `needs`: of a configuration, not of a pipeline.
    pub conditions: Option<Conditions>,
}

/// What decides about a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// `only`.
    pub only: Json,
    /// `except`.
    pub except: Json,
    /// `needs`.
    pub needs: Json,
}

/// Every job of a configuration.
pub(super) fn of_configuration(compiled: &Compiled) -> Vec<LintedJob> {
    in_stages(compiled, &facts(compiled, None), true)
}

/// The jobs of a pipeline, if it would be made.
pub(super) fn of_pipeline(compiled: &Compiled, context: &Context) -> Vec<LintedJob> {
    let evaluated = compiled.evaluated.as_ref();
    if evaluated.is_none_or(|evaluated| evaluated.outcome != Outcome::Created) {
        return Vec::new();
    }
    in_stages(compiled, &facts(compiled, Some(context)), false)
}

fn in_stages(compiled: &Compiled, facts: &[(String, Json)], alone: bool) -> Vec<LintedJob> {
    let stages = compiled.config.stages.iter();
    let of_stage = |stage: &String| {
        let jobs = facts.iter().filter(move |(_, job)| job["stage"] == **stage);
        jobs.map(|(name, job)| linted(name, job, alone))
            .collect::<Vec<_>>()
    };
    stages.flat_map(of_stage).collect()
}

fn linted(name: &str, job: &Json, alone: bool) -> LintedJob {
    let list = |key: &str| match &job[key] {
        Json::Array(items) => items.clone(),
        Json::Null => Vec::new(),
        other => vec![other.clone()],
    };
    LintedJob {
        name: name.to_owned(),
        stage: job["stage"].as_str().unwrap_or_default().to_owned(),
        before_script: list("before_script"),
        script: list("script"),
        after_script: list("after_script"),
        tag_list: list("tags"),
        environment: job["environment_name"].clone(),
        when: job["when"].clone(),
        allow_failure: job["allow_failure"].clone(),
        conditions: alone.then(|| Conditions {
            only: job["only"].clone(),
            except: job["except"].clone(),
            needs: job["needs"].clone(),
        }),
    }
}
