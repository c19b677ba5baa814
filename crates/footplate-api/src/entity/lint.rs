//! What lint found (`rest-api.md §9.4`), its keys in GitLab's order.

use footplate_app::{LintResult, LintedFile, LintedJob};
use serde_json::{Value as Json, json};

/// The result; jobs only where they were asked for.
pub fn result(found: &LintResult, include_jobs: bool) -> Json {
    let includes = found.includes.as_ref();
    let mut shown = json!({
        "valid": found.errors.is_empty(), "errors": found.errors, "warnings": found.warnings, "merged_yaml": found.merged_yaml,
        "includes": includes.map(|list| list.iter().map(included).collect::<Vec<_>>()),
    });
    if include_jobs {
        shown["jobs"] = found.jobs.iter().map(job).collect();
    }
    shown
}

fn included(file: &LintedFile) -> Json {
    json!({
        "type": file.kind, "location": file.location, "blob": file.blob, "raw": file.raw, "extra": file.extra,
        "context_project": file.context_project, "context_sha": file.context_sha,
    })
}

fn job(job: &LintedJob) -> Json {
    let mut shown = json!({
        "name": job.name, "stage": job.stage, "before_script": job.before_script, "script": job.script,
        "after_script": job.after_script, "tag_list": job.tag_list,
    });
    if let Some(conditions) = &job.conditions {
        shown["only"] = conditions.only.clone();
        shown["except"] = conditions.except.clone();
    }
    shown["environment"] = job.environment.clone();
    shown["when"] = job.when.clone();
    shown["allow_failure"] = job.allow_failure.clone();
    if let Some(conditions) = &job.conditions {
        shown["needs"] = conditions.needs.clone();
    }
    shown
}
