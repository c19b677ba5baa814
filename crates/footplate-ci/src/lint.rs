//! A compilation as one JSON object: what `footplate lint --json` prints, and a pipeline's context from a few words.

use footplate_model::PipelineSource;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::{
    compiler::Compiled,
    diagnostic::{Diagnostic, SourceFile},
    facts::facts,
    pipeline::{Context, Outcome},
    variables::Variable,
    why::Level,
    yaml,
};

/// A pipeline as somebody describes it who has no server.
#[derive(Debug, Clone)]
pub struct Described {
    /// Branch or tag name.
    pub ref_name: String,
    /// The ref is a tag.
    pub tag: bool,
    /// Where it comes from.
    pub source: PipelineSource,
    /// Full path of the project; `None` = no project at all.
    pub project: Option<String>,
    /// Project variables; later ones win.
    pub variables: Vec<(String, String)>,
}

impl Described {
    /// The context with the predefined variables that follow from it.
    pub fn context(self) -> Context {
        let variable = |key: &str, value: &str| Variable {
            key: key.to_owned(),
            value: value.to_owned(),
            ..Variable::default()
        };
        let mut predefined = vec![
            variable("CI_COMMIT_REF_NAME", &self.ref_name),
            variable("CI_PIPELINE_SOURCE", self.source.as_str()),
            variable("CI_DEFAULT_BRANCH", "main"),
        ];
        if self.tag {
            predefined.push(variable("CI_COMMIT_TAG", &self.ref_name));
        } else if self.source != PipelineSource::MergeRequestEvent {
            predefined.push(variable("CI_COMMIT_BRANCH", &self.ref_name));
        }
        if let Some(project) = &self.project {
            predefined.push(variable("CI_PROJECT_PATH", project));
        }
        let overriding = self.variables.iter();
        Context {
            overriding: overriding
                .map(|(key, value)| Variable {
                    level: Level::Project,
                    ..variable(key, value)
                })
                .collect(),
            ref_name: self.ref_name,
            tag: self.tag,
            source: self.source,
            project: self.project,
            predefined,
            later: crate::Later::default(),
        }
    }
}

/// The object for a configuration that has faults.
pub fn refused(errors: &[Diagnostic], warnings: &[Diagnostic], files: &[SourceFile]) -> Json {
    json!({
        "valid": false, "errors": messages(errors), "warnings": messages(warnings), "stages": [], "pipeline": null,
        "jobs": {}, "absent_jobs": {}, "merged_yaml": null, "workflow": null, "why": {},
        "diagnostics": diagnostics(errors, warnings, files),
    })
}

/// The object for a configuration without faults; one that makes no pipeline because a rule cannot be evaluated has errors too.
/// Values of CI variables appear in the why only with `secrets`.
pub fn report(compiled: &Compiled, context: Option<&Context>, secrets: bool) -> Json {
    let jobs: JsonMap<String, Json> = facts(compiled, context).into_iter().collect();
    let evaluated = compiled.evaluated.as_ref();
    let failed = evaluated.is_some_and(|evaluated| evaluated.outcome == Outcome::Error);
    let pipeline = evaluated.and_then(|evaluated| match evaluated.outcome {
        Outcome::Created => Some("created"),
        Outcome::Filtered => Some("filtered"),
        Outcome::Empty => Some("empty"),
        Outcome::Error => None,
    });
    let errors: &[Diagnostic] = match evaluated {
        Some(evaluated) if failed => &evaluated.errors,
        Some(_) | None => &[],
    };
    let mut why = compiled.why().shown(secrets);
    json!({
        "valid": !failed, "errors": messages(errors), "warnings": messages(&compiled.warnings), "stages": compiled.config.stages,
        "pipeline": pipeline, "jobs": jobs, "absent_jobs": why["absent"].take(), "merged_yaml": yaml::dump(&compiled.merged),
        "workflow": why["workflow"].take(), "why": why["jobs"].take(),
        "diagnostics": diagnostics(errors, &compiled.warnings, &compiled.files),
    })
}

fn messages(list: &[Diagnostic]) -> Vec<&str> {
    list.iter()
        .map(|diagnostic| diagnostic.message.as_str())
        .collect()
}

/// Faults and warnings with their places.
fn diagnostics(errors: &[Diagnostic], warnings: &[Diagnostic], files: &[SourceFile]) -> Vec<Json> {
    let list = |severity: &'static str, list: &[Diagnostic]| {
        list.iter()
            .map(|diagnostic| {
                let mut json = diagnostic.shown(files);
                json["severity"] = json!(severity);
                json
            })
            .collect::<Vec<_>>()
    };
    let mut all = list("error", errors);
    all.extend(list("warning", warnings));
    all
}

/// What differs between two objects of [`report`]: `only_a`, `only_b` (names of jobs), and `jobs` with each differing fact as
/// `{"a": …, "b": …}`. The variables that jobs see are compared only where the jobs' own words make them differ.
pub fn compare(a: &Json, b: &Json) -> Json {
    let empty = JsonMap::new();
    let jobs = |object: &'_ Json| object["jobs"].as_object().cloned().unwrap_or_default();
    let (a, b) = (jobs(a), jobs(b));
    let only = |one: &JsonMap<String, Json>, other: &JsonMap<String, Json>| {
        one.keys()
            .filter(|name| !other.contains_key(*name))
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut changed = JsonMap::new();
    for (name, one) in &a {
        let Some(other) = b.get(name) else { continue };
        let (one, other) = (
            one.as_object().unwrap_or(&empty),
            other.as_object().unwrap_or(&empty),
        );
        let keys = one
            .keys()
            .chain(other.keys().filter(|key| !one.contains_key(*key)));
        let facts: JsonMap<String, Json> = keys
            .filter(|key| *key != "scoped_variables" && one.get(*key) != other.get(*key))
            .map(|key| (key.clone(), json!({"a": one.get(key), "b": other.get(key)})))
            .collect();
        if !facts.is_empty() {
            changed.insert(name.clone(), Json::Object(facts));
        }
    }
    json!({"only_a": only(&a, &b), "only_b": only(&b, &a), "jobs": changed})
}
