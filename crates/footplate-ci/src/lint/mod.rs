//! A compilation as one JSON object: what `footplate lint --json` prints, and a pipeline's context from a few words.

mod compare;

pub use compare::compare;

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
        "diagnostics": diagnostics(errors, warnings, &[], files),
    })
}

/// The object for a configuration without faults; one that makes no pipeline because a rule cannot be evaluated has errors too.
/// Values of CI variables appear in the why only with `secrets`.
pub fn report(compiled: &Compiled, context: Option<&Context>, secrets: bool) -> Json {
    let jobs: JsonMap<String, Json> = facts(compiled, context).into_iter().collect();
    let evaluated = compiled.evaluated.as_ref();
    let pipeline = evaluated.and_then(|evaluated| match evaluated.outcome {
        Outcome::Created => Some("created"),
        Outcome::Filtered => Some("filtered"),
        Outcome::Empty => Some("empty"),
        Outcome::Error => None,
    });
    let errors = compiled.faults();
    let mut why = compiled.why().shown(secrets);
    json!({
        "valid": errors.is_empty(), "errors": messages(errors), "warnings": messages(&compiled.warnings), "stages": compiled.config.stages,
        "pipeline": pipeline, "jobs": jobs, "absent_jobs": why["absent"].take(), "merged_yaml": yaml::dump(&compiled.merged),
        "workflow": why["workflow"].take(), "why": why["jobs"].take(),
        "diagnostics": diagnostics(errors, &compiled.warnings, &compiled.notes(), &compiled.files),
    })
}

fn messages(list: &[Diagnostic]) -> Vec<&str> {
    list.iter()
        .map(|diagnostic| diagnostic.message.as_str())
        .collect()
}

/// Faults, warnings and notes with their places.
fn diagnostics(
    errors: &[Diagnostic],
    warnings: &[Diagnostic],
    notes: &[Diagnostic],
    files: &[SourceFile],
) -> Vec<Json> {
    [("error", errors), ("warning", warnings), ("note", notes)]
        .into_iter()
        .flat_map(|(severity, list)| list.iter().map(move |one| (severity, one)))
        .map(|(severity, diagnostic)| {
            let mut json = diagnostic.shown(files);
            json["severity"] = json!(severity);
            json
        })
        .collect()
}
