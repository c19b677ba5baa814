//! The payload of a job for its runner (`runner-protocol.md §2.5`).

use footplate_app::{definition::Definition, runner::Assignment};
use footplate_model::{FailureReason, GitStrategy};
use serde_json::{Value as Json, json};

/// Reports in the format that each is uploaded in, with its default name (`runner-protocol.md §6.1`).
const GZIP_REPORTS: [(&str, &str); 8] = [
    ("junit", "junit.xml"),
    ("dotenv", ".env"),
    ("cobertura", "cobertura-coverage.xml"),
    ("jacoco", "jacoco-coverage.xml"),
    ("metrics", "metrics.txt"),
    ("cyclonedx", "gl-sbom.cdx.json"),
    ("annotations", "gl-annotations.json"),
    ("repository_xray", "gl-repository-xray.json"),
];
const ZIP_REPORTS: [(&str, &str); 2] = [("lsif", "lsif.json"), ("scip", "index.scip")];
const RAW_NAMES: [(&str, &str); 2] = [
    ("codequality", "gl-code-quality-report.json"),
    ("terraform", "tfplan.json"),
];

/// The whole payload.
pub fn assignment(of: &Assignment) -> Json {
    let (job, project, pipeline) = (&of.job, &of.project, &of.pipeline);
    let timeout = job.timeout.unwrap_or(3600);
    let zero = 0;
    let root_namespace = project.namespace_id.0;
    let variables: Vec<Json> = of
        .variables
        .iter()
        .map(|variable| {
            let mut shown = json!({
                "key": variable.key, "value": variable.value, "public": variable.public, "masked": variable.masked, "raw": variable.raw,
            });
            if variable.file {
                shown["file"] = json!(true);
            }
            shown
        })
        .collect();
    json!({
        "id": job.id.0,
        "token": of.token,
        "allow_git_fetch": project.settings.build_git_strategy == GitStrategy::Fetch,
        "job_info": {
            "id": job.id.0, "name": job.name, "stage": job.stage, "pipeline_id": pipeline.id.0, "project_id": project.id.0,
            "project_name": project.name, "project_full_path": project.full_path, "namespace_id": project.namespace_id.0,
            "root_namespace_id": root_namespace, "organization_id": 1, "user_id": job.user_id.map_or(zero, |id| id.0),
            "scoped_user_id": null,
            "time_in_queue_seconds": job.queued_at.zip(job.started_at).map_or(0.0, |(queued, started)| started.seconds_since(queued).round()),
            "project_jobs_running_on_instance_runners_count": of.instance_jobs.map_or_else(|| "+Inf".to_owned(), |count| if count > 5 { "5+".to_owned() } else { count.to_string() }),
            "queue_size": of.queue_size, "queue_depth": 1,
        },
        "git_info": {
            "repo_url": of.repo_url, "ref": pipeline.ref_name, "sha": pipeline.sha, "before_sha": pipeline.before_sha,
            "ref_type": if pipeline.tag { "tag" } else { "branch" }, "refspecs": of.refspecs, "depth": of.depth,
            "repo_object_format": if pipeline.sha.len() == 64 { "sha256" } else { "sha1" }, "protected": job.protected,
        },
        "runner_info": {"timeout": timeout, "runner_session_url": null, "uuid": ""},
        "inputs": [],
        "variables": variables,
        "steps": steps(&of.definition, timeout),
        "hooks": hooks(&of.definition),
        "image": of.image.as_ref().map(container),
        "services": of.services.iter().map(container).collect::<Vec<_>>(),
        "artifacts": artifacts(&of.definition),
        "cache": of.cache.iter().map(cache).collect::<Vec<_>>(),
        "credentials": [],
        "dependencies": of.dependencies.iter().map(|source| json!({
            "id": source.id.0, "name": source.name, "token": of.token,
            "artifacts_file": {"filename": source.filename, "size": source.size},
        })).collect::<Vec<_>>(),
        "features": {
            "trace_sections": true, "token_mask_prefixes": ["glpat-"],
            "failure_reasons": FailureReason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
        },
    })
}

fn lines(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items.iter().flat_map(lines).collect(),
        _ => Vec::new(),
    }
}

fn steps(definition: &Definition, timeout: i64) -> Vec<Json> {
    let mut script = lines(definition.keyword("before_script"));
    script.extend(lines(definition.keyword("script")));
    let mut steps = vec![
        json!({"name": "script", "script": script, "timeout": timeout, "when": "on_success", "allow_failure": false}),
    ];
    let after = lines(definition.keyword("after_script"));
    if !after.is_empty() {
        steps.push(json!({"name": "after_script", "script": after, "timeout": timeout, "when": "always", "allow_failure": true}));
    }
    steps
}

fn hooks(definition: &Definition) -> Vec<Json> {
    let hooks = definition.keyword("hooks");
    ["pre_get_sources_script", "post_get_sources_script"]
        .into_iter()
        .filter(|name| !hooks[*name].is_null())
        .map(|name| json!({"name": name, "script": lines(&hooks[name])}))
        .collect()
}

/// An image or service.
fn container(written: &Json) -> Json {
    let list = |value: &Json| {
        if value.is_null() {
            Json::Null
        } else {
            json!(lines(value))
        }
    };
    let variables: Vec<Json> = written["variables"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, written)| {
            // With `expand` it is an object, without a plain value.
            let value = written.get("value").unwrap_or(written);
            let raw = written["raw"].as_bool().unwrap_or(false);
            json!({"key": key, "value": text(value), "public": true, "masked": false, "raw": raw})
        })
        .collect();
    let options = match &written["executor_opts"] {
        Json::Object(options) => options.clone(),
        _ => serde_json::Map::new(),
    };
    json!({
        "name": written["name"], "alias": written["alias"], "entrypoint": list(&written["entrypoint"]),
        "command": list(&written["command"]), "ports": [], "executor_opts": options, "variables": variables,
        "pull_policy": list(&written["pull_policy"]),
    })
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn artifacts(definition: &Definition) -> Vec<Json> {
    let written = definition.keyword("artifacts");
    let mut list = Vec::new();
    let untracked = written["untracked"].as_bool().unwrap_or(false);
    if !written["paths"].is_null() || untracked {
        list.push(json!({
            "name": written["name"].as_str().unwrap_or(""), "untracked": untracked, "paths": lines(&written["paths"]),
            "exclude": lines(&written["exclude"]), "when": written["when"].as_str().unwrap_or("on_success"),
            "expire_in": written["expire_in"].as_str().unwrap_or(""), "artifact_type": "archive", "artifact_format": "zip",
        }));
    }
    for (name, paths) in written["reports"].as_object().into_iter().flatten() {
        list.push(report(name, paths, &written["expire_in"]));
    }
    list
}

fn report(name: &str, written: &Json, expire_in: &Json) -> Json {
    let (kind, paths) = if name == "coverage_report" {
        (
            written["coverage_format"].as_str().unwrap_or("cobertura"),
            lines(&written["path"]),
        )
    } else {
        (name, lines(written))
    };
    let named = |list: &[(&str, &'static str)]| {
        list.iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, name)| *name)
    };
    let default = format!("gl-{}-report.json", kind.replace('_', "-"));
    let (format, file) = match (named(&GZIP_REPORTS), named(&ZIP_REPORTS)) {
        (Some(file), _) => ("gzip", file.to_owned()),
        (None, Some(file)) => ("zip", file.to_owned()),
        (None, None) => ("raw", named(&RAW_NAMES).map_or(default, str::to_owned)),
    };
    json!({
        "name": file, "untracked": false, "paths": paths, "exclude": [], "when": "always",
        "expire_in": expire_in.as_str().unwrap_or(""), "artifact_type": kind, "artifact_format": format,
    })
}

fn cache(written: &Json) -> Json {
    json!({
        "key": written["key"], "untracked": written["untracked"].as_bool().unwrap_or(false),
        "policy": written["policy"].as_str().unwrap_or("pull-push"), "paths": lines(&written["paths"]),
        "when": written["when"].as_str().unwrap_or("on_success"), "fallback_keys": lines(&written["fallback_keys"]),
    })
}
