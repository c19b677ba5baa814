//! One job of the configuration in normal form (`ci-yaml.md §7`).

use footplate_model::JobKind;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::{
    check::{Check, flat, given, string_list, text},
    config::{DEFAULTS, Defaults},
    keywords::{
        self,
        needs::{NeedKind, Needs, needs},
        only,
        parallel::{Parallel, parallel},
        rules::{self, Kind, Rule},
        variables::{self, YamlVariable},
    },
    patterns,
    yaml::{Map, Node, Span, Value},
};

const COMMON: [&str; 12] = [
    "stage",
    "extends",
    "only",
    "except",
    "rules",
    "variables",
    "inherit",
    "allow_failure",
    "when",
    "needs",
    "resource_group",
    "environment",
];
const BUILD: [&str; 26] = [
    "interruptible",
    "script",
    "before_script",
    "after_script",
    "run",
    "image",
    "services",
    "tags",
    "start_in",
    "artifacts",
    "cache",
    "dependencies",
    "hooks",
    "coverage",
    "retry",
    "parallel",
    "timeout",
    "release",
    "id_tokens",
    "identity",
    "secrets",
    "publish",
    "pages",
    "manual_confirmation",
    "dast_configuration",
    "inputs",
];
const BRIDGE: [&str; 4] = [
    "interruptible",
    "trigger",
    "parallel",
    "manual_confirmation",
];
const WEEK: f64 = 604_800.0;
const MAX_NAME: usize = 255;

/// Which root variables reach a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inherit {
    /// All.
    All,
    /// None.
    Nothing,
    /// These.
    Named(Vec<String>),
}

impl Inherit {
    /// Whether this name is inherited.
    pub fn lets(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Named(names) => names.iter().any(|known| known == name),
        }
    }

    /// As it was written.
    pub fn json(&self) -> Json {
        match self {
            Self::All => json!(true),
            Self::Nothing => json!(false),
            Self::Named(names) => json!(names),
        }
    }
}

/// A job, before `parallel` is expanded and rules are evaluated.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name.
    pub name: String,
    /// Where its key stands.
    pub span: Span,
    /// Build or bridge.
    pub kind: JobKind,
    /// Name of its stage.
    pub stage: String,
    /// `when` of the job itself.
    pub when: String,
    /// `start_in`, as written.
    pub start_in: Option<String>,
    /// May fail, by its own word or as a manual job.
    pub allow_failure: bool,
    /// Exit codes that may be.
    pub exit_codes: Option<Vec<i64>>,
    /// Its own variables.
    pub variables: Vec<YamlVariable>,
    /// Which root variables it takes.
    pub inherit_variables: Inherit,
    /// Needs; `None` = follows the stages.
    pub needs: Option<Needs>,
    /// `dependencies`.
    pub dependencies: Option<Vec<String>>,
    /// `only` in long form, with its default.
    pub only: Option<Json>,
    /// `except` in long form.
    pub except: Option<Json>,
    /// `rules`; `None` = none were given.
    pub rules: Option<Vec<Rule>>,
    /// `parallel`.
    pub parallel: Option<Parallel>,
    /// Every other keyword in normal form.
    pub keywords: JsonMap<String, Json>,
}

/// Reads a job; `None` after a fault that leaves nothing of it.
pub fn read(
    check: &mut Check,
    name: &str,
    key: &Node,
    node: &Node,
    defaults: &Defaults,
    workflow_rules: bool,
) -> Option<Job> {
    let at = format!("jobs:{}", if name.is_empty() { "job" } else { name });
    let faults = check.faults();
    if name.trim().is_empty() {
        check.error(key.span, format!("{at} name can't be blank"));
    }
    if name.chars().count() > MAX_NAME {
        check.error(
            key.span,
            format!("{at} name is too long (maximum is {MAX_NAME} characters)"),
        );
    }
    let map = node.as_map()?;
    let kind = kind_of(map)?;
    let mut job = Job {
        name: name.to_owned(),
        span: key.span,
        kind,
        stage: "test".to_owned(),
        when: "on_success".to_owned(),
        start_in: None,
        allow_failure: false,
        exit_codes: None,
        variables: Vec::new(),
        inherit_variables: Inherit::All,
        needs: None,
        dependencies: None,
        only: None,
        except: None,
        rules: None,
        parallel: None,
        keywords: JsonMap::new(),
    };
    own(check, &at, node, map, &mut job);
    // What a job holds is looked into only when the job itself is sound.
    if !check.sound_since(faults) {
        if kind == JobKind::Bridge {
            // GitLab looks for what was not looked into, and does not find it.
            no_bridge(check, &at, node);
        }
        return None;
    }
    if let Some(stage) = given(map, "stage") {
        match stage.as_str().filter(|stage| !stage.is_empty()) {
            Some(stage) => stage.clone_into(&mut job.stage),
            None => check.error(stage.span, format!("{at}:stage config should be a string")),
        }
    }
    if let Some(list) = given(map, "variables") {
        job.variables = variables::of_job(check, &format!("{at}:variables"), list);
    }
    let inherited = inherit(check, &at, given(map, "inherit"), &mut job);
    failure(check, &at, map, &mut job);
    graph(check, &at, node, map, &mut job);
    policies(check, &at, map, workflow_rules, &mut job);
    others(check, &at, map, &mut job);
    if let Some(value) = given(map, "parallel") {
        job.parallel = parallel(
            check,
            &format!("{at}:parallel"),
            value,
            kind == JobKind::Bridge,
        );
    }
    take_defaults(&inherited, defaults, map, &mut job);
    Some(job)
}

/// Whether an entry at the root is a job.
pub fn is_job(node: &Node) -> bool {
    node.as_map().and_then(kind_of).is_some()
}

/// By its keys, whatever their values.
fn kind_of(map: &Map) -> Option<JobKind> {
    let has = |key: &str| map.get(key).is_some();
    if has("script") || has("run") {
        return Some(JobKind::Build);
    }
    let mirrors = |needs: &Node| {
        flat(needs)
            .into_iter()
            .filter_map(Node::as_map)
            .any(|need| need.get("pipeline").is_some() && need.get("job").is_none())
    };
    (has("trigger") || map.get("needs").is_some_and(mirrors)).then_some(JobKind::Bridge)
}

/// What is checked of the job itself, before what it holds.
fn own(check: &mut Check, at: &str, node: &Node, map: &Map, job: &mut Job) {
    keys(check, at, node, map, job.kind);
    timing(check, at, map, job);
    if let Some(value) = given(map, "allow_failure") {
        let text = match (job.kind, &value.value) {
            (_, Value::Bool(_)) | (JobKind::Build, Value::Map(_)) => None,
            (JobKind::Build, _) => Some("should be a hash or a boolean value"),
            _ => Some("should be a boolean value"),
        };
        if let Some(text) = text {
            check.error(value.span, format!("{at} allow failure {text}"));
        }
    }
    if let Some(value) = given(map, "rules") {
        rules::are_rules(check, at, value);
    }
    if job.kind == JobKind::Build {
        own_of_build(check, at, map, job);
    }
    if let Some(value) = given(map, "resource_group") {
        let group = check.string(at, "resource group", value);
        job.keywords
            .extend(group.map(|group| ("resource_group".to_owned(), group.into())));
    }
    if let Some(value) = given(map, "manual_confirmation") {
        let confirmation = check.string(at, "manual confirmation", value);
        job.keywords
            .extend(confirmation.map(|text| ("manual_confirmation".to_owned(), text.into())));
    }
}

fn own_of_build(check: &mut Check, at: &str, map: &Map, job: &mut Job) {
    if let Some(value) = given(map, "dependencies") {
        job.dependencies = check.strings(at, "dependencies", value);
    }
    if let Some(value) = given(map, "run") {
        let steps = keywords::steps::run(check, &format!("{at}:run"), value);
        job.keywords
            .extend(steps.map(|steps| ("run".to_owned(), steps)));
    }
    let is_pages = match given(map, "pages").map(|pages| &pages.value) {
        None => job.name == "pages",
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Map(pages)) => !pages.is_empty() || job.name == "pages",
        Some(_) => true,
    };
    if let Some(value) = given(map, "publish").filter(|_| !is_pages) {
        check.error(
            value.span,
            format!("{at} publish can only be used within a `pages` job"),
        );
    }
}

fn keys(check: &mut Check, at: &str, node: &Node, map: &Map, kind: JobKind) {
    if kind == JobKind::Build && map.get("run").is_none() {
        check.present(at, "script", node.span, map.get("script"));
    }
    for pair in [["script", "trigger"], ["run", "trigger"], ["script", "run"]] {
        check.exclusive_keys(at, node, map, &pair);
    }
    let mut allowed = COMMON.to_vec();
    allowed.extend(if kind == JobKind::Bridge {
        &BRIDGE[..]
    } else {
        &BUILD[..]
    });
    check.unknown_keys(at, map, &allowed);
    if given(map, "rules").is_some() {
        let refused: Vec<&str> = map
            .iter()
            .filter(|entry| !entry.value.is_null())
            .filter_map(|entry| entry.key.as_str())
            .filter(|key| ["only", "except", "start_in"].contains(key))
            .collect();
        if !refused.is_empty() {
            check.error(
                node.span,
                format!(
                    "{at} config key may not be used with `rules`: {}",
                    refused.join(", ")
                ),
            );
        }
    }
}

/// Which defaults a job takes.
fn inherit(check: &mut Check, at: &str, node: Option<&Node>, job: &mut Job) -> Inherit {
    let Some(node) = node else {
        return Inherit::All;
    };
    let at = format!("{at}:inherit");
    let Some(map) = check.map(&at, node) else {
        return Inherit::All;
    };
    let faults = check.faults();
    check.unknown_keys(&at, map, &["default", "variables"]);
    if !check.sound_since(faults) {
        return Inherit::All;
    }
    let mut read = |key: &str| match given(map, key).map(|value| (value, &value.value)) {
        None | Some((_, Value::Bool(true))) => Inherit::All,
        Some((_, Value::Bool(false))) => Inherit::Nothing,
        Some((value, _)) => match string_list(value) {
            Some(names) => {
                let unknown: Vec<&str> = names
                    .iter()
                    .map(String::as_str)
                    .filter(|name| key == "default" && !DEFAULTS.contains(name))
                    .collect();
                if !unknown.is_empty() {
                    check.error(
                        value.span,
                        format!(
                            "{at}:{key} config contains unknown values: {}",
                            unknown.join(", ")
                        ),
                    );
                }
                Inherit::Named(names)
            }
            None => {
                if value.as_seq().is_some() {
                    check.error(
                        value.span,
                        format!("{at}:{key} config should be an array of strings"),
                    );
                } else {
                    check.verbatim(
                        value.span,
                        format!("{at}:{key} should be a bool or array of strings"),
                    );
                }
                Inherit::All
            }
        },
    };
    job.inherit_variables = read("variables");
    read("default")
}

fn timing(check: &mut Check, at: &str, map: &Map, job: &mut Job) {
    let words: &[&str] = if job.kind == JobKind::Bridge {
        &["on_success", "on_failure", "always", "manual"]
    } else {
        &["on_success", "on_failure", "always", "manual", "delayed"]
    };
    if let Some(when) = given(map, "when") {
        job.when = check
            .one_of(at, "when", when, words)
            .unwrap_or_else(|| job.when.clone());
    }
    let (start, delayed) = (given(map, "start_in"), job.when == "delayed");
    if delayed {
        let nothing = Node::new(Value::Null, job.span);
        check.duration(at, "start in", start.unwrap_or(&nothing), Some(WEEK));
        job.start_in = start.and_then(Node::as_str).map(str::to_owned);
    }
    if let Some(start) = start.filter(|_| !delayed || given(map, "rules").is_some()) {
        check.error(start.span, format!("{at} start in must be blank"));
    }
}

fn failure(check: &mut Check, at: &str, map: &Map, job: &mut Job) {
    let Some(node) = given(map, "allow_failure") else {
        job.allow_failure = job.when == "manual";
        return;
    };
    match &node.value {
        Value::Bool(flag) => job.allow_failure = *flag,
        Value::Map(inner) => {
            let at = format!("{at}:allow_failure");
            check.unknown_keys(&at, inner, &["exit_codes"]);
            job.exit_codes = given(inner, "exit_codes")
                .and_then(|codes| check.integers(&at, "exit codes", codes));
        }
        _ => {}
    }
}

fn no_bridge(check: &mut Check, at: &str, node: &Node) {
    check.error(
        node.span,
        format!(
            "{at} config should contain one of the keywords; trigger, status or needs:pipeline"
        ),
    );
}

/// A job that only mirrors a pipeline follows the stages.
fn mirror(job: &mut Job, pipeline: String) {
    job.keywords
        .insert("bridge_needs".to_owned(), json!({"pipeline": pipeline}));
    job.needs.take_if(|needs| needs.jobs.is_empty());
}

fn graph(check: &mut Check, at: &str, node: &Node, map: &Map, job: &mut Job) {
    if let Some(value) = given(map, "needs") {
        let allowed = if job.kind == JobKind::Bridge {
            [NeedKind::Job, NeedKind::Bridge]
        } else {
            [NeedKind::Job, NeedKind::CrossDependency]
        };
        job.needs = needs(check, &format!("{at}:needs"), value, &allowed);
    }
    let mirrored = job.needs.as_ref().and_then(|needs| needs.bridge.clone());
    if job.kind == JobKind::Bridge && given(map, "trigger").is_none() {
        match mirrored {
            Some(pipeline) => mirror(job, pipeline),
            None => no_bridge(check, at, node),
        }
    }
    let Some(value) = given(map, "dependencies") else {
        return;
    };
    let (Some(dependencies), Some(needs)) = (&job.dependencies, &job.needs) else {
        return;
    };
    if needs.jobs.is_empty() && needs.cross.is_empty() {
        return;
    }
    let missing: Vec<&str> = dependencies
        .iter()
        .map(String::as_str)
        .filter(|name| !needs.jobs.iter().any(|need| need.job == *name))
        .collect();
    if needs.jobs.is_empty() && !needs.cross.is_empty() && !dependencies.is_empty() {
        check.error(
            value.span,
            format!("{at} needs corresponding to dependencies must be from the same pipeline"),
        );
    } else if !missing.is_empty() {
        check.error(
            value.span,
            format!(
                "{at} dependencies the {} should be part of needs",
                missing.join(", ")
            ),
        );
    }
}

fn policies(check: &mut Check, at: &str, map: &Map, workflow_rules: bool, job: &mut Job) {
    if let Some(node) = given(map, "rules") {
        job.rules =
            Some(rules::rules(check, &format!("{at}:rules"), node, Kind::Job).unwrap_or_default());
        if !workflow_rules {
            warn_of_duplicates(check, at, node, job);
        }
        return;
    }
    if let Some(node) = given(map, "only") {
        job.only = only::policy(check, &format!("{at}:only"), node);
    }
    if let Some(node) = given(map, "except") {
        job.except = only::policy(check, &format!("{at}:except"), node);
    }
    if !workflow_rules {
        let mut with_default =
            JsonMap::from_iter([("refs".to_owned(), json!(["branches", "tags"]))]);
        if let Some(Json::Object(own)) = job.only.take() {
            with_default.extend(own);
        }
        job.only = Some(Json::Object(with_default));
    }
}

fn warn_of_duplicates(check: &mut Check, at: &str, node: &Node, job: &Job) {
    let last = job.rules.as_ref().and_then(|rules| rules.last());
    let bare = last.is_some_and(|rule| {
        rule.when.as_deref().is_some_and(|when| when != "never")
            && rule.condition.is_none()
            && rule.changes.is_none()
            && rule.exists.is_none()
    });
    if bare {
        let message = format!(
            "{at} may allow multiple pipelines to run for a single action due to `rules:when` clause with no `workflow:rules` - read more: \
             https://docs.gitlab.com/ci/jobs/job_troubleshooting/#job-may-allow-multiple-pipelines-to-run-for-a-single-action-warning"
        );
        check
            .warnings
            .push(crate::diagnostic::Diagnostic::new(message, node.span));
    }
}

/// Keywords that stand for themselves.
fn others(check: &mut Check, at: &str, map: &Map, job: &mut Job) {
    for (name, keyword) in crate::keywords::PLAIN {
        if let Some(value) = given(map, name) {
            job.keywords.extend(
                keyword(check, &format!("{at}:{name}"), value)
                    .map(|value| (name.to_owned(), value)),
            );
        }
    }
    if let Some(value) = given(map, "coverage") {
        match value.as_str().map(patterns::parse) {
            Some(Ok(_)) => {
                let text = text(value);
                let end = text.rfind('/').unwrap_or(text.len());
                job.keywords
                    .insert("coverage_regex".to_owned(), text[1..end].into());
            }
            Some(Err(_)) | None => check.error(
                value.span,
                format!("{at} coverage must be a regular expression with re2 syntax"),
            ),
        }
    }
}

fn take_defaults(inherited: &Inherit, defaults: &Defaults, map: &Map, job: &mut Job) {
    for (name, value) in defaults {
        let applies = job.kind == JobKind::Build || name == "interruptible";
        // A job's own value counts even when it is empty; `timeout` of `default` has no effect.
        if applies && name != "timeout" && inherited.lets(name) && given(map, name).is_none() {
            job.keywords.insert(name.clone(), value.clone());
        }
    }
}
