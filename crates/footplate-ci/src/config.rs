//! The merged tree as a configuration: root keywords, `default`, and jobs in normal form (`ci-yaml.md §6`, `§7`).

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    check::{Check, flatten, given, text},
    job::{self, Job},
    keywords::{
        plain,
        variables::{self, YamlVariable},
        workflow::{Workflow, workflow},
    },
    suggest::did_you_mean,
    yaml::{Entry, Map, Node, Span},
};

/// Keywords that `default` may hold.
pub const DEFAULTS: [&str; 13] = [
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
];
/// Their deprecated forms at the root.
const ROOT_DEFAULTS: [&str; 5] = [
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
];
const GLOBALS: [&str; 10] = [
    "default",
    "include",
    "stages",
    "variables",
    "workflow",
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
];
/// Keys that make an entry a job.
const MAKE_JOBS: [&str; 3] = ["script", "run", "trigger"];
const RESERVED: [&str; 4] = ["true", "false", "nil", "spec"];

/// A configuration whose own faults are known.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `.pre`, the listed ones, `.post`.
    pub stages: Vec<String>,
    /// Root variables.
    pub variables: Vec<YamlVariable>,
    /// Workflow.
    pub workflow: Workflow,
    /// Jobs, before `parallel` is expanded.
    pub jobs: Vec<Arc<Job>>,
}

/// Default keywords in normal form.
pub type Defaults = Vec<(&'static str, Arc<Json>)>;

/// Reads the merged tree.
pub fn read(check: &mut Check, root: &Map, span: Span) -> Config {
    check.begin_keywords();
    let workflow = given(root, "workflow")
        .map(|node| workflow(check, node))
        .unwrap_or_default();
    let has_workflow_rules = given(root, "workflow")
        .and_then(Node::as_map)
        .is_some_and(|map| map.get("rules").is_some());
    let stages = stages(check, given(root, "stages"));
    let variables = given(root, "variables")
        .map(|node| variables::of_root(check, "variables", node))
        .unwrap_or_default();
    let defaults = defaults(check, root);
    let jobs = jobs(check, root, span, &defaults, has_workflow_rules);
    Config {
        stages,
        variables,
        workflow,
        jobs,
    }
}

/// The visible jobs. A value that is no job at all hides the faults of every other.
fn jobs(
    check: &mut Check,
    root: &Map,
    span: Span,
    defaults: &Defaults,
    workflow_rules: bool,
) -> Vec<Arc<Job>> {
    let entries: Vec<_> = root.iter().filter(|entry| is_visible(entry)).collect();
    let (known, unknown): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| job::kind_of(&entry.value).is_some());
    for entry in &unknown {
        let name = text(&entry.key);
        let (span, help) = meant(entry, &name);
        check.error_with_help(span, crate::keywords::unmatched(&name), help);
    }
    if known.is_empty() {
        check.error(span, "jobs config should contain at least one visible job");
    }
    if !unknown.is_empty() {
        return Vec::new();
    }
    let mut jobs = Vec::with_capacity(known.len());
    for entry in known {
        let Some(name) = entry.key.as_str() else {
            check.error(
                entry.key.span,
                format!("jobs:{} name should be a symbol", text(&entry.key)),
            );
            continue;
        };
        if RESERVED[..3].contains(&name) {
            check.error(entry.key.span, format!("jobs:{name} name is reserved"));
        }
        let read = job::read(
            check,
            name,
            &entry.key,
            &entry.value,
            defaults,
            workflow_rules,
        );
        jobs.extend(read.map(Arc::new));
    }
    jobs
}

/// What an entry that is no job was probably meant to be, and the word that is wrong: a key of its own, or its name.
fn meant(entry: &Entry, name: &str) -> (Span, Option<String>) {
    let of_key = |key: &Node| Some((key.span, did_you_mean(key.as_str()?, MAKE_JOBS)?));
    let keys = entry.value.as_map().into_iter().flat_map(|map| map.iter());
    match keys.map(|entry| &entry.key).find_map(of_key) {
        Some((span, help)) => (span, Some(help)),
        None => (entry.key.span, did_you_mean(name, GLOBALS)),
    }
}

/// Neither hidden nor a keyword of the root.
fn is_visible(entry: &Entry) -> bool {
    let Some(name) = entry.key.as_str() else {
        return true;
    };
    let header = || {
        let map = entry.value.as_map();
        name == "spec" && map.is_none_or(|map| map.get("script").is_none())
    };
    !name.starts_with('.') && !GLOBALS.contains(&name) && !header()
}

fn stages(check: &mut Check, node: Option<&Node>) -> Vec<String> {
    let mut listed = Vec::new();
    match node {
        None => listed.extend(["build", "test", "deploy"].map(str::to_owned)),
        Some(node) => {
            if !node
                .as_seq()
                .is_some_and(|items| flatten(items, 1, &mut listed))
            {
                check.error(node.span, "stages config should be an array of strings or a nested array of strings up to 10 levels deep");
            }
        }
    }
    // An empty list says that there are no stages, not even the two at the ends.
    if listed.is_empty() {
        return listed;
    }
    listed.retain(|stage| stage != ".pre" && stage != ".post");
    let mut stages = vec![".pre".to_owned()];
    stages.append(&mut listed);
    stages.push(".post".to_owned());
    stages
}

fn defaults(check: &mut Check, root: &Map) -> Defaults {
    let mut defaults = Defaults::new();
    if let Some(node) = given(root, "default")
        && let Some(map) = check.map("default", node)
    {
        let faults = check.faults();
        check.unknown_keys("default", map, &DEFAULTS);
        let sound = check.sound_since(faults);
        for name in DEFAULTS.iter().copied().filter(|_| sound) {
            if let Some(value) = given(map, name)
                && let Some(keyword) = plain(name)
            {
                let value = keyword(check, &format!("default:{name}"), value);
                defaults.extend(value.map(|value| (name, Arc::new(value))));
            }
        }
    }
    for name in ROOT_DEFAULTS {
        let Some(value) = given(root, name) else {
            continue;
        };
        let place = defaults.iter().position(|(known, _)| *known == name);
        if place.is_some() {
            check.error(
                value.span,
                format!("default {name} is defined in top-level and `default:` entry"),
            );
        }
        if let Some(keyword) = plain(name) {
            let value = keyword(check, name, value).map(Arc::new);
            match (value, place) {
                (Some(value), Some(place)) => defaults[place].1 = value,
                (Some(value), None) => defaults.push((name, value)),
                (None, _) => {}
            }
        }
    }
    defaults
}
