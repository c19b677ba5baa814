//! Rules evaluated for one pipeline: which jobs are in it, how, and why (`ci-yaml.md §9.2`, `§12.2`, `§22`).

use footplate_model::{Need, PipelineSource};
use serde_json::{Value as Json, json};

use crate::{
    ask::{Answer, Answers, Origin, Request},
    config::Config,
    diagnostic::Diagnostic,
    expand::{Instance, Names},
    expr::{Atom, Expr},
    keywords::{
        rules::{PathRule, Rule},
        variables::YamlVariable,
    },
    paths::{self, PathMatch},
    patterns,
    variables::{SortOptions, Variable, sort_and_expand},
    why::{Level, Looked, MASKED, PathKind, Paths, Provenance, Why},
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
    pub(crate) fn looked(self, entry: String, rule: &Rule, matched: bool) -> Looked {
        Looked {
            entry,
            line: rule.span.line,
            file: rule.span.file,
            matched,
            condition: rule.condition.as_ref().map(|(text, _)| text.clone()),
            atoms: self.atoms,
            paths: self.paths,
        }
    }
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
        let (truthful, atoms) = holds(condition, variables);
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
        }
    }
    Matched::Yes(traces)
}

/// Whether an expression holds, with its atoms; values of masked variables stay masked.
fn holds(expr: &Expr, variables: &[Variable]) -> (bool, Vec<Atom>) {
    let evaluation = expr.evaluate(|name| lookup(variables, name).map(str::to_owned));
    let truthful = evaluation.truthful();
    let mut atoms = evaluation.atoms;
    for atom in &mut atoms {
        let lone = atom.text.strip_prefix('$');
        let masked = |name| {
            variables
                .iter()
                .any(|known| known.key == name && known.masked)
        };
        if atom.value.starts_with('"') && lone.is_some_and(masked) {
            MASKED.clone_into(&mut atom.value);
        }
    }
    (truthful, atoms)
}

enum PathOutcome {
    Found(PathMatch),
    Missing,
    Failed(String),
}

fn path_rule(
    kind: PathKind,
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
    let request = if kind == PathKind::Changes {
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

fn to_variable(variable: &YamlVariable) -> Variable {
    Variable {
        key: variable.key.clone(),
        value: variable.value.clone(),
        raw: variable.raw.unwrap_or(false),
        public: true,
        ..Variable::default()
    }
}

/// The variables that a job's conditions see, later ones win.
pub fn scoped(
    context: &Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
    rule: &[YamlVariable],
) -> Vec<Variable> {
    let mut list = context.predefined.clone();
    list.push(Variable {
        key: "CI_JOB_NAME".to_owned(),
        value: instance.name.clone(),
        ..Variable::default()
    });
    list.push(Variable {
        key: "CI_JOB_STAGE".to_owned(),
        value: instance.job.stage.clone(),
        ..Variable::default()
    });
    if let Some((number, total)) = instance.number {
        list.push(Variable {
            key: "CI_NODE_INDEX".to_owned(),
            value: number.to_string(),
            ..Variable::default()
        });
        list.push(Variable {
            key: "CI_NODE_TOTAL".to_owned(),
            value: total.to_string(),
            ..Variable::default()
        });
    }
    let roots = config
        .variables
        .iter()
        .chain(workflow)
        .filter(|variable| instance.job.inherit_variables.lets(&variable.key));
    list.extend(
        roots
            .chain(&instance.variables)
            .chain(rule)
            .map(to_variable),
    );
    list.extend(context.overriding.iter().cloned());
    list
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
            Decision::Failed(message) => {
                let fault = Diagnostic::new(message, instance.job.span);
                result.errors.push(fault);
            }
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
) -> (WorkflowOutcome<'c>, Option<Why>) {
    let Some(rules) = &config.workflow.rules else {
        return (WorkflowOutcome::Passed(None), None);
    };
    let mut variables = context.predefined.clone();
    variables.extend(config.variables.iter().map(to_variable));
    variables.extend(context.overriding.iter().cloned());
    let mut looked = Vec::new();
    let mut outcome = WorkflowOutcome::Filtered;
    let mut decided: Option<(String, &Rule)> = None;
    for (number, rule) in rules.iter().enumerate() {
        let entry = format!("workflow:rules[{number}]");
        match matches(rule, &variables, &Origin::default(), answers, "workflow") {
            Matched::Missing => return (WorkflowOutcome::Missing, None),
            Matched::Failed(message) => return (WorkflowOutcome::Failed(message), None),
            Matched::No(traces) => looked.push(traces.looked(entry, rule, false)),
            Matched::Yes(traces) => {
                looked.push(traces.looked(entry.clone(), rule, true));
                if rule.when.as_deref() != Some("never") {
                    outcome = WorkflowOutcome::Passed(Some(rule));
                }
                decided = Some((entry, rule));
                break;
            }
        }
    }
    let mut why = match decided {
        Some((entry, rule)) => Why {
            when: rule.when.clone(),
            ..Why::new(entry, rule.span)
        },
        None => Why::new("no workflow rule matched", config.workflow.span),
    };
    why.looked_at = looked;
    let layers = Layers {
        context,
        config,
        workflow: &[],
        instance: None,
    };
    (outcome, Some(layers.told(why, &variables)))
}

/// Where the variables that a condition sees come from.
struct Layers<'c> {
    context: &'c Context,
    config: &'c Config,
    workflow: &'c [YamlVariable],
    instance: Option<&'c Instance>,
}

impl Layers<'_> {
    /// The why with the variables that it mentions, cut to its size.
    fn told(&self, mut why: Why, variables: &[Variable]) -> Why {
        why.variables = why
            .mentioned()
            .into_iter()
            .map(|name| self.provenance(name, variables))
            .collect();
        why.fitted()
    }

    fn provenance(&self, name: &str, variables: &[Variable]) -> Provenance {
        let has = |list: &[YamlVariable]| list.iter().any(|variable| variable.key == name);
        let inherits = self
            .instance
            .is_none_or(|instance| instance.job.inherit_variables.lets(name));
        let own = self
            .instance
            .is_some_and(|instance| has(&instance.variables));
        let mut levels: Vec<Level> = [
            (own, Level::Job),
            (inherits && has(self.workflow), Level::Workflow),
            (inherits && has(&self.config.variables), Level::Root),
        ]
        .into_iter()
        .filter_map(|(there, level)| there.then_some(level))
        .collect();
        let above = self.context.overriding.iter().rev();
        let above = above.filter(|variable| variable.key == name);
        levels.splice(0..0, above.map(|variable| variable.level));
        let found = variables.iter().rev().find(|variable| variable.key == name);
        let below = self.context.predefined.iter();
        if below.clone().any(|variable| variable.key == name)
            || (levels.is_empty() && found.is_some())
        {
            levels.push(Level::Predefined);
        }
        levels.dedup();
        let mut levels = levels.into_iter();
        Provenance {
            name: name.to_owned(),
            value: found.map(|variable| {
                if variable.masked {
                    MASKED.to_owned()
                } else {
                    variable.value.clone()
                }
            }),
            level: levels.next(),
            over: levels.collect(),
        }
    }
}

enum Decision {
    In(Box<Chosen>),
    Out(Why),
    Missing,
    Failed(String),
}

fn decide(
    context: &Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
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
        why: Why::new("always", job.span),
        instance: instance.clone(),
    };
    let layers = Layers {
        context,
        config,
        workflow,
        instance: Some(instance),
    };
    let variables = scoped(context, config, workflow, instance, &[]);
    let Some(rules) = &job.rules else {
        return match policies(context, job, &variables, answers) {
            None => Decision::Missing,
            Some((lets_in, why)) => {
                let why = layers.told(why, &variables);
                if lets_in {
                    chosen.why = why;
                    Decision::In(Box::new(chosen))
                } else {
                    Decision::Out(why)
                }
            }
        };
    };
    let mut looked = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        match matches(
            rule,
            &variables,
            &Origin::default(),
            answers,
            &instance.name,
        ) {
            Matched::Missing => return Decision::Missing,
            Matched::Failed(message) => return Decision::Failed(message),
            Matched::No(traces) => {
                looked.push(traces.looked(format!("rules[{number}]"), rule, false));
            }
            Matched::Yes(traces) => {
                let entry = format!("rules[{number}]");
                looked.push(traces.looked(entry.clone(), rule, true));
                let why = Why {
                    when: rule.when.clone(),
                    looked_at: looked,
                    ..Why::new(entry, rule.span)
                };
                let why = layers.told(why, &variables);
                if rule.when.as_deref() == Some("never") {
                    return Decision::Out(why);
                }
                chosen.why = why;
                apply(rule, names, &mut chosen);
                return Decision::In(Box::new(chosen));
            }
        }
    }
    let why = Why {
        looked_at: looked,
        ..Why::new("no rule matched", job.span)
    };
    Decision::Out(layers.told(why, &variables))
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

/// `only` and `except`: whether they let the job in and why; `None` while answers are missing.
///
/// Every part of `only` has to hold, none of `except` may. The first that does otherwise decides, else the last part of `only`.
fn policies(
    context: &Context,
    job: &crate::job::Job,
    variables: &[Variable],
    answers: &mut Answers,
) -> Option<(bool, Why)> {
    let mut why = Why::new("always", job.span);
    let default = json!({"refs": ["branches", "tags"]});
    let bare = job.except.is_none() && job.only.as_ref() == Some(&default);
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
                    why.decided_by.push_str(" (default)");
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
    variables: &[Variable],
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
        entry: format!("{word}:{key}"),
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
        looked.condition = Some(refs.join(", "));
        parts.push(looked);
    }
    if policy.get("kubernetes").is_some() {
        let active = lookup(variables, "CI_KUBERNETES_ACTIVE") == Some("true");
        parts.push(part("kubernetes", active));
    }
    if let Some(list) = strings("variables") {
        let mut looked = part("variables", false);
        looked.condition = Some(list.join(", "));
        for expr in list.iter().filter_map(|text| Expr::parse(text).ok()) {
            let (truthful, atoms) = holds(&expr, variables);
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
        let found = match path_rule(kind, &rule, variables, &Origin::default(), answers) {
            PathOutcome::Found(found) => found,
            PathOutcome::Missing => return None,
            PathOutcome::Failed(_) => PathMatch::assumed(None),
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
            let message = format!(
                "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
                 To need a job that sometimes does not exist in the pipeline, use needs:optional."
            );
            let absent = result.absent.iter().find(|(name, _)| name == other);
            let help = absent
                .map(|(_, why)| format!("`{other}` is not in this pipeline: {}", why.decided_by));
            let fault = Diagnostic::new(message, job.instance.job.span).with_help(help);
            result.errors.push(fault);
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
        let message = "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.";
        result
            .errors
            .push(Diagnostic::new(message, Span::default()));
    }
}
