//! `rules` of jobs, the workflow and includes (`ci-yaml.md §9`, `§11`).

use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json};

pub use super::rule_paths::PathRule;
use super::{
    needs::{NeedKind, WrittenNeed, needs},
    rule_paths::{changes, exists, long_paths},
    variables::{self, YamlVariable},
};
use crate::{
    check::{Check, flat, given, json as to_json, text},
    expr::Condition,
    yaml::{Map, Node, Span, Value},
};

const MAX_DEPTH: usize = 10;
const WEEK: f64 = 604_800.0;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a job.
    Job,
    /// Of `workflow`.
    Workflow,
    /// Of an include.
    Include,
}

/// One rule.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Where it stands.
    pub span: Span,
    /// The condition.
    pub condition: Option<Arc<Condition>>,
    /// `changes`.
    pub changes: Option<Box<PathRule>>,
    /// `exists`.
    pub exists: Option<Box<PathRule>>,
    /// `when`.
    pub when: Option<&'static str>,
    /// `start_in`, as written.
    pub start_in: Option<String>,
    /// `allow_failure`.
    pub allow_failure: Option<bool>,
    /// `interruptible`.
    pub interruptible: Option<bool>,
    /// `variables`.
    pub variables: Vec<YamlVariable>,
    /// `needs`.
    pub needs: Option<Vec<WrittenNeed>>,
    /// `auto_cancel` of the workflow, as JSON.
    pub auto_cancel: Option<Box<Json>>,
    /// As it was written.
    written: Option<Node>,
}

impl Rule {
    /// The whole rule in long form.
    pub fn json(&self) -> Json {
        let written = self.written.as_ref().and_then(Node::as_map);
        let entries = written.iter().flat_map(|map| map.iter());
        let mut long: JsonMap<String, Json> = entries
            .filter(|entry| !entry.value.is_null())
            .map(|entry| (text(&entry.key), to_json(&entry.value)))
            .collect();
        for (key, paths) in [("changes", &self.changes), ("exists", &self.exists)] {
            long.extend(
                paths
                    .as_ref()
                    .map(|paths| (key.to_owned(), long_paths(paths))),
            );
        }
        if long.contains_key("variables") {
            long.insert("variables".to_owned(), variables::to_json(&self.variables));
        }
        Json::Object(long)
    }

    /// It says nothing but when the job runs.
    pub(crate) fn says_only_when(&self) -> bool {
        let written = self.written.as_ref().and_then(Node::as_map);
        let mut entries = written.iter().flat_map(|map| map.iter());
        let mut said = entries.by_ref().filter(|entry| !entry.value.is_null());
        said.next()
            .is_some_and(|entry| entry.key.as_str() == Some("when"))
            && said.next().is_none()
    }
}

/// Whether a job's rules are rules at all: mappings, in lists within lists. The location of this one fault is the job's.
pub fn are_rules(check: &mut Check, job: &str, node: &Node) -> bool {
    let fits = node.as_seq().is_some_and(|items| nested(items, 1));
    if !fits {
        check.error(
            node.span,
            format!("{job} rules should be an array containing hashes and arrays of hashes"),
        );
    }
    fits
}

fn nested(items: &[Node], depth: usize) -> bool {
    items.iter().all(|item| match item.as_seq() {
        Some(inner) => depth < MAX_DEPTH && nested(inner, depth + 1),
        None => item.as_map().is_some(),
    })
}

/// Reads a list of rules; nested lists are flattened.
pub fn rules(check: &mut Check, at: &str, node: &Node, kind: Kind) -> Option<Vec<Rule>> {
    if node.as_seq().is_none() {
        check.error(node.span, format!("{at} config should be a array"));
        return None;
    }
    let at = format!("{at}:rule");
    let items = flat(node);
    // Most jobs have one rule, and rules are large.
    let mut rules = Vec::with_capacity(items.len());
    for item in items {
        rules.extend(
            check
                .map(&at, item)
                .map(|map| rule(check, &at, item, map, kind)),
        );
    }
    Some(rules)
}

const OF_JOBS: [&str; 9] = [
    "if",
    "changes",
    "exists",
    "when",
    "start_in",
    "allow_failure",
    "variables",
    "needs",
    "interruptible",
];
const OF_WORKFLOWS: [&str; 6] = [
    "if",
    "changes",
    "exists",
    "when",
    "variables",
    "auto_cancel",
];
const OF_INCLUDES: [&str; 4] = ["if", "changes", "exists", "when"];

fn rule(check: &mut Check, at: &str, node: &Node, map: &Map, kind: Kind) -> Rule {
    let mut rule = Rule {
        span: node.span,
        written: Some(node.clone()),
        ..Rule::default()
    };
    let faults = check.faults();
    check.unknown_keys(
        at,
        map,
        match kind {
            Kind::Job => &OF_JOBS,
            Kind::Workflow => &OF_WORKFLOWS,
            Kind::Include => &OF_INCLUDES,
        },
    );
    if map.is_empty() {
        check.error(node.span, format!("{at} config can't be blank"));
    }
    if let Some(value) = given(map, "if") {
        rule.condition = condition(check, at, value);
    }
    outcome(check, at, node, map, kind, &mut rule);
    if check.sound_since(faults) {
        parts(check, at, map, &mut rule);
    }
    rule
}

fn condition(check: &mut Check, at: &str, node: &Node) -> Option<Arc<Condition>> {
    let read = node.as_str().and_then(|text| check.condition(text).ok());
    if read.is_none() {
        check.error(node.span, format!("{at} if invalid expression syntax"));
    }
    read
}

/// The keywords inside a rule, looked at when the rule itself is sound.
fn parts(check: &mut Check, at: &str, map: &Map, rule: &mut Rule) {
    if let Some(value) = given(map, "changes") {
        rule.changes = changes(check, &format!("{at}:changes"), value).map(Box::new);
    }
    if let Some(value) = given(map, "exists") {
        rule.exists = exists(check, &format!("{at}:exists"), value).map(Box::new);
    }
    if let Some(value) = given(map, "variables") {
        rule.variables = variables::of_job(check, &format!("{at}:variables"), value);
    }
    if let Some(value) = given(map, "needs") {
        let at = format!("{at}:needs");
        rule.needs = needs(check, &at, value, &[NeedKind::Job]).map(|needs| needs.jobs);
    }
    if let Some(value) = given(map, "auto_cancel") {
        let at = format!("{at}:auto_cancel");
        rule.auto_cancel = super::workflow::auto_cancel(check, &at, value).map(Box::new);
    }
}

fn outcome(check: &mut Check, at: &str, node: &Node, map: &Map, kind: Kind, rule: &mut Rule) {
    if let Some(value) = given(map, "when") {
        let words: &[&'static str] = if kind == Kind::Job {
            &[
                "on_success",
                "on_failure",
                "always",
                "never",
                "manual",
                "delayed",
            ]
        } else {
            &["always", "never"]
        };
        let known = |word| words.iter().copied().find(|known| *known == word);
        match value.as_str().and_then(known) {
            Some(word) => rule.when = Some(word),
            None => check.unknown_word(
                value,
                format!("{at} when unknown value: {}", text(value)),
                words,
            ),
        }
    }
    if kind == Kind::Job {
        delay(check, at, node, map, rule);
    }
    rule.allow_failure =
        given(map, "allow_failure").and_then(|value| check.boolean(at, "allow failure", value));
    rule.interruptible =
        given(map, "interruptible").and_then(|value| check.boolean(at, "interruptible", value));
}

/// `start_in` goes with `when: delayed`, and only with it.
fn delay(check: &mut Check, at: &str, node: &Node, map: &Map, rule: &mut Rule) {
    let start = map.get("start_in");
    if rule.when == Some("delayed") {
        let start = start.unwrap_or(&NOTHING);
        let span = if start.is_null() {
            node.span
        } else {
            start.span
        };
        check.present(at, "start in", span, Some(start));
        check.duration(
            at,
            "start in",
            &Node::new(start.value.clone(), span),
            Some(WEEK),
        );
        rule.start_in = start.as_str().map(str::to_owned);
    } else if let Some(start) = start {
        check.error(
            start.span,
            format!("{at} config contains disallowed keys: start_in"),
        );
    }
}

static NOTHING: Node = Node {
    value: Value::Null,
    span: Span {
        file: 0,
        line: 0,
        column: 0,
    },
};
