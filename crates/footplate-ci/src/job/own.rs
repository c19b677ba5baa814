//! What a job itself is asked, before its keywords (`ci-yaml.md §7.3`, `§8.9`, `§8.10`).

use footplate_model::JobKind;

use super::{Reader, places::places_of_words};
use crate::{
    check::{Check, given},
    keywords::{
        rules::{Kind, are_rules, rules},
        steps,
    },
    yaml::{Node, Span, Value},
};

/// Keys of a build job.
const BUILD: [&str; 38] = [
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
/// Keys of a trigger job or status bridge.
const BRIDGE: [&str; 16] = [
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
    "interruptible",
    "trigger",
    "parallel",
    "manual_confirmation",
];
const WEEK: f64 = 604_800.0;
/// Characters of a job's name.
pub(crate) const MAX_NAME: usize = 255;

impl Reader<'_> {
    /// Every fault of the job's own; `inner` gets those inside its rules.
    pub(super) fn own(&mut self, check: &mut Check, inner: &mut Check) {
        let build = self.job.kind == JobKind::Build;
        self.name(check);
        self.together(check, &["script", "trigger"]);
        self.together(check, &["run", "trigger"]);
        self.beside_rules(check);
        self.rules(check, inner);
        self.text(check, "resource_group", "resource group");
        let allowed: &[&str] = if build { &BUILD } else { &BRIDGE };
        check.unknown_keys(&self.at, self.map, allowed);
        if build {
            self.together(check, &["script", "run"]);
            let script = self.map.get("script");
            if self.map.get("run").is_none() && script.is_none_or(is_blank) {
                let span = script.map_or(self.span, |script| script.span);
                check.error(span, format!("{} script can't be blank", self.at));
            }
        }
        self.when(check);
        if build && let Some(value) = given(self.map, "dependencies") {
            self.job.dependencies = check.strings(&self.at, "dependencies", value);
            self.job.places.dependencies = places_of_words(value);
        }
        self.allow_failure(check);
        self.text(check, "manual_confirmation", "manual confirmation");
        if build {
            if let Some(value) = given(self.map, "run") {
                let steps = steps::run(check, &format!("{}:run", self.at), value);
                if let Some(steps) = steps {
                    self.job.keywords.insert("run", steps);
                }
            }
            self.start_in(check);
            self.publish(check);
        }
    }

    fn name(&self, check: &mut Check) {
        let name = &self.job.name;
        if name.trim().is_empty() {
            check.error(self.span, format!("{} name can't be blank", self.at));
        }
        if name.chars().count() > MAX_NAME {
            check.error(
                self.span,
                format!(
                    "{} name is too long (maximum is {MAX_NAME} characters)",
                    self.at
                ),
            );
        }
    }

    /// The keys of the job out of a list, in the order in which they are written.
    fn written(&self, keys: &[&str], with_null: bool) -> Vec<(String, Span)> {
        self.map
            .iter()
            .filter(|entry| with_null || !entry.value.is_null())
            .filter_map(|entry| Some((entry.key.as_str()?, entry.key.span)))
            .filter(|(key, _)| keys.contains(key))
            .map(|(key, span)| (key.to_owned(), span))
            .collect()
    }

    fn together(&self, check: &mut Check, keys: &[&str]) {
        let found = self.written(keys, true);
        if let [_, (_, second), ..] = &found[..] {
            let message = format!(
                "{} config these keys cannot be used together: {}",
                self.at,
                listed(&found)
            );
            check.error(*second, message);
        }
    }

    fn beside_rules(&self, check: &mut Check) {
        if given(self.map, "rules").is_none() {
            return;
        }
        let refused = self.written(&["only", "except", "start_in"], false);
        if given(self.map, "rules").is_some()
            && let Some((_, first)) = refused.first()
        {
            let message = format!(
                "{} config key may not be used with `rules`: {}",
                self.at,
                listed(&refused)
            );
            check.error(*first, message);
        }
    }

    fn rules(&mut self, check: &mut Check, inner: &mut Check) {
        let Some(node) = given(self.map, "rules") else {
            return;
        };
        let list = are_rules(check, &self.at, node)
            .then(|| rules(inner, &format!("{}:rules", self.at), node, Kind::Job));
        self.job.rules = Some(list.flatten().unwrap_or_default());
    }

    fn text(&mut self, check: &mut Check, key: &'static str, attribute: &str) {
        if let Some(value) = given(self.map, key)
            && let Some(text) = check.string(&self.at, attribute, value)
        {
            self.job.keywords.insert(key, text.into());
        }
    }

    fn when(&mut self, check: &mut Check) {
        let Some(when) = given(self.map, "when") else {
            return;
        };
        let words = ["on_success", "on_failure", "always", "manual", "delayed"];
        let words = &words[..if self.job.kind == JobKind::Bridge {
            4
        } else {
            5
        }];
        if let Some(word) = check.one_of(&self.at, "when", when, words) {
            let known = words.iter().copied().find(|known| *known == word);
            self.job.when = known.unwrap_or(self.job.when);
        }
    }

    fn allow_failure(&mut self, check: &mut Check) {
        let build = self.job.kind == JobKind::Build;
        let Some(node) = given(self.map, "allow_failure") else {
            self.job.allow_failure = self.job.when == "manual";
            return;
        };
        match &node.value {
            Value::Bool(flag) => self.job.allow_failure = *flag,
            // With exit codes it is not allowed to fail at first, not even as a manual job.
            Value::Map(_) if build => {}
            _ => {
                let what = if build {
                    "hash or a boolean"
                } else {
                    "boolean"
                };
                check.error(
                    node.span,
                    format!("{} allow failure should be a {what} value", self.at),
                );
            }
        }
    }

    fn start_in(&mut self, check: &mut Check) {
        let start = given(self.map, "start_in");
        let delayed = self.job.when == "delayed";
        let at = &self.at;
        if delayed {
            let nothing = Node::new(Value::Null, self.span);
            let seconds = check.duration(at, "start in", start.unwrap_or(&nothing), Some(WEEK));
            if seconds.is_some() {
                self.job.start_in = start.and_then(Node::as_str).map(str::to_owned);
            }
        }
        if let Some(start) = start
            && !is_blank(start)
            && (!delayed || self.map.get("rules").is_some())
        {
            check.error(start.span, format!("{at} start in must be blank"));
        }
    }

    fn publish(&mut self, check: &mut Check) {
        let Some(value) = given(self.map, "publish") else {
            return;
        };
        let pages = self.map.get("pages");
        let is_pages = pages.is_some_and(|pages| !is_blank(pages))
            || (self.job.name == "pages"
                && !pages.is_some_and(|pages| matches!(pages.value, Value::Bool(false))));
        if !is_pages {
            check.error(
                value.span,
                format!("{} publish can only be used within a `pages` job", self.at),
            );
        }
    }
}

fn listed(keys: &[(String, Span)]) -> String {
    let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    names.join(", ")
}

/// Nothing in it, as Ruby on Rails has it: null, false, white space, an empty list or mapping.
pub(super) fn is_blank(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Str(text) | Value::Symbol(text) => text.trim().is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Bool(true)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Reference(_)
        | Value::Binary(_) => false,
    }
}
