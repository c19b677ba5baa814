//! One job of the configuration in normal form (`ci-yaml.md §7`).
//!
//! A job is asked in two steps, as GitLab does it: first what it says itself (its keys, `when`, `script`), and only where that is right
//! its keywords, each with its own checks. A fault of the first step hides those of the second.

mod keywords;
mod own;
mod parts;
mod places;

pub use keywords::Keywords;
pub(crate) use own::MAX_NAME;
pub(crate) use parts::DEFAULT_ONLY;
pub use places::Places;

use std::sync::Arc;

use footplate_model::JobKind;
use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given},
    config::Defaults,
    keywords::{needs::Needs, parallel::Parallel, rules::Rule, variables::YamlVariable},
    yaml::{Map, Node, Span},
};

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
    /// Where what it says of other jobs stands.
    pub places: Places,
    /// Build or bridge.
    pub kind: JobKind,
    /// Name of its stage.
    pub stage: String,
    /// `when` of the job itself.
    pub when: &'static str,
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
    pub needs: Option<Box<Needs>>,
    /// `dependencies`.
    pub dependencies: Option<Vec<String>>,
    /// `only` in long form, with its default.
    pub only: Option<Arc<Json>>,
    /// `except` in long form.
    pub except: Option<Arc<Json>>,
    /// `rules`; `None` = none were given.
    pub rules: Option<Vec<Rule>>,
    /// `parallel`.
    pub parallel: Option<Parallel>,
    /// Every other keyword in normal form.
    pub keywords: Keywords,
}

/// Which kind of job a value is; `None` = it is none. The keys count even when their values are null.
pub fn kind_of(node: &Node) -> Option<JobKind> {
    let map = node.as_map()?;
    let has = |key| map.get(key).is_some();
    if has("script") || has("run") {
        return Some(JobKind::Build);
    }
    (has("trigger") || mirrors(map)).then_some(JobKind::Bridge)
}

/// A need on a whole pipeline makes a status bridge.
fn mirrors(map: &Map) -> bool {
    let Some(needs) = given(map, "needs") else {
        return false;
    };
    let items = needs
        .as_seq()
        .unwrap_or_else(|| std::slice::from_ref(needs));
    let mut needs = items.iter().filter_map(Node::as_map);
    needs.any(|need| given(need, "pipeline").is_some() && given(need, "job").is_none())
}

/// A job while it is read.
struct Reader<'n> {
    /// Location of the job in messages.
    at: String,
    map: &'n Map,
    /// Where its key stands, for what is missing.
    span: Span,
    job: Job,
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
    let (Some(map), Some(kind)) = (node.as_map(), kind_of(node)) else {
        return None;
    };
    let mut reader = Reader {
        at: format!("jobs:{}", if name.is_empty() { "job" } else { name }),
        map,
        span: key.span,
        job: Job::new(name, key.span, kind),
    };
    let before = check.errors.len();
    // Rules are read once; what is wrong inside them belongs to the second step.
    let mut inner = check.inner();
    reader.own(check, &mut inner);
    if check.errors.len() > before {
        check.take(inner, false);
        if kind == JobKind::Bridge {
            // GitLab looks for what was not looked into, and does not find it.
            reader.no_bridge(check);
        }
        return None;
    }
    let inherited = reader.parts(&mut inner, workflow_rules);
    reader.composed(check);
    check.take(inner, true);
    take_defaults(&inherited, defaults, map, &mut reader.job);
    Some(reader.job)
}

impl Job {
    /// A job that says nothing of itself.
    pub(crate) fn new(name: &str, span: Span, kind: JobKind) -> Self {
        Self {
            name: name.to_owned(),
            span,
            places: Places::default(),
            kind,
            stage: "test".to_owned(),
            when: "on_success",
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
            keywords: Keywords::default(),
        }
    }
}

fn take_defaults(inherited: &Inherit, defaults: &Defaults, map: &Map, job: &mut Job) {
    for (name, value) in defaults {
        let applies = job.kind == JobKind::Build || *name == "interruptible";
        // A job's own value counts even when it is empty; `timeout` of `default` has no effect.
        if applies && *name != "timeout" && inherited.lets(name) && given(map, name).is_none() {
            job.keywords.share(name, Arc::clone(value));
        }
    }
}
