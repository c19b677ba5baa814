//! `rules` of jobs, the workflow and includes (`ci-yaml.md §9`, `§11`).

use serde_json::{Map as JsonMap, Value as Json, json};

use super::{
    needs::{WrittenNeed, needs},
    variables::{self, YamlVariable},
};
use crate::{
    check::{Check, given, json as to_json, string_list, text},
    expr::Expr,
    yaml::{Map, Node, Span, Value},
};

const MAX_PATTERNS: usize = 50;
const MAX_REGEXP: usize = 255;
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

/// `changes` or `exists`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathRule {
    /// Globs.
    pub paths: Option<Vec<String>>,
    /// One pattern.
    pub regexp: Option<String>,
    /// Other project.
    pub project: Option<String>,
    /// Its ref.
    pub git_ref: Option<String>,
    /// `compare_to` of `changes`.
    pub compare_to: Option<String>,
}

impl PathRule {
    /// Its patterns as they were written.
    pub fn written(&self) -> Vec<String> {
        let paths = self.paths.iter().flatten().cloned();
        paths
            .chain(self.regexp.iter().map(|regexp| format!("/{regexp}/")))
            .collect()
    }
}

/// One rule.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Where it stands.
    pub span: Span,
    /// The condition as written, and read.
    pub condition: Option<(String, Expr)>,
    /// `changes`.
    pub changes: Option<PathRule>,
    /// `exists`.
    pub exists: Option<PathRule>,
    /// `when`.
    pub when: Option<String>,
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
    pub auto_cancel: Option<Json>,
    /// The whole rule in long form.
    pub json: Json,
}

/// Reads a list of rules; nested lists are flattened.
pub fn rules(check: &mut Check, at: &str, node: &Node, kind: Kind) -> Option<Vec<Rule>> {
    let mut flat = Vec::new();
    let fits = node
        .as_seq()
        .is_some_and(|items| flatten(items, 1, &mut flat));
    if !fits {
        // The location of this one fault is the job's, its attribute `rules`.
        let owner = at.strip_suffix(":rules").unwrap_or(at);
        check.error(
            node.span,
            format!("{owner} rules should be an array containing hashes and arrays of hashes"),
        );
        return None;
    }
    let at = format!("{at}:rule");
    Some(
        flat.into_iter()
            .filter_map(|item| item.as_map().map(|map| rule(check, &at, item, map, kind)))
            .collect(),
    )
}

fn flatten<'n>(items: &'n [Node], depth: usize, flat: &mut Vec<&'n Node>) -> bool {
    items.iter().all(|item| match (&item.value, item.as_seq()) {
        (Value::Map(_), _) => {
            flat.push(item);
            true
        }
        (_, Some(inner)) => depth < 10 && flatten(inner, depth + 1, flat),
        _ => false,
    })
}

fn rule(check: &mut Check, at: &str, node: &Node, map: &Map, kind: Kind) -> Rule {
    let allowed: &[&str] = match kind {
        Kind::Job => &[
            "if",
            "changes",
            "exists",
            "when",
            "start_in",
            "allow_failure",
            "variables",
            "needs",
            "interruptible",
        ],
        Kind::Workflow => &[
            "if",
            "changes",
            "exists",
            "when",
            "variables",
            "auto_cancel",
        ],
        Kind::Include => &["if", "changes", "exists", "when"],
    };
    check.unknown_keys(at, map, allowed);
    if map.is_empty() {
        check.error(node.span, format!("{at} config can't be blank"));
    }
    let mut rule = Rule {
        span: node.span,
        ..Rule::default()
    };
    let mut long = JsonMap::new();
    for entry in map.iter().filter(|entry| !entry.value.is_null()) {
        long.insert(text(&entry.key), to_json(&entry.value));
    }
    if let Some(value) = given(map, "if") {
        match value
            .as_str()
            .map(|written| (written, Expr::parse(written)))
        {
            Some((written, Ok(expr))) => rule.condition = Some((written.to_owned(), expr)),
            Some((_, Err(_))) => {
                check.error(value.span, format!("{at} if invalid expression syntax"));
            }
            None => check.error(value.span, format!("{at} if should be a string")),
        }
    }
    if let Some(value) = given(map, "changes") {
        rule.changes = changes(check, &format!("{at}:changes"), value);
        long.extend(
            rule.changes
                .as_ref()
                .map(|changes| ("changes".to_owned(), long_paths(changes))),
        );
    }
    if let Some(value) = given(map, "exists") {
        rule.exists = exists(check, &format!("{at}:exists"), value);
        long.extend(
            rule.exists
                .as_ref()
                .map(|exists| ("exists".to_owned(), long_paths(exists))),
        );
    }
    outcome(check, at, node, map, kind, &mut rule);
    if let Some(value) = given(map, "variables") {
        rule.variables = variables::of_job(check, &format!("{at}:variables"), value);
        long.insert("variables".to_owned(), variables::to_json(&rule.variables));
    }
    if let Some(value) = given(map, "needs") {
        let at = format!("{at}:needs");
        rule.needs = needs(check, &at, value).map(|needs| {
            if needs.bridge.is_some() || !needs.cross.is_empty() {
                let kind = if needs.bridge.is_some() {
                    "bridge"
                } else {
                    "cross_dependency"
                };
                check.error(
                    value.span,
                    format!("{at} config uses invalid types: {kind}"),
                );
            }
            needs.jobs
        });
    }
    if let Some(value) = given(map, "auto_cancel") {
        rule.auto_cancel = super::workflow::auto_cancel(check, &format!("{at}:auto_cancel"), value);
    }
    rule.json = Json::Object(long);
    rule
}

fn outcome(check: &mut Check, at: &str, node: &Node, map: &Map, kind: Kind, rule: &mut Rule) {
    if let Some(value) = given(map, "when") {
        let words: &[&str] = if kind == Kind::Job {
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
        match value.as_str().filter(|word| words.contains(word)) {
            Some(word) => rule.when = Some(word.to_owned()),
            None => check.error(
                value.span,
                format!("{at} when unknown value: {}", text(value)),
            ),
        }
    }
    if kind == Kind::Job {
        let delayed = rule.when.as_deref() == Some("delayed");
        match given(map, "start_in") {
            None if delayed => check.error(node.span, format!("{at} start in can't be blank")),
            Some(value) if !delayed => check.error(
                value.span,
                format!("{at} config contains disallowed keys: start_in"),
            ),
            Some(value) => {
                check.duration(at, "start in", value, Some(WEEK));
                rule.start_in = value.as_str().map(str::to_owned);
            }
            None => {}
        }
    }
    rule.allow_failure =
        given(map, "allow_failure").and_then(|value| check.boolean(at, "allow failure", value));
    rule.interruptible =
        given(map, "interruptible").and_then(|value| check.boolean(at, "interruptible", value));
}

fn long_paths(rule: &PathRule) -> Json {
    let mut out = JsonMap::new();
    for (key, value) in [
        ("paths", rule.paths.as_ref().map(|paths| json!(paths))),
        ("regexp", rule.regexp.as_ref().map(|text| json!(text))),
        ("project", rule.project.as_ref().map(|text| json!(text))),
        ("ref", rule.git_ref.as_ref().map(|text| json!(text))),
        (
            "compare_to",
            rule.compare_to.as_ref().map(|text| json!(text)),
        ),
    ] {
        out.extend(value.map(|value| (key.to_owned(), value)));
    }
    Json::Object(out)
}

fn path_list(check: &mut Check, at: &str, attribute: &str, node: &Node) -> Option<Vec<String>> {
    let list = string_list(node);
    match &list {
        None => check.error(
            node.span,
            format!("{at} {attribute} should be an array of strings"),
        ),
        Some(list) if list.len() > MAX_PATTERNS => check.error(
            node.span,
            format!("{at} {attribute} has too many entries (maximum {MAX_PATTERNS})"),
        ),
        Some(_) => {}
    }
    list
}

fn changes(check: &mut Check, at: &str, node: &Node) -> Option<PathRule> {
    match &node.value {
        Value::Seq(_) => Some(PathRule {
            paths: path_list(check, at, "config", node),
            ..PathRule::default()
        }),
        Value::Map(map) => {
            check.unknown_keys(at, map, &["paths", "regexp", "compare_to"]);
            let mut rule = path_map(check, at, node, map);
            rule.compare_to =
                given(map, "compare_to").and_then(|value| check.string(at, "compare to", value));
            Some(rule)
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config should be an array or a hash"),
            );
            None
        }
    }
}

fn exists(check: &mut Check, at: &str, node: &Node) -> Option<PathRule> {
    match &node.value {
        Value::Str(path) | Value::Symbol(path) => Some(PathRule {
            paths: Some(vec![path.to_string()]),
            ..PathRule::default()
        }),
        Value::Seq(_) => Some(PathRule {
            paths: path_list(check, at, "config", node),
            ..PathRule::default()
        }),
        Value::Map(map) => {
            check.unknown_keys(at, map, &["paths", "regexp", "project", "ref"]);
            let mut rule = path_map(check, at, node, map);
            rule.project =
                given(map, "project").and_then(|value| check.string(at, "project", value));
            rule.git_ref = given(map, "ref").and_then(|value| check.string(at, "ref", value));
            Some(rule)
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a string, an array of strings, or a hash"),
            );
            None
        }
    }
}

fn path_map(check: &mut Check, at: &str, node: &Node, map: &Map) -> PathRule {
    let (paths, regexp) = (given(map, "paths"), given(map, "regexp"));
    if paths.is_some() == regexp.is_some() {
        check.error(
            node.span,
            format!("{at} config must use exactly one of these keys: paths, regexp"),
        );
    }
    let mut rule = PathRule {
        paths: paths.and_then(|paths| path_list(check, at, "paths", paths)),
        ..PathRule::default()
    };
    if let Some(value) = regexp
        && let Some(pattern) = check.string(at, "regexp", value)
    {
        if pattern.chars().count() > MAX_REGEXP {
            check.error(
                value.span,
                format!("{at} regexp is too long (maximum is {MAX_REGEXP} characters)"),
            );
        } else if !balanced(&pattern) {
            check.error(value.span, format!("{at} regexp is invalid"));
        }
        rule.regexp = Some(pattern);
    }
    rule
}

/// Brackets and parentheses close; what Ruby alone knows is left to the evaluation.
fn balanced(pattern: &str) -> bool {
    let (mut groups, mut in_set, mut escaped) = (0_i32, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set = true,
            ']' => in_set = false,
            '(' if !in_set => groups += 1,
            ')' if !in_set => groups -= 1,
            _ => {}
        }
        if groups < 0 {
            return false;
        }
    }
    groups == 0 && !in_set && !escaped
}
