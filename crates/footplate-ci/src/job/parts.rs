//! The keywords of a job, each with its own checks, and what they must be together.

use std::sync::{Arc, LazyLock};

use footplate_model::JobKind;
use serde_json::{Value as Json, json};

use super::{Inherit, Reader, places::places_of_needs};
use crate::{
    check::{Check, given, string_list, text},
    config::DEFAULTS,
    diagnostic::Diagnostic,
    keywords::{
        needs::{NeedKind, needs},
        only,
        parallel::parallel,
        rules::Rule,
        variables,
    },
    patterns,
    yaml::{Node, Value},
};

/// Keywords in the order in which GitLab reports them; those without a check of their own here are plain ones.
const PARTS: [&str; 32] = [
    "stage",
    "only",
    "except",
    "rules",
    "variables",
    "inherit",
    "environment",
    "interruptible",
    "trigger",
    "before_script",
    "script",
    "after_script",
    "hooks",
    "cache",
    "image",
    "services",
    "timeout",
    "retry",
    "tags",
    "artifacts",
    "needs",
    "coverage",
    "release",
    "parallel",
    "allow_failure",
    "id_tokens",
    "publish",
    "pages",
    "dast_configuration",
    "secrets",
    "identity",
    "inputs",
];

/// What every job without rules has, if it does not say otherwise.
pub(crate) static DEFAULT_ONLY: LazyLock<Arc<Json>> =
    LazyLock::new(|| Arc::new(json!({"refs": ["branches", "tags"]})));

impl Reader<'_> {
    /// Reads every keyword that is given; which defaults the job takes.
    pub(super) fn parts(&mut self, check: &mut Check, workflow_rules: bool) -> Inherit {
        let mut inherited = Inherit::All;
        let mut at = format!("{}:", self.at);
        let own = at.len();
        for name in PARTS {
            let Some(node) = given(self.map, name) else {
                continue;
            };
            match name {
                "stage" => self.stage(check, node),
                "only" => {
                    let at = format!("{}:only", self.at);
                    self.job.only = only::policy(check, &at, node).map(Arc::new);
                }
                "except" => {
                    let at = format!("{}:except", self.at);
                    self.job.except = only::policy(check, &at, node).map(Arc::new);
                }
                "rules" if !workflow_rules => self.warn_of_duplicates(check),
                "rules" => {}
                "variables" => {
                    self.job.variables =
                        variables::of_job(check, &format!("{}:variables", self.at), node);
                }
                "inherit" => inherited = self.inherit(check, node),
                "needs" => self.needs(check, node),
                "coverage" => self.coverage(check, node),
                "parallel" => {
                    let bridge = self.job.kind == JobKind::Bridge;
                    self.job.parallel =
                        parallel(check, &format!("{}:parallel", self.at), node, bridge);
                }
                "allow_failure" => self.exit_codes(check, node),
                plain_one => {
                    if plain_one == "environment" {
                        let on_stop = node.as_map().and_then(|map| given(map, "on_stop"));
                        self.job.places.on_stop = on_stop.map(|node| node.span);
                    }
                    at.truncate(own);
                    at.push_str(plain_one);
                    if let Some(value) = check.keyword(name, &at, node) {
                        self.job.keywords.share(name, value);
                    }
                }
            }
        }
        self.default_refs(workflow_rules);
        inherited
    }

    fn stage(&mut self, check: &mut Check, node: &Node) {
        match node.as_str().filter(|stage| !stage.is_empty()) {
            Some(stage) => {
                stage.clone_into(&mut self.job.stage);
                self.job.places.stage = Some(node.span);
            }
            None => check.error(
                node.span,
                format!("{}:stage config should be a string", self.at),
            ),
        }
    }

    /// `only` is merged over branches and tags; a job that does not give it has that default alone, and none where rules decide.
    fn default_refs(&mut self, workflow_rules: bool) {
        let rules_decide = workflow_rules || self.map.get("rules").is_some();
        if rules_decide && self.job.only.is_none() {
            return;
        }
        let own = self.job.only.as_deref().and_then(Json::as_object);
        self.job.only = Some(match (own, &**DEFAULT_ONLY) {
            (Some(own), Json::Object(default)) => {
                let mut merged = default.clone();
                merged.extend(own.clone());
                Arc::new(Json::Object(merged))
            }
            _ => Arc::clone(&DEFAULT_ONLY),
        });
    }

    fn warn_of_duplicates(&self, check: &mut Check) {
        let bare = |rule: &Rule| rule.says_only_when() && rule.when != Some("never");
        let rules = self.job.rules.iter().flatten();
        if let Some(last) = rules.last().filter(|last| bare(last)) {
            let message = format!(
                "{} may allow multiple pipelines to run for a single action due to `rules:when` clause with no `workflow:rules` - read more: \
                 https://docs.gitlab.com/ci/jobs/job_troubleshooting/#job-may-allow-multiple-pipelines-to-run-for-a-single-action-warning",
                self.at
            );
            check.warnings.push(Diagnostic::new(message, last.span));
        }
    }

    fn inherit(&mut self, check: &mut Check, node: &Node) -> Inherit {
        let at = format!("{}:inherit", self.at);
        let Some(map) = check.map(&at, node) else {
            return Inherit::All;
        };
        let faults = check.faults();
        check.unknown_keys(&at, map, &["default", "variables"]);
        if !check.sound_since(faults) {
            return Inherit::All;
        }
        let mut read = |key: &str| match given(map, key) {
            None => Inherit::All,
            Some(value) => inherited(check, &format!("{at}:{key}"), value, key == "default"),
        };
        let default = read("default");
        self.job.inherit_variables = read("variables");
        default
    }

    fn needs(&mut self, check: &mut Check, node: &Node) {
        let at = format!("{}:needs", self.at);
        let other = match self.job.kind {
            JobKind::Bridge => NeedKind::Bridge,
            _ => NeedKind::CrossDependency,
        };
        self.job.needs = needs(check, &at, node, &[NeedKind::Job, other]).map(Box::new);
        self.job.places.needs = places_of_needs(node);
    }

    fn coverage(&mut self, check: &mut Check, node: &Node) {
        match node.as_str().map(patterns::parse) {
            Some(Ok(_)) => {
                let text = text(node);
                let end = text.rfind('/').unwrap_or(text.len());
                let pattern = text[1..end].into();
                self.job.keywords.insert("coverage_regex", pattern);
            }
            Some(Err(_)) | None => check.error(
                node.span,
                format!(
                    "{} coverage must be a regular expression with re2 syntax",
                    self.at
                ),
            ),
        }
    }

    fn exit_codes(&mut self, check: &mut Check, node: &Node) {
        let Some(map) = node.as_map() else { return };
        let at = format!("{}:allow_failure", self.at);
        check.unknown_keys(&at, map, &["exit_codes"]);
        if let Some(codes) = given(map, "exit_codes") {
            self.job.exit_codes = check.integers(&at, "exit codes", codes);
        }
    }

    pub(super) fn no_bridge(&self, check: &mut Check) {
        check.error(
            self.span,
            format!(
                "{} config should contain one of the keywords; trigger, status or needs:pipeline",
                self.at
            ),
        );
    }

    /// A job that only mirrors a pipeline follows the stages.
    fn mirror(&mut self, pipeline: &str) {
        let needs = json!({"pipeline": pipeline});
        self.job.keywords.insert("bridge_needs", needs);
        self.job.needs.take_if(|needs| needs.jobs.is_empty());
    }

    /// What keywords must be together.
    pub(super) fn composed(&mut self, check: &mut Check) {
        let needs = self.job.needs.as_ref();
        if self.job.kind == JobKind::Bridge {
            let mirrored = needs.and_then(|needs| needs.bridge.clone());
            if given(self.map, "trigger").is_none() {
                match mirrored {
                    Some(pipeline) => self.mirror(&pipeline),
                    None => self.no_bridge(check),
                }
            }
            return;
        }
        let (Some(dependencies), Some(needs)) = (&self.job.dependencies, needs) else {
            return;
        };
        if dependencies.is_empty() || (needs.jobs.is_empty() && needs.cross.is_empty()) {
            return;
        }
        let needed = |name: &str| needs.jobs.iter().any(|need| need.job == name);
        let missing: Vec<&str> = dependencies
            .iter()
            .map(String::as_str)
            .filter(|name| !needed(name))
            .collect();
        let first = missing.first().copied().unwrap_or_default();
        let span = self.job.places.dependency(first).unwrap_or(self.span);
        let message = if needs.jobs.is_empty() {
            "needs corresponding to dependencies must be from the same pipeline".to_owned()
        } else if missing.is_empty() {
            return;
        } else {
            format!(
                "dependencies the {} should be part of needs",
                missing.join(", ")
            )
        };
        check.error(span, format!("{} {message}", self.at));
    }
}

/// One part of `inherit`.
fn inherited(check: &mut Check, at: &str, value: &Node, of_default: bool) -> Inherit {
    match (&value.value, string_list(value)) {
        (Value::Bool(true), _) => Inherit::All,
        (Value::Bool(false), _) => Inherit::Nothing,
        (_, Some(names)) => {
            if of_default {
                let items = value.as_seq().unwrap_or_default();
                check.unknown_words(at, "config", items, &DEFAULTS);
            }
            Inherit::Named(names)
        }
        (Value::Seq(_), None) => {
            check.error(
                value.span,
                format!("{at} config should be an array of strings"),
            );
            Inherit::All
        }
        (_, None) => {
            let message = format!("{at} should be a bool or array of strings");
            check.verbatim(value.span, message);
            Inherit::All
        }
    }
}
