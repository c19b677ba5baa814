//! The payload of a job for its runner (`runner-protocol.md §2.5`).

use std::sync::LazyLock;

use footplate_app::{definition::Definition, runner::Assignment};
use footplate_model::{FailureReason, GitStrategy};
use serde::Serialize;
use serde_json::{Value as Json, json, value::RawValue};

use super::steps::{hooks, steps};

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

/// The payload as it is written, in this order.
#[derive(Serialize)]
struct Payload<'p> {
    id: i64,
    token: &'p str,
    allow_git_fetch: bool,
    job_info: Json,
    git_info: Json,
    runner_info: Json,
    inputs: [(); 0],
    variables: Vec<Shown<'p>>,
    steps: Vec<Json>,
    hooks: Vec<Json>,
    image: Option<Json>,
    services: Vec<Json>,
    artifacts: Vec<Json>,
    cache: Vec<Json>,
    credentials: [(); 0],
    dependencies: Vec<Json>,
    features: &'static RawValue,
    // Runners of some versions cannot read an empty value of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<&'p Json>,
}

/// A variable.
#[derive(Serialize)]
struct Shown<'p> {
    key: &'p str,
    value: &'p str,
    public: bool,
    masked: bool,
    raw: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    file: bool,
}

/// The same for every job, and therefore written once.
static FEATURES: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    let features = json!({
        "trace_sections": true, "token_mask_prefixes": ["glpat-"],
        "failure_reasons": FailureReason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
    });
    RawValue::from_string(features.to_string()).unwrap_or_default()
});

/// Bytes of most payloads, at most.
const USUAL: usize = 16 * 1024;

/// The whole payload as text.
///
/// # Errors
/// Never: all of it can be written as JSON.
pub fn assignment(of: &Assignment) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut text, &payload(of))?;
    Ok(text)
}

fn payload(of: &Assignment) -> impl Serialize {
    let (job, project, pipeline) = (&of.job, &of.project, &of.pipeline);
    let timeout = job.timeout.unwrap_or(3600);
    let run = of.definition.keyword("run");
    let variables = of.variables.iter().map(|variable| Shown {
        key: &variable.key,
        value: &variable.value,
        public: variable.public,
        masked: variable.masked,
        raw: variable.raw,
        file: variable.file,
    });
    Payload {
        id: job.id.0,
        token: &of.token,
        allow_git_fetch: project.settings.build_git_strategy == GitStrategy::Fetch,
        job_info: job_info(of),
        git_info: json!({
            "repo_url": of.repo_url, "ref": pipeline.ref_name, "sha": pipeline.sha, "before_sha": pipeline.before_sha,
            "ref_type": if pipeline.tag { "tag" } else { "branch" }, "refspecs": of.refspecs, "depth": of.depth,
            "repo_object_format": if pipeline.sha.len() == 64 { "sha256" } else { "sha1" }, "protected": job.protected,
        }),
        runner_info: json!({"timeout": timeout, "runner_session_url": null, "uuid": ""}),
        inputs: [],
        variables: variables.collect(),
        steps: steps(&of.definition, timeout),
        hooks: hooks(&of.definition),
        image: of.image.as_ref().map(container),
        services: of.services.iter().map(container).collect(),
        artifacts: artifacts(&of.definition),
        cache: of.cache.iter().map(cache).collect(),
        credentials: [],
        dependencies: of
            .dependencies
            .iter()
            .map(|source| {
                json!({
                    "id": source.id.0, "name": source.name, "token": of.token,
                    "artifacts_file": {"filename": source.filename, "size": source.size},
                })
            })
            .collect(),
        features: &FEATURES,
        run: (!run.is_null()).then(|| run.to_string()),
        secrets: of.secrets.as_ref(),
    }
}

fn job_info(of: &Assignment) -> Json {
    let (job, project) = (&of.job, &of.project);
    let running = of.instance_jobs.map(|count| match count {
        ..=5 => count.to_string(),
        _ => "5+".to_owned(),
    });
    let waited = job.queued_at.zip(job.started_at);
    json!({
        "id": job.id.0, "name": job.name, "stage": job.stage, "pipeline_id": of.pipeline.id.0, "project_id": project.id.0,
        "project_name": project.name, "project_full_path": project.full_path, "namespace_id": project.namespace_id.0,
        "root_namespace_id": project.namespace_id.0, "organization_id": 1, "user_id": job.user_id.map_or(0, |id| id.0),
        "scoped_user_id": null,
        "time_in_queue_seconds": waited.map_or(0.0, |(queued, started)| started.seconds_since(queued).round()),
        "project_jobs_running_on_instance_runners_count": running.unwrap_or_else(|| "+Inf".to_owned()),
        "queue_size": of.queue_size, "queue_depth": 1,
    })
}

/// Texts of a keyword, however deep they are nested.
pub(super) fn lines(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items.iter().flat_map(lines).collect(),
        _ => Vec::new(),
    }
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
        .map(|(key, value)| {
            let raw = value["raw"].as_bool().unwrap_or(false);
            let value = value.get("value").unwrap_or(value);
            json!({"key": key, "value": text(value), "public": true, "masked": false, "raw": raw})
        })
        .collect();
    let mut options = serde_json::Map::new();
    for (name, keys) in [
        ("docker", ["platform", "user"].as_slice()),
        ("kubernetes", ["user"].as_slice()),
    ] {
        let given: serde_json::Map<String, Json> = keys
            .iter()
            .filter(|key| !written["executor_opts"][name][**key].is_null())
            .map(|key| {
                (
                    (*key).to_owned(),
                    written["executor_opts"][name][*key].clone(),
                )
            })
            .collect();
        if !given.is_empty() {
            options.insert(name.to_owned(), Json::Object(given));
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::container;

    #[test]
    fn options_of_the_executor_and_raw_variables_reach_the_runner() {
        let sent = container(&json!({
            "name": "postgres",
            "variables": {"A": "b", "C": {"value": "$D", "raw": true}},
            "executor_opts": {"docker": {"platform": "arm64", "user": "dave"}, "kubernetes": {"user": 1001}},
        }));
        assert_eq!(
            sent["executor_opts"],
            json!({"docker": {"platform": "arm64", "user": "dave"}, "kubernetes": {"user": 1001}})
        );
        assert_eq!(sent["variables"][0]["value"], "b");
        assert_eq!(sent["variables"][1]["value"], "$D");
        assert_eq!(sent["variables"][1]["raw"], true);
    }
}
