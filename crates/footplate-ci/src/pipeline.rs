//! Rules evaluated for one pipeline: which jobs are in it, how, and why (`ci-yaml.md §9.2`, `§12.2`, `§22`).

use std::{collections::HashSet, sync::Arc};

use footplate_model::{Need, PipelineSource};
use serde_json::Value as Json;

use crate::{
    ask::{Answer, Answers, Origin, Request},
    config::Config,
    expand::{Instance, of_rule},
    expr::{Atom, Expr},
    keywords::{
        rules::{PathRule, Rule},
        variables::YamlVariable,
    },
    paths::{self, PathMatch},
    patterns,
    scope::{JobScope, Lookup, PipelineScope, filled, reachable},
    variables::Variable,
    yaml::Span,
};

const MAX_REGEXP: usize = 255;
const MAX_NEEDS: usize = 50;
const NO_VARIABLES: &[Variable] = &[];
/// Steps back that one match may take.
const BACKTRACK_LIMIT: usize = 20_000;

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
}

/// Why a job is in the pipeline or not.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Why {
    /// What decided: `always`, `rules[2]`, `no rule matched`, `only`, `except`, `workflow`.
    pub decided_by: String,
    /// Line of the deciding entry.
    pub line: u32,
    /// Number of its file.
    pub file: u32,
    /// Each atom of the conditions that were looked at, with its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub atoms: Vec<Atom>,
    /// What `changes` or `exists` found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
}

/// The outcome of one rule.
pub enum Matched {
    /// It holds.
    Yes(Traces),
    /// It does not.
    No(Traces),
    /// An answer is missing.
    Missing,
    /// It cannot be evaluated, and the pipeline not be made.
    Failed(String),
}

/// What a rule looked at.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Atoms of the condition.
    pub atoms: Vec<Atom>,
    /// Path matches.
    pub paths: Vec<PathMatch>,
}

/// Whether every condition of a rule holds. `owner` names the job in messages.
pub fn matches(
    rule: &Rule,
    variables: &dyn Lookup,
    origin: &Origin,
    answers: &mut Answers,
    owner: &str,
) -> Matched {
    let mut traces = Traces::default();
    if let Some((_, condition)) = &rule.condition {
        let evaluation = condition.evaluate(|name| value(variables, name));
        let truthful = evaluation.truthful();
        traces.atoms = evaluation.atoms;
        if !truthful {
            return Matched::No(traces);
        }
    }
    for (kind, paths) in [("changes", &rule.changes), ("exists", &rule.exists)] {
        let Some(paths) = paths else { continue };
        match path_rule(kind, paths, variables, origin, answers) {
            PathOutcome::Found(found) => {
                traces.paths.push(found);
                if !found.matched {
                    return Matched::No(traces);
                }
            }
            PathOutcome::Missing => return Matched::Missing,
            PathOutcome::Failed(message) => {
                return Matched::Failed(format!("Failed to parse rule for {owner}: {message}"));
            }
        }
    }
    Matched::Yes(traces)
}

fn value(variables: &dyn Lookup, name: &str) -> Option<String> {
    variables.seen(name).map(|found| found.value.to_owned())
}

enum PathOutcome {
    Found(PathMatch),
    Missing,
    Failed(String),
}

fn path_rule(
    kind: &str,
    rule: &PathRule,
    variables: &dyn Lookup,
    origin: &Origin,
    answers: &mut Answers,
) -> PathOutcome {
    let single = [&rule.regexp, &rule.project, &rule.git_ref, &rule.compare_to];
    let texts = single
        .into_iter()
        .flatten()
        .chain(rule.paths.iter().flatten());
    let expanded = reachable(texts.map(String::as_str), variables);
    let fill = |text: &String| filled(text, &expanded);
    let request = if kind == "changes" {
        Request::Changes(rule.compare_to.as_ref().map(fill))
    } else {
        Request::Paths(match rule.project.as_ref().map(fill) {
            Some(project) => Origin {
                project: Some(project),
                git_ref: rule.git_ref.as_ref().map(fill),
            },
            None => origin.clone(),
        })
    };
    let Some(answer) = answers.get(request.clone()) else {
        return PathOutcome::Missing;
    };
    let known = match &*answer {
        Answer::Paths(paths) => Some(paths.as_slice()),
        Answer::Problem(message) => return PathOutcome::Failed(problem(&request, message)),
        Answer::Unknown | Answer::Text(_) | Answer::Component(_) => None,
    };
    if let Some(regexp) = &rule.regexp {
        let pattern = fill(regexp);
        if pattern.chars().count() > MAX_REGEXP {
            return PathOutcome::Failed(format!(
                "rules:{kind}:regexp is too long (maximum is {MAX_REGEXP} characters after variable expansion)"
            ));
        }
        let Some(known) = known else {
            return PathOutcome::Found(PathMatch {
                matched: true,
                paths: None,
            });
        };
        // Ruby's patterns have look-around, so this engine may go back; its steps are bounded.
        let Ok(pattern) = fancy_regex::RegexBuilder::new(&pattern)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
        else {
            return PathOutcome::Failed(format!("rules:{kind}:regexp is invalid"));
        };
        let count = known
            .iter()
            .filter(|path| pattern.is_match(path).unwrap_or(false))
            .count();
        return PathOutcome::Found(PathMatch {
            matched: count > 0,
            paths: Some(count),
        });
    }
    let globs = rule.paths.as_deref().unwrap_or_default();
    PathOutcome::Found(match (kind, known) {
        ("changes", known) => paths::changes(globs, known, &expanded),
        (_, known) => paths::exists(globs, known.unwrap_or_default(), &expanded),
    })
}

/// `exists` has words of its own for a project or ref that is not there.
fn problem(request: &Request, message: &str) -> String {
    let Request::Paths(Origin {
        project: Some(project),
        git_ref,
    }) = request
    else {
        return message.to_owned();
    };
    match git_ref {
        Some(name) if message.contains(&format!(" reference `{name}` ")) => {
            format!("rules:exists:ref `{name}` is not a valid ref in project `{project}`")
        }
        Some(_) | None => {
            format!("rules:exists:project `{project}` not found or access denied")
        }
    }
}

/// A job of the pipeline, with what its rule decided.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The job.
    pub instance: Arc<Instance>,
    /// `when` after rules.
    pub when: String,
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
    pub errors: Vec<String>,
    /// Jobs that are in it.
    pub jobs: Vec<Chosen>,
    /// Jobs that are not, and why.
    pub absent: Vec<(String, Why)>,
    /// Variables of the matching workflow rule.
    pub workflow_variables: Vec<YamlVariable>,
    /// `auto_cancel` after workflow rules, as JSON.
    pub auto_cancel: Option<Json>,
}

/// The variables that a job has, later ones win.
pub fn scoped(
    context: &Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
    rule: &[YamlVariable],
) -> Vec<Variable> {
    let pipeline = PipelineScope::new(context, config, workflow);
    JobScope::new(&pipeline, instance, rule).list()
}

/// Evaluates workflow, rules and policies; `None` while answers are missing.
pub fn evaluate(
    context: &Context,
    config: &Config,
    instances: &[Arc<Instance>],
    answers: &mut Answers,
) -> Option<Evaluated> {
    let mut result = Evaluated {
        outcome: Outcome::Created,
        errors: Vec::new(),
        jobs: Vec::new(),
        absent: Vec::new(),
        workflow_variables: Vec::new(),
        auto_cancel: config.workflow.auto_cancel.clone(),
    };
    match workflow(context, config, answers) {
        WorkflowOutcome::Missing => return None,
        WorkflowOutcome::Failed(message) => {
            return Some(Evaluated {
                outcome: Outcome::Error,
                errors: vec![message],
                ..result
            });
        }
        WorkflowOutcome::Filtered => {
            return Some(Evaluated {
                outcome: Outcome::Filtered,
                errors: vec!["Pipeline filtered out by workflow rules.".to_owned()],
                ..result
            });
        }
        WorkflowOutcome::Passed(None) => {}
        WorkflowOutcome::Passed(Some(rule)) => {
            result.workflow_variables.clone_from(&rule.variables);
            if let Some(Json::Object(over)) = &rule.auto_cancel {
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
    let (mut missing, mut faults) = (false, Faults::new(&config.stages));
    for instance in instances {
        let variables = JobScope::new(&scope, instance, &[]);
        match decide(context, instance, &variables, answers) {
            Decision::Missing => missing = true,
            Decision::Failed(message) => faults.add(instance, message),
            Decision::Out(why) => result.absent.push((instance.name.clone(), why)),
            Decision::In(chosen) => {
                let circle = variables.circle();
                result.jobs.push(*chosen);
                if let Some(circle) = circle {
                    faults.add(instance, format!("{}: {circle}", instance.name));
                }
            }
        }
    }
    if missing {
        return None;
    }
    finish(&mut result, faults);
    result.workflow_variables = workflow_variables;
    Some(result)
}

enum WorkflowOutcome<'c> {
    Passed(Option<&'c Rule>),
    Filtered,
    Missing,
    Failed(String),
}

fn workflow<'c>(
    context: &Context,
    config: &'c Config,
    answers: &mut Answers,
) -> WorkflowOutcome<'c> {
    let Some(rules) = &config.workflow.rules else {
        return WorkflowOutcome::Passed(None);
    };
    let variables = PipelineScope::new(context, config, &[]);
    for rule in rules {
        match matches(rule, &variables, &Origin::default(), answers, "workflow") {
            Matched::Missing => return WorkflowOutcome::Missing,
            Matched::Failed(message) => return WorkflowOutcome::Failed(message),
            Matched::No(_) => {}
            Matched::Yes(_) if rule.when.as_deref() == Some("never") => {
                return WorkflowOutcome::Filtered;
            }
            Matched::Yes(_) => return WorkflowOutcome::Passed(Some(rule)),
        }
    }
    WorkflowOutcome::Filtered
}

enum Decision {
    In(Box<Chosen>),
    Out(Why),
    Missing,
    Failed(String),
}

fn why(decided_by: impl Into<String>, span: Span, traces: Traces) -> Why {
    Why {
        decided_by: decided_by.into(),
        line: span.line,
        file: span.file,
        atoms: traces.atoms,
        paths: traces.paths,
    }
}

fn decide(
    context: &Context,
    instance: &Arc<Instance>,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Decision {
    let job = &instance.job;
    let mut chosen = Chosen {
        when: job.when.clone(),
        start_in: job.start_in.clone(),
        allow_failure: job.allow_failure,
        exit_codes: job.exit_codes.clone(),
        needs: instance.needs.clone(),
        interruptible: None,
        rule_variables: Vec::new(),
        why: why("always", job.span, Traces::default()),
        instance: Arc::clone(instance),
    };
    let Some(rules) = &job.rules else {
        return match policies(context, job, variables, answers) {
            None => Decision::Missing,
            Some(Ok(())) => Decision::In(Box::new(chosen)),
            Some(Err(what)) => Decision::Out(why(what, job.span, Traces::default())),
        };
    };
    let mut looked = Traces::default();
    for (number, rule) in rules.iter().enumerate() {
        match matches(rule, variables, &Origin::default(), answers, &instance.name) {
            Matched::Missing => return Decision::Missing,
            Matched::Failed(message) => return Decision::Failed(message),
            Matched::No(traces) => {
                looked.atoms.extend(traces.atoms);
                looked.paths.extend(traces.paths);
            }
            Matched::Yes(traces) => {
                looked.atoms.extend(traces.atoms);
                looked.paths.extend(traces.paths);
                let reason = why(format!("rules[{number}]"), rule.span, looked);
                if rule.when.as_deref() == Some("never") {
                    return Decision::Out(reason);
                }
                chosen.why = reason;
                apply(rule, &mut chosen);
                return Decision::In(Box::new(chosen));
            }
        }
    }
    Decision::Out(why("no rule matched", job.span, looked))
}

fn apply(rule: &Rule, chosen: &mut Chosen) {
    if let Some(when) = &rule.when {
        chosen.when.clone_from(when);
        chosen.start_in.clone_from(&rule.start_in);
    }
    if let Some(allow) = rule.allow_failure {
        chosen.allow_failure = allow;
        chosen.exit_codes = None;
    }
    if let Some(needs) = &rule.needs {
        chosen.needs = Some(of_rule(needs));
    }
    chosen.interruptible = rule.interruptible;
    chosen.rule_variables.clone_from(&rule.variables);
}

/// `only` and `except`; `None` while answers are missing, `Err` with what kept the job out.
fn policies(
    context: &Context,
    job: &crate::job::Job,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Option<Result<(), &'static str>> {
    if let Some(only) = &job.only {
        for part in policy_parts(only, context, variables, answers) {
            if !part? {
                return Some(Err("only"));
            }
        }
    }
    if let Some(except) = &job.except {
        for part in policy_parts(except, context, variables, answers) {
            if part? {
                return Some(Err("except"));
            }
        }
    }
    Some(Ok(()))
}

fn policy_parts(
    policy: &Json,
    context: &Context,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Vec<Option<bool>> {
    let strings = |key: &str| {
        policy.get(key).and_then(Json::as_array).map(|list| {
            list.iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        })
    };
    let mut parts = Vec::new();
    if let Some(refs) = strings("refs") {
        parts.push(Some(refs.iter().any(|item| ref_matches(item, context))));
    }
    if policy.get("kubernetes").is_some() {
        parts.push(Some(
            value(variables, "CI_KUBERNETES_ACTIVE").as_deref() == Some("true"),
        ));
    }
    if let Some(list) = strings("variables") {
        let holds = |text: &String| {
            Expr::parse(text)
                .is_ok_and(|expr| expr.evaluate(|name| value(variables, name)).truthful())
        };
        parts.push(Some(list.iter().any(holds)));
    }
    if let Some(globs) = strings("changes") {
        let rule = PathRule {
            paths: Some(globs),
            ..PathRule::default()
        };
        // Unlike those of rules, its globs know no variables.
        parts.push(
            match path_rule("changes", &rule, &NO_VARIABLES, &Origin::default(), answers) {
                PathOutcome::Found(found) => Some(found.matched),
                PathOutcome::Missing => None,
                PathOutcome::Failed(_) => Some(true),
            },
        );
    }
    parts
}

/// One item of `refs` (`ci-yaml.md §12.2`).
fn ref_matches(item: &str, context: &Context) -> bool {
    let (pattern, path) = match item.split_once('@') {
        Some((pattern, path)) => (pattern, Some(path)),
        None => (item, None),
    };
    if path.is_some_and(|path| context.project.as_deref() != Some(path)) {
        return false;
    }
    // A child of a merge request's pipeline belongs to the merge request too.
    let merge_request = context.source == PipelineSource::MergeRequestEvent
        || context
            .predefined
            .iter()
            .any(|variable| variable.key == "CI_MERGE_REQUEST_IID");
    let source = context.source.as_str().trim_end_matches("_event");
    let plural = if source == "push" {
        "pushes".to_owned()
    } else {
        format!("{source}s")
    };
    match pattern {
        "tags" => context.tag,
        "branches" => !context.tag && !merge_request,
        word if word == source || word == plural => true,
        _ if merge_request => false,
        _ => match patterns::parse(pattern) {
            Ok(regex) => regex.is_match(&context.ref_name),
            Err(_) => pattern == context.ref_name,
        },
    }
}

/// Faults of jobs, told in the order of stages.
struct Faults<'c> {
    stages: &'c [String],
    list: Vec<(usize, String)>,
}

impl<'c> Faults<'c> {
    fn new(stages: &'c [String]) -> Self {
        Self {
            stages,
            list: Vec::new(),
        }
    }

    fn add(&mut self, instance: &Instance, message: String) {
        let stage = &instance.job.stage;
        let index = self.stages.iter().position(|known| known == stage);
        self.list
            .push((index.unwrap_or(self.stages.len()), message));
    }

    fn messages(mut self) -> Vec<String> {
        self.list.sort_by_key(|(stage, _)| *stage);
        self.list.into_iter().map(|(_, message)| message).collect()
    }
}

/// Needs of the chosen jobs, and whether anything is left.
fn finish(result: &mut Evaluated, mut faults: Faults<'_>) {
    let present: Vec<Arc<Instance>> = result
        .jobs
        .iter()
        .map(|job| Arc::clone(&job.instance))
        .collect();
    let names: HashSet<&str> = present
        .iter()
        .map(|instance| instance.name.as_str())
        .collect();
    for job in &mut result.jobs {
        let Some(needs) = &mut job.needs else {
            continue;
        };
        let own = &job.instance.name;
        if needs.len() > MAX_NEEDS {
            let count = needs.len();
            faults.add(&job.instance, format!(
                "{own}: one job can only need {MAX_NEEDS} others, but you have listed {count}. See needs keyword documentation for more details"
            ));
            continue;
        }
        for need in needs
            .iter()
            .filter(|need| !need.optional && !names.contains(need.name.as_str()))
        {
            let other = &need.name;
            faults.add(&job.instance, format!(
                "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
                 To need a job that sometimes does not exist in the pipeline, use needs:optional."
            ));
        }
        needs.retain(|need| names.contains(need.name.as_str()));
    }
    result.errors = faults.messages();
    let edges_only = |job: &Chosen| matches!(job.instance.job.stage.as_str(), ".pre" | ".post");
    if !result.errors.is_empty() {
        result.outcome = Outcome::Error;
    } else if result.jobs.iter().all(edges_only) {
        result.outcome = Outcome::Empty;
        result.errors.push(
            "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.".to_owned(),
        );
    }
}
