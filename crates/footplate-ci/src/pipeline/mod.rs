//! Rules evaluated for one pipeline: which jobs are in it, how, and why (`ci-yaml.md §9.2`, `§12.2`, `§22`).
//!
//! The `workflow` says whether there is a pipeline, [`decision`] what becomes of each job, by its [`rule`]s or its [`policy`];
//! [`faults`] are what is wrong when all of that is known.

mod decision;
mod faults;
mod policy;
mod rule;
mod workflow;

use std::sync::Arc;

use footplate_model::{Need, PipelineSource};
use serde_json::Value as Json;

use decision::{Decision, decide};
use faults::{Faults, finish};
pub use rule::{Matched, matches};
use workflow::{WorkflowOutcome, workflow};

use crate::{
    ask::Answers,
    config::Config,
    diagnostic::Diagnostic,
    expand::Instance,
    keywords::variables::YamlVariable,
    scope::{JobScope, Later, PipelineScope},
    variables::Variable,
    why::Why,
};

/// The pipeline that a configuration is compiled for.
#[derive(Debug, Clone)]
pub struct Context {
    /// Branch or tag name.
    pub ref_name: String,
    /// The ref is a tag.
    pub tag: bool,
    /// Where it comes from.
    pub source: PipelineSource,
    /// Full path of the project.
    pub project: Option<String>,
    /// Variables below the configuration's own: predefined ones.
    pub predefined: Vec<Variable>,
    /// Variables above the configuration's own: project, group, instance, pipeline; in order, later ones win.
    pub overriding: Vec<Variable>,
    /// Variables that includes, or some jobs, do not see.
    pub later: Later,
}

/// A job of the pipeline, with what its rule decided.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The job.
    pub instance: Arc<Instance>,
    /// `when` after rules.
    pub when: &'static str,
    /// `start_in`, as written.
    pub start_in: Option<String>,
    /// May fail.
    pub allow_failure: bool,
    /// Exit codes that may be.
    pub exit_codes: Option<Vec<i64>>,
    /// Needs after rules.
    pub needs: Option<Vec<Need>>,
    /// `interruptible` after rules.
    pub interruptible: Option<bool>,
    /// Variables of the matching rule.
    pub rule_variables: Vec<YamlVariable>,
    /// Why it is here.
    pub why: Why,
}

/// What became of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has jobs.
    Created,
    /// The workflow filtered it out.
    Filtered,
    /// No job is left.
    Empty,
    /// Its rules or needs cannot be satisfied.
    Error,
}

/// The configuration for one pipeline.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// What became of it.
    pub outcome: Outcome,
    /// GitLab's messages where it was not created.
    pub errors: Vec<Diagnostic>,
    /// Jobs that are in it.
    pub jobs: Vec<Chosen>,
    /// Jobs that are not, and why.
    pub absent: Vec<(String, Why)>,
    /// What the workflow decided; `None` = there are no `workflow:rules`.
    pub workflow: Option<Why>,
    /// Variables of the matching workflow rule.
    pub workflow_variables: Vec<YamlVariable>,
    /// `auto_cancel` after workflow rules, as JSON.
    pub auto_cancel: Option<Json>,
}

/// What was decided so far, by the number of the job: the rest waits for answers.
#[derive(Debug, Default)]
pub struct Decisions(Vec<Option<Decision>>);

/// Evaluates workflow, rules and policies; `None` while answers are missing.
pub fn evaluate(
    context: &Context,
    config: &Config,
    instances: &[Arc<Instance>],
    decisions: &mut Decisions,
    answers: &mut Answers,
) -> Option<Evaluated> {
    let mut result = Evaluated {
        outcome: Outcome::Created,
        errors: Vec::new(),
        jobs: Vec::new(),
        absent: Vec::new(),
        workflow: None,
        workflow_variables: Vec::new(),
        auto_cancel: config.workflow.auto_cancel.clone(),
    };
    let (outcome, reason) = workflow(context, config, answers);
    result.workflow = reason;
    match outcome {
        WorkflowOutcome::Missing => return None,
        WorkflowOutcome::Failed(message) => {
            return Some(Evaluated {
                outcome: Outcome::Error,
                errors: vec![Diagnostic::new(message, config.workflow.span)],
                ..result
            });
        }
        WorkflowOutcome::Filtered => {
            let message = "Pipeline filtered out by workflow rules.";
            return Some(Evaluated {
                outcome: Outcome::Filtered,
                errors: vec![Diagnostic::new(message, config.workflow.span)],
                ..result
            });
        }
        WorkflowOutcome::Passed(None) => {}
        WorkflowOutcome::Passed(Some(rule)) => {
            result.workflow_variables.clone_from(&rule.variables);
            if let Some(Json::Object(over)) = rule.auto_cancel.as_deref() {
                let mut merged = result
                    .auto_cancel
                    .as_ref()
                    .and_then(Json::as_object)
                    .cloned()
                    .unwrap_or_default();
                merged.extend(over.clone());
                result.auto_cancel = Some(Json::Object(merged));
            }
        }
    }
    let workflow_variables = std::mem::take(&mut result.workflow_variables);
    let scope = PipelineScope::new(context, config, &workflow_variables);
    decisions.0.resize_with(instances.len(), || None);
    let mut told = Arc::default();
    for (instance, known) in instances.iter().zip(&mut decisions.0) {
        if known.is_none() {
            let variables = JobScope::new(&scope, instance, &[]);
            *known = decide(context, instance, &variables, answers);
            if let Some(Decision::In(chosen, _)) = known {
                chosen.why.share(&mut told);
            }
        }
    }
    if decisions.0.iter().any(Option::is_none) {
        return None;
    }
    let mut faults = Faults::new(&config.stages);
    result.jobs.reserve_exact(instances.len());
    for (instance, decision) in instances.iter().zip(decisions.0.drain(..).flatten()) {
        match decision {
            Decision::Failed(message) => {
                faults.add(instance, Diagnostic::new(message, instance.job.span));
            }
            Decision::Out(why) => result.absent.push((instance.name.clone(), why)),
            Decision::In(chosen, circle) => {
                result.jobs.push(chosen);
                if let Some(circle) = circle {
                    let message = format!("{}: {circle}", instance.name);
                    faults.add(instance, Diagnostic::new(message, instance.job.span));
                }
            }
        }
    }
    finish(&mut result, faults);
    result.workflow_variables = workflow_variables;
    Some(result)
}
