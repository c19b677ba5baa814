//! The payload as Go's decoder reads it: a wrong type anywhere loses the job (`runner-protocol.md §2.4`).

use std::collections::HashMap;

use footplate_testkit::{BOTH, TestServer};
use serde::Deserialize;
use serde_json::{Value, json};

const CONFIG: &str = "
stages: [make, use]
default:
  hooks: {pre_get_sources_script: [echo hook]}
make:
  stage: make
  image: {name: 'debian:12', entrypoint: [''], pull_policy: if-not-present, docker: {platform: linux/amd64, user: nobody}}
  services: [{name: 'postgres:16', alias: 'db,database', command: [postgres], variables: {PASSWORD: 1, DOLLARS: {value: '$$x', expand: false}}}]
  variables: {NUMBER: 5, FLAG: 'true', RAW: {value: '$X', expand: false}}
  before_script: [echo before]
  script: [make, [nested]]
  after_script: [echo after]
  timeout: 10 minutes
  cache: [{key: k, paths: [target], fallback_keys: [other], when: always}]
  artifacts: {name: things, paths: [out], exclude: [out/x], expire_in: 1 week, reports: {junit: [a.xml, b.xml], dotenv: v.env, coverage_report: {coverage_format: cobertura, path: c.xml}}}
use: {stage: use, script: [use]}
";

#[derive(Deserialize)]
#[expect(dead_code, reason = "to be read is all that is asked of most fields")]
struct Payload {
    id: i64,
    token: String,
    allow_git_fetch: bool,
    job_info: JobInfo,
    git_info: GitInfo,
    runner_info: RunnerInfo,
    inputs: Vec<Value>,
    variables: Vec<Variable>,
    steps: Vec<Step>,
    hooks: Vec<Hook>,
    image: Option<Image>,
    services: Vec<Image>,
    artifacts: Vec<Artifact>,
    cache: Vec<Cache>,
    credentials: Vec<HashMap<String, String>>,
    dependencies: Vec<Dependency>,
    features: Features,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct JobInfo {
    id: i64,
    name: String,
    stage: String,
    pipeline_id: i64,
    project_id: i64,
    project_name: String,
    project_full_path: String,
    namespace_id: i64,
    root_namespace_id: i64,
    organization_id: i64,
    user_id: i64,
    scoped_user_id: Option<i64>,
    time_in_queue_seconds: f64,
    project_jobs_running_on_instance_runners_count: Option<String>,
    queue_size: i64,
    queue_depth: i64,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct GitInfo {
    repo_url: String,
    repo_object_format: String,
    #[serde(rename = "ref")]
    ref_name: String,
    sha: String,
    before_sha: String,
    ref_type: String,
    refspecs: Vec<String>,
    depth: i64,
    protected: bool,
}

#[derive(Deserialize)]
struct RunnerInfo {
    timeout: i64,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Variable {
    key: String,
    value: Option<String>,
    public: bool,
    #[serde(default)]
    file: bool,
    masked: bool,
    raw: bool,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Step {
    name: String,
    script: Vec<String>,
    timeout: i64,
    when: String,
    allow_failure: bool,
}

#[derive(Deserialize)]
struct Hook {
    name: String,
    script: Vec<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Image {
    name: String,
    alias: Option<String>,
    command: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    ports: Option<Vec<Value>>,
    variables: Option<Vec<Variable>>,
    pull_policy: Option<Vec<String>>,
    executor_opts: ExecutorOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above; an unknown option fails the job")]
struct ExecutorOptions {
    docker: Option<HashMap<String, String>>,
    kubernetes: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Artifact {
    name: String,
    untracked: bool,
    paths: Vec<String>,
    exclude: Vec<String>,
    when: String,
    expire_in: String,
    artifact_type: String,
    artifact_format: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Cache {
    key: String,
    untracked: bool,
    policy: String,
    paths: Vec<String>,
    when: String,
    fallback_keys: Vec<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Dependency {
    id: i64,
    token: String,
    name: String,
    artifacts_file: File,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct File {
    filename: String,
    size: i64,
}

#[derive(Deserialize)]
struct Features {
    trace_sections: bool,
    token_mask_prefixes: Vec<String>,
    failure_reasons: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_has_the_type_that_runners_decode() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.take().await.as_deref(), Some("make"));
        let raw = runner.job("make").payload.clone();
        assert_eq!(raw.get("run"), None, "null is fatal for new runners");
        assert_eq!(raw.get("secrets"), None);
        let read: Payload =
            serde_json::from_value(raw.clone()).unwrap_or_else(|error| panic!("{error}: {raw:#}"));
        assert_eq!(read.runner_info.timeout, 600);
        let steps: Vec<(&str, Vec<&str>)> = read
            .steps
            .iter()
            .map(|step| {
                (
                    step.name.as_str(),
                    step.script.iter().map(String::as_str).collect(),
                )
            })
            .collect();
        assert_eq!(
            steps,
            [
                ("script", vec!["echo before", "make", "nested"]),
                ("after_script", vec!["echo after"])
            ]
        );
        assert_eq!(
            (read.hooks[0].name.as_str(), read.hooks[0].script.as_slice()),
            (
                "pre_get_sources_script",
                ["echo hook".to_owned()].as_slice()
            )
        );
        assert!(read.git_info.sha.len() >= 8);
        let mut kinds: Vec<(&str, &str)> = read
            .artifacts
            .iter()
            .map(|it| (it.artifact_type.as_str(), it.artifact_format.as_str()))
            .collect();
        kinds.sort_unstable();
        assert_eq!(
            kinds,
            [
                ("archive", "zip"),
                ("cobertura", "gzip"),
                ("dotenv", "gzip"),
                ("junit", "gzip")
            ]
        );
        assert!(read.features.trace_sections && !read.features.token_mask_prefixes.is_empty());
        assert!(
            read.features
                .failure_reasons
                .iter()
                .any(|reason| reason == "runner_system_failure")
        );
        assert_eq!(
            raw["image"]["executor_opts"],
            json!({"docker": {"platform": "linux/amd64", "user": "nobody"}})
        );
        let variable = |key: &str, value: &str, raw: bool| json!({"key": key, "value": value, "public": true, "masked": false, "raw": raw});
        assert_eq!(
            raw["services"][0]["variables"],
            json!([
                variable("PASSWORD", "1", false),
                variable("DOLLARS", "$$x", true)
            ])
        );
    }
}
