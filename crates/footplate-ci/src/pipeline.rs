//! Rules evaluated for one pipeline: which jobs are in it, how, and why (`ci-yaml.md §9.2`, `§12.2`, `§22`).

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use footplate_model::{Need, PipelineSource};
use serde_json::Value as Json;

use crate::{
    ask::{Answer, Answers, Origin, Request},
    config::Config,
    diagnostic::Diagnostic,
    expand::{Instance, of_rule},
    expr::{Atom, Evaluation, Expr},
    job::DEFAULT_ONLY,
    keywords::{
        rules::{PathRule, Rule},
        variables::YamlVariable,
    },
    paths::{self, PathMatch},
    patterns,
    scope::{JobScope, Later, Lookup, PipelineScope, filled, reachable},
    variables::{CollectionError, Variable},
    why::{Looked, MASKED, PathKind, Paths, Why},
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
    /// Variables that includes, or some jobs, do not see.
    pub later: Later,
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
    pub paths: Vec<Paths>,
}

impl Traces {
    /// As an entry that was looked at.
    pub(crate) fn looked(self, entry: Cow<'static, str>, rule: &Rule, matched: bool) -> Looked {
        Looked {
            entry,
            line: rule.span.line,
            file: rule.span.file,
            matched,
            condition: rule
                .condition
                .as_ref()
                .map(|condition| Arc::clone(condition.text())),
            atoms: self.atoms,
            paths: self.paths,
        }
    }
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
    if let Some(condition) = &rule.condition {
        let evaluation = condition.evaluate(|name| variables.seen(name).map(|found| found.value));
        let (truthful, atoms) = holds(evaluation, variables);
        traces.atoms = atoms;
        if !truthful {
            return Matched::No(traces);
        }
    }
    for (kind, paths) in [
        (PathKind::Changes, &rule.changes),
        (PathKind::Exists, &rule.exists),
    ] {
        let Some(paths) = paths else { continue };
        match path_rule(kind, paths, variables, origin, answers) {
            PathOutcome::Found(found) => {
                let matched = found.matched;
                traces.paths.push(Paths {
                    kind,
                    patterns: paths.written(),
                    found,
                });
                if !matched {
                    return Matched::No(traces);
                }
            }
            PathOutcome::Missing => return Matched::Missing,
            PathOutcome::Failed(message) => {
                return Matched::Failed(format!("Failed to parse rule for {owner}: {message}"));
            }
            PathOutcome::TooLarge(error) => return Matched::Failed(format!("{owner}: {error}")),
        }
    }
    Matched::Yes(traces)
}

/// Whether an expression holds, with its atoms; values of masked variables stay masked.
fn holds(evaluation: Evaluation, variables: &dyn Lookup) -> (bool, Vec<Atom>) {
    let truthful = evaluation.truthful();
    let mut atoms = evaluation.atoms;
    for atom in &mut atoms {
        let lone = atom.text.strip_prefix('$');
        let masked = |name| variables.seen(name).is_some_and(|found| found.masked);
        if atom.value.starts_with('"') && lone.is_some_and(masked) {
            atom.value = MASKED.into();
        }
    }
    (truthful, atoms)
}

enum PathOutcome {
    Found(PathMatch),
    Missing,
    Failed(String),
    /// Its patterns cannot be expanded.
    TooLarge(CollectionError),
}

fn path_rule(
    kind: PathKind,
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
    let expanded = match reachable(texts.map(String::as_str), variables) {
        Ok(expanded) => expanded,
        Err(error) => return PathOutcome::TooLarge(error),
    };
    let fill = |text: &String| filled(text, &expanded);
    let request = if kind == PathKind::Changes {
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
        let kind = kind.as_str();
        let pattern = fill(regexp);
        if pattern.chars().count() > MAX_REGEXP {
            return PathOutcome::Failed(format!(
                "rules:{kind}:regexp is too long (maximum is {MAX_REGEXP} characters after variable expansion)"
            ));
        }
        let Some(known) = known else {
            return PathOutcome::Found(PathMatch::assumed(None));
        };
        // Ruby's patterns have look-around, so this engine may go back; its steps are bounded.
        let Ok(pattern) = fancy_regex::RegexBuilder::new(&pattern)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
        else {
            return PathOutcome::Failed(format!("rules:{kind}:regexp is invalid"));
        };
        return PathOutcome::Found(PathMatch::of(known, |path| {
            pattern.is_match(path).unwrap_or(false)
        }));
    }
    let globs = rule.paths.as_deref().unwrap_or_default();
    PathOutcome::Found(match (kind, known) {
        (PathKind::Changes, known) => paths::changes(globs, known, &expanded),
        (PathKind::Exists, known) => paths::exists(globs, known.unwrap_or_default(), &expanded),
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
) -> (WorkflowOutcome<'c>, Option<Why>) {
    let Some(rules) = &config.workflow.rules else {
        return (WorkflowOutcome::Passed(None), None);
    };
    let variables = PipelineScope::new(context, config, &[]);
    let mut looked = Vec::new();
    let mut outcome = WorkflowOutcome::Filtered;
    let mut decided: Option<(Cow<'static, str>, &Rule)> = None;
    for (number, rule) in rules.iter().enumerate() {
        let entry = Cow::from(format!("workflow:rules[{number}]"));
        match matches(rule, &variables, &Origin::default(), answers, "workflow") {
            Matched::Missing => return (WorkflowOutcome::Missing, None),
            Matched::Failed(message) => return (WorkflowOutcome::Failed(message), None),
            Matched::No(traces) => looked.push(traces.looked(entry, rule, false)),
            Matched::Yes(traces) => {
                looked.push(traces.looked(entry.clone(), rule, true));
                if rule.when != Some("never") {
                    outcome = WorkflowOutcome::Passed(Some(rule));
                }
                decided = Some((entry, rule));
                break;
            }
        }
    }
    let mut why = match decided {
        Some((entry, rule)) => Why {
            when: rule.when.map(str::to_owned),
            ..Why::new(entry, rule.span)
        },
        None => Why::new("no workflow rule matched", config.workflow.span),
    };
    why.looked_at = looked;
    (outcome, Some(why.told(&variables)))
}

#[derive(Debug)]
enum Decision {
    /// It is in the pipeline; its variables may refer to each other in a circle.
    In(Chosen, Option<CollectionError>),
    Out(Why),
    Failed(String),
}

/// What becomes of a job; `None` while an answer is missing.
fn decide(
    context: &Context,
    instance: &Arc<Instance>,
    variables: &JobScope<'_>,
    answers: &mut Answers,
) -> Option<Decision> {
    let job = &instance.job;
    let mut chosen = Chosen {
        when: job.when,
        start_in: job.start_in.clone(),
        allow_failure: job.allow_failure,
        exit_codes: job.exit_codes.clone(),
        needs: instance.needs.clone(),
        interruptible: None,
        rule_variables: Vec::new(),
        why: Why::new("always", job.span),
        instance: Arc::clone(instance),
    };
    let Some(rules) = &job.rules else {
        let (lets_in, why) = policies(context, job, variables, answers)?;
        let why = why.told(variables);
        return Some(if lets_in {
            chosen.why = why;
            Decision::In(chosen, variables.circle())
        } else {
            Decision::Out(why)
        });
    };
    let mut looked = Vec::with_capacity(rules.len());
    let origin = Origin::default();
    for (number, rule) in rules.iter().enumerate() {
        match matches(rule, variables, &origin, answers, &instance.name) {
            Matched::Missing => return None,
            Matched::Failed(message) => return Some(Decision::Failed(message)),
            Matched::No(traces) => {
                looked.push(traces.looked(rule_name(number), rule, false));
            }
            Matched::Yes(traces) => {
                let entry = rule_name(number);
                looked.push(traces.looked(entry.clone(), rule, true));
                let why = Why {
                    when: rule.when.map(str::to_owned),
                    looked_at: looked,
                    ..Why::new(entry, rule.span)
                };
                let why = why.told(variables);
                if rule.when == Some("never") {
                    return Some(Decision::Out(why));
                }
                chosen.why = why;
                apply(rule, &mut chosen);
                return Some(Decision::In(chosen, variables.circle()));
            }
        }
    }
    let why = Why {
        looked_at: looked,
        ..Why::new("no rule matched", job.span)
    };
    Some(Decision::Out(why.told(variables)))
}

/// A rule by its number. The first few are what most jobs are decided by.
fn rule_name(number: usize) -> Cow<'static, str> {
    const FIRST: [&str; 4] = ["rules[0]", "rules[1]", "rules[2]", "rules[3]"];
    match FIRST.get(number) {
        Some(name) => (*name).into(),
        None => format!("rules[{number}]").into(),
    }
}

fn apply(rule: &Rule, chosen: &mut Chosen) {
    if let Some(when) = rule.when {
        chosen.when = when;
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

/// `only` and `except`: whether they let the job in and why; `None` while answers are missing.
///
/// Every part of `only` has to hold, none of `except` may. The first that does otherwise decides, else the last part of `only`.
fn policies(
    context: &Context,
    job: &crate::job::Job,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Option<(bool, Why)> {
    let mut why = Why::new("always", job.span);
    let bare = job.except.is_none() && job.only.as_ref() == Some(&*DEFAULT_ONLY);
    for (word, policy, wanted) in [("only", &job.only, true), ("except", &job.except, false)] {
        let Some(policy) = policy else { continue };
        for part in policy_parts(word, policy, job, context, variables, answers)? {
            let matched = part.matched;
            if matched != wanted || wanted {
                why.decided_by.clone_from(&part.entry);
            }
            why.looked_at.push(part);
            if matched != wanted {
                if bare {
                    why.decided_by.to_mut().push_str(" (default)");
                    why.looked_at.clear();
                }
                return Some((false, why));
            }
        }
    }
    // Nothing but the default of a job without conditions let it in.
    if bare {
        why = Why::new("always", job.span);
    }
    Some((true, why))
}

/// The parts of `only` or `except`, each looked at; `None` while answers are missing.
fn policy_parts(
    word: &str,
    policy: &Json,
    job: &crate::job::Job,
    context: &Context,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Option<Vec<Looked>> {
    let strings = |key: &str| {
        policy.get(key).and_then(Json::as_array).map(|list| {
            list.iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        })
    };
    let part = |key: &str, matched: bool| Looked {
        entry: format!("{word}:{key}").into(),
        line: job.span.line,
        file: job.span.file,
        matched,
        condition: None,
        atoms: Vec::new(),
        paths: Vec::new(),
    };
    let mut parts = Vec::new();
    if let Some(refs) = strings("refs") {
        let matched = refs.iter().any(|item| ref_matches(item, context));
        let mut looked = part("refs", matched);
        looked.condition = Some(refs.join(", ").into());
        parts.push(looked);
    }
    if policy.get("kubernetes").is_some() {
        let active = variables.seen("CI_KUBERNETES_ACTIVE");
        let active = active.is_some_and(|found| found.value == "true");
        parts.push(part("kubernetes", active));
    }
    if let Some(list) = strings("variables") {
        let mut looked = part("variables", false);
        looked.condition = Some(list.join(", ").into());
        for expr in list.iter().filter_map(|text| Expr::parse(text).ok()) {
            let evaluation = expr.evaluate(|name| variables.seen(name).map(|found| found.value));
            let (truthful, atoms) = holds(evaluation, variables);
            looked.atoms.extend(atoms);
            if truthful {
                looked.matched = true;
                break;
            }
        }
        parts.push(looked);
    }
    if let Some(globs) = strings("changes") {
        let kind = PathKind::Changes;
        let patterns = globs.clone();
        let rule = PathRule {
            paths: Some(globs),
            ..PathRule::default()
        };
        // Unlike those of rules, its globs know no variables.
        let found = match path_rule(kind, &rule, &NO_VARIABLES, &Origin::default(), answers) {
            PathOutcome::Found(found) => found,
            PathOutcome::Missing => return None,
            PathOutcome::Failed(_) | PathOutcome::TooLarge(_) => PathMatch::assumed(None),
        };
        let mut looked = part("changes", found.matched);
        looked.paths.push(Paths {
            kind,
            patterns,
            found,
        });
        parts.push(looked);
    }
    Some(parts)
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
    list: Vec<(usize, Diagnostic)>,
}

impl<'c> Faults<'c> {
    fn new(stages: &'c [String]) -> Self {
        Self {
            stages,
            list: Vec::new(),
        }
    }

    fn add(&mut self, instance: &Instance, fault: Diagnostic) {
        let stage = &instance.job.stage;
        let index = self.stages.iter().position(|known| known == stage);
        self.list.push((index.unwrap_or(self.stages.len()), fault));
    }

    fn in_order(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|(stage, _)| *stage);
        self.list.into_iter().map(|(_, fault)| fault).collect()
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
            let message = format!(
                "{own}: one job can only need {MAX_NEEDS} others, but you have listed {count}. See needs keyword documentation for more details"
            );
            let fault = Diagnostic::new(message, job.instance.job.span);
            faults.add(&job.instance, fault);
            continue;
        }
        for need in needs
            .iter()
            .filter(|need| !need.optional && !names.contains(need.name.as_str()))
        {
            let other = &need.name;
            let message = format!(
                "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
                 To need a job that sometimes does not exist in the pipeline, use needs:optional."
            );
            let absent = result.absent.iter().find(|(name, _)| name == other);
            let help = absent
                .map(|(_, why)| format!("`{other}` is not in this pipeline: {}", why.decided_by));
            let written = &job.instance.job;
            let span = written.places.need(other).unwrap_or(written.span);
            let fault = Diagnostic::new(message, span).with_help(help);
            faults.add(&job.instance, fault);
        }
        needs.retain(|need| names.contains(need.name.as_str()));
    }
    result.errors = faults.in_order();
    let edges_only = |job: &Chosen| matches!(job.instance.job.stage.as_str(), ".pre" | ".post");
    if !result.errors.is_empty() {
        result.outcome = Outcome::Error;
    } else if result.jobs.iter().all(edges_only) {
        result.outcome = Outcome::Empty;
        let message = "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.";
        result
            .errors
            .push(Diagnostic::new(message, Span::default()));
    }
}
