//! Rules evaluated for one pipeline: which jobs are in it, how, and why (`ci-yaml.md §9.2`, `§12.2`, `§22`).

use footplate_model::{Need, PipelineSource};
use serde_json::Value as Json;

use crate::{
    ask::{Answer, Answers, Origin, Request},
    config::Config,
    expand::{Instance, Names},
    expr::{Atom, Expr},
    keywords::{
        rules::{PathRule, Rule},
        variables::YamlVariable,
    },
    paths::{self, PathMatch},
    patterns,
    scope::{Later, circle, scoped},
    variables::{SortOptions, Variable, sort_and_expand},
    yaml::Span,
};

const MAX_REGEXP: usize = 255;
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
    /// Variables that includes, or some jobs, do not see.
    pub later: Later,
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

fn lookup<'v>(variables: &'v [Variable], name: &str) -> Option<&'v str> {
    variables
        .iter()
        .rev()
        .find(|variable| variable.key == name)
        .map(|variable| variable.value.as_str())
}

/// Whether every condition of a rule holds. `owner` names the job in messages.
pub fn matches(
    rule: &Rule,
    variables: &[Variable],
    origin: &Origin,
    answers: &mut Answers,
    owner: &str,
) -> Matched {
    let mut traces = Traces::default();
    if let Some((_, condition)) = &rule.condition {
        let evaluation = condition.evaluate(|name| lookup(variables, name).map(str::to_owned));
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

enum PathOutcome {
    Found(PathMatch),
    Missing,
    Failed(String),
}

fn path_rule(
    kind: &str,
    rule: &PathRule,
    variables: &[Variable],
    origin: &Origin,
    answers: &mut Answers,
) -> PathOutcome {
    let expanded =
        sort_and_expand(variables, SortOptions::default()).unwrap_or_else(|_| variables.to_vec());
    let fill = |text: &String| {
        crate::variables::expand_existing(
            text,
            &expanded,
            crate::variables::DirectOptions::default(),
        )
        .unwrap_or_else(|_| text.clone())
    };
    let request = if kind == "changes" {
        Request::Changes(rule.compare_to.as_ref().map(fill))
    } else {
        let project = rule.project.as_ref().map(fill);
        Request::Paths(match project {
            Some(project) => Origin {
                project: Some(project),
                git_ref: rule.git_ref.as_ref().map(fill),
            },
            None => origin.clone(),
        })
    };
    let Some(answer) = answers.get(request) else {
        return PathOutcome::Missing;
    };
    let known = match &*answer {
        Answer::Paths(paths) => Some(paths.as_slice()),
        Answer::Problem(message) => return PathOutcome::Failed(message.clone()),
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

/// A job of the pipeline, with what its rule decided.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The job.
    pub instance: Instance,
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

pub(crate) fn to_variable(variable: &YamlVariable) -> Variable {
    Variable {
        key: variable.key.clone(),
        value: variable.value.clone(),
        raw: variable.raw.unwrap_or(false),
        public: true,
        ..Variable::default()
    }
}

/// Evaluates workflow, rules and policies; `None` while answers are missing.
pub fn evaluate(
    context: &Context,
    config: &Config,
    instances: Vec<Instance>,
    jobs: &[crate::job::Job],
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
    let names = Names::of(jobs);
    let mut missing = false;
    for instance in instances {
        match decide(
            context,
            config,
            &result.workflow_variables,
            &instance,
            &names,
            answers,
        ) {
            Decision::Missing => missing = true,
            Decision::Failed(message) => result.errors.push(message),
            Decision::Out(why) => result.absent.push((instance.name.clone(), why)),
            Decision::In(chosen) => result.jobs.push(*chosen),
        }
    }
    if missing {
        return None;
    }
    finish(&mut result);
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
    let variables = context.around(config.variables.iter().map(to_variable));
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
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
    names: &Names,
    answers: &mut Answers,
) -> Decision {
    let variables = scoped(context, config, workflow, instance, &[]);
    match by_rules(context, instance, &variables, names, answers) {
        Decision::In(chosen) => match circle(&instance.name, &variables) {
            Some(fault) => Decision::Failed(fault),
            None => Decision::In(chosen),
        },
        other => other,
    }
}

fn by_rules(
    context: &Context,
    instance: &Instance,
    variables: &[Variable],
    names: &Names,
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
        instance: instance.clone(),
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
                apply(rule, names, &mut chosen);
                return Decision::In(Box::new(chosen));
            }
        }
    }
    Decision::Out(why("no rule matched", job.span, looked))
}

fn apply(rule: &Rule, names: &Names, chosen: &mut Chosen) {
    if let Some(when) = &rule.when {
        chosen.when.clone_from(when);
        chosen.start_in.clone_from(&rule.start_in);
    }
    if let Some(allow) = rule.allow_failure {
        chosen.allow_failure = allow;
        chosen.exit_codes = None;
    }
    if let Some(needs) = &rule.needs {
        chosen.needs = Some(names.needs(needs, &[]));
    }
    chosen.interruptible = rule.interruptible;
    chosen.rule_variables.clone_from(&rule.variables);
}

/// `only` and `except`; `None` while answers are missing, `Err` with what kept the job out.
fn policies(
    context: &Context,
    job: &crate::job::Job,
    variables: &[Variable],
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
    variables: &[Variable],
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
            lookup(variables, "CI_KUBERNETES_ACTIVE") == Some("true"),
        ));
    }
    if let Some(list) = strings("variables") {
        let holds = |text: &String| {
            Expr::parse(text).is_ok_and(|expr| {
                expr.evaluate(|name| lookup(variables, name).map(str::to_owned))
                    .truthful()
            })
        };
        parts.push(Some(list.iter().any(holds)));
    }
    if let Some(globs) = strings("changes") {
        let rule = PathRule {
            paths: Some(globs),
            ..PathRule::default()
        };
        parts.push(
            match path_rule("changes", &rule, variables, &Origin::default(), answers) {
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
        Some((pattern, path))
            if !item.starts_with('/')
                || item
                    .rfind('/')
                    .is_some_and(|slash| item.find('@').is_some_and(|at| at > slash)) =>
        {
            (pattern, Some(path))
        }
        _ => (item, None),
    };
    if path.is_some_and(|path| context.project.as_deref() != Some(path)) {
        return false;
    }
    let merge_request = context.source == PipelineSource::MergeRequestEvent;
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

/// Needs of the chosen jobs, and whether anything is left.
fn finish(result: &mut Evaluated) {
    if !result.errors.is_empty() {
        result.outcome = Outcome::Error;
        return;
    }
    let names: Vec<String> = result
        .jobs
        .iter()
        .map(|job| job.instance.name.clone())
        .collect();
    for job in &mut result.jobs {
        let Some(needs) = &mut job.needs else {
            continue;
        };
        for need in needs
            .iter()
            .filter(|need| !need.optional && !names.contains(&need.name))
        {
            let (own, other) = (&job.instance.name, &need.name);
            result.errors.push(format!(
                "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
                 To need a job that sometimes does not exist in the pipeline, use needs:optional."
            ));
        }
        needs.retain(|need| names.contains(&need.name));
    }
    if !result.errors.is_empty() {
        result.outcome = Outcome::Error;
    } else if result
        .jobs
        .iter()
        .all(|job| matches!(job.instance.job.stage.as_str(), ".pre" | ".post"))
    {
        result.outcome = Outcome::Empty;
        result.errors.push(
            "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.".to_owned(),
        );
    }
}
