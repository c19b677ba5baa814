//! The pipeline that would be made, and why one was made as it is.

use footplate_testkit::{Answer, BOTH, Client, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::lint::member;

const CONFIG: &str = "
build: {script: [make]}
docs: {script: [render], rules: [{changes: ['docs/*']}]}
pack: {script: [pack], rules: [{exists: [Dockerfile]}]}
night: {script: [all], rules: [{if: $CI_PIPELINE_SOURCE == \"schedule\"}]}
ship: {script: [ship], rules: [{if: '$CI_COMMIT_TAG && $LEVEL == \"full\"'}]}
";

async fn ask(client: &Client, project: i64, body: Value) -> Answer {
    let path = format!("/api/footplate/v1/projects/{project}/simulate");
    client
        .send(client.request(Method::POST, &path).json(&body))
        .await
}

async fn jobs(server: &TestServer, project: i64, body: Value) -> Vec<String> {
    let found = ask(&server.root, project, body).await.expect(200).json();
    assert_eq!(found["valid"], true, "{found}");
    found["jobs"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn circumstances_are_assumed() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
        let before = server.pipeline(project).await;
        assert_eq!(
            jobs(&server, project, json!({})).await,
            ["build", "docs"],
            "unknown changes match"
        );
        assert_eq!(
            jobs(&server, project, json!({"changed": ["src/a"]})).await,
            ["build"]
        );
        assert_eq!(
            jobs(&server, project, json!({"changed": ["docs/a"]})).await,
            ["build", "docs"]
        );
        let body = json!({"changed": [], "exists": ["Dockerfile"], "source": "schedule"});
        assert_eq!(
            jobs(&server, project, body).await,
            ["build", "pack", "night"]
        );
        for variables in [
            json!({"LEVEL": "full"}),
            json!([{"key": "LEVEL", "value": "full"}]),
        ] {
            let body = json!({"ref": "v9", "tag": true, "changed": [], "variables": variables});
            assert_eq!(jobs(&server, project, body).await, ["build", "ship"]);
        }
        let content = "spec: {inputs: {n: {}}}\n---\n\"own-$[[ inputs.n ]]\": {script: [x]}\n";
        let body = json!({"content": content, "inputs": {"n": "x"}});
        assert_eq!(jobs(&server, project, body).await, ["own-x"]);
        let after = server.pipeline(project).await;
        assert_eq!(before["id"], after["id"], "nothing is made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_that_of_the_command() {
    let server = TestServer::start().await;
    let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
    let found = ask(&server.root, project, json!({"changed": []}))
        .await
        .expect(200)
        .json();
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    let known = [
        "valid",
        "errors",
        "warnings",
        "stages",
        "pipeline",
        "jobs",
        "absent_jobs",
        "merged_yaml",
        "workflow",
        "why",
        "diagnostics",
    ];
    assert_eq!(keys, known);
    assert_eq!(found["pipeline"], "created");
    assert_eq!(
        found["absent_jobs"]["docs"]["decided_by"],
        "no rule matched"
    );
    assert_eq!(
        found["jobs"]["build"]["scoped_variables"]["CI_PROJECT_PATH"],
        "root/p"
    );
    let wrong = ask(
        &server.root,
        project,
        json!({"content": "a: {scrip: [x]}\n"}),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(
        (&wrong["valid"], &wrong["pipeline"]),
        (&json!(false), &json!(null))
    );
    let nowhere = ask(&server.root, project, json!({"ref": "nowhere"}))
        .await
        .expect(400)
        .json();
    assert_eq!(
        nowhere,
        json!({"message": {"base": ["Reference not found"]}})
    );
    let bad = ask(&server.root, project, json!({"against": 5}))
        .await
        .expect(400)
        .json();
    assert_eq!(bad, json!({"error": "against is invalid"}));
    let child = json!({"child": true, "content": "a: {script: [x], rules: [{if: $CI_PIPELINE_SOURCE == \"parent_pipeline\"}]}\n"});
    assert_eq!(jobs(&server, project, child).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_side_by_side() {
    let server = TestServer::start().await;
    let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
    let content = "build: {script: [make], when: manual}\nnew: {script: [x]}\n";
    let body = json!({"changed": [], "against": {"content": content}});
    let found = ask(&server.root, project, body).await.expect(200).json();
    assert_eq!(found["a"]["jobs"].as_object().unwrap().len(), 1);
    assert_eq!(found["b"]["jobs"].as_object().unwrap().len(), 2);
    let differences = &found["differences"];
    assert_eq!(differences["only_in_a"], json!([]));
    assert_eq!(differences["only_in_b"], json!(["new"]));
    assert_eq!(
        differences["changed"]["build"]["when"],
        json!({"a": "on_success", "b": "manual"})
    );
    // Of the many variables only those that differ.
    assert_eq!(
        differences["changed"]["build"]["scoped_variables"],
        json!({"a": {}, "b": {"CI_JOB_MANUAL": "true"}})
    );
    let same = ask(&server.root, project, json!({"against": {}}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        same["differences"],
        json!({"pipeline": {}, "only_in_a": [], "only_in_b": [], "changed": {}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_values_stay_masked() {
    let server = TestServer::start().await;
    let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
    for (key, masked) in [("HIDDEN", true), ("SHOWN", false)] {
        let variable = json!({"key": key, "value": format!("value-of-{}", key.to_lowercase()), "masked": masked});
        server
            .root
            .post(&format!("/projects/{project}/variables"), variable)
            .await
            .expect(201);
    }
    let content = "
variables: {COPY: \"x $HIDDEN\"}
a: {script: [x], environment: \"e-$HIDDEN\", rules: [{if: '$HIDDEN == \"value-of-hidden\"'}]}
b: {script: [x], rules: [{if: '$HIDDEN == \"other\"'}]}
";
    let answer = ask(&server.root, project, json!({"content": content}))
        .await
        .expect(200);
    // The configuration names the value itself once; nothing else does.
    let found = answer.json();
    assert_eq!(found["jobs"]["a"]["scoped_variables"]["HIDDEN"], "[MASKED]");
    assert_eq!(
        found["jobs"]["a"]["scoped_variables"]["SHOWN"],
        "value-of-shown"
    );
    assert!(!answer.text().contains("value-of-hidden"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_could_start_a_pipeline_may_imagine_one() {
    let server = TestServer::start().await;
    let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
    let variable = json!({"key": "GUARDED", "value": "guarded", "protected": true});
    server
        .root
        .post(&format!("/projects/{project}/variables"), variable)
        .await
        .expect(201);
    ask(&Client::anonymous(&server.url), project, json!({}))
        .await
        .expect(401);
    for (name, level, status) in [
        ("stranger", 0, 404),
        ("guest", 10, 403),
        ("reporter", 20, 403),
    ] {
        let client = member(&server, project, name, level).await;
        ask(&client, project, json!({})).await.expect(status);
    }
    let developer = member(&server, project, "developer", 30).await;
    let refused = ask(&developer, project, json!({})).await.expect(400).json();
    let said = refused["message"]["base"][0].as_str().unwrap();
    assert!(
        said.starts_with("You do not have sufficient permission"),
        "{said}"
    );
    // A branch of their own may be imagined, without what is for protected branches.
    let body = json!({"ref": "feature", "tag": false});
    let found = ask(&developer, project, body).await.expect(200).json();
    let variables = &found["jobs"]["build"]["scoped_variables"];
    assert_eq!(variables["CI_COMMIT_BRANCH"], "feature");
    assert!(variables.get("GUARDED").is_none(), "{variables}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_job_is_here_or_not() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
        let id = server.pipeline(project).await["id"].clone();
        let path = format!("/api/footplate/v1/projects/{project}/pipelines/{id}/why");
        let get = async |client: &Client, path: &str| {
            client.send(client.request(Method::GET, path)).await
        };
        let why = get(&server.root, &path).await.expect(200).json();
        assert_eq!(why["jobs"]["build"]["decided_by"], "always", "{why}");
        let night = get(&server.root, &format!("{path}?job=night"))
            .await
            .expect(200)
            .json();
        assert_eq!(night["decided_by"], "no rule matched");
        let none = get(&server.root, &format!("{path}?job=none"))
            .await
            .expect(404)
            .json();
        assert_eq!(none, json!({"message": "404 Job Not Found"}));
        get(&server.root, &path.replace(&format!("/{id}/"), "/9999/"))
            .await
            .expect(404);
        get(&Client::anonymous(&server.url), &path)
            .await
            .expect(404);
        let guest = member(&server, project, "guest", 10).await;
        get(&guest, &path).await.expect(403);
        let reporter = member(&server, project, "reporter", 20).await;
        get(&reporter, &path).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_get_the_schema() {
    let server = TestServer::start().await;
    let client = Client::anonymous(&server.url);
    let answer = client
        .send(client.request(Method::GET, "/api/footplate/v1/ci-schema.json"))
        .await
        .expect(200);
    assert_eq!(answer.header("content-type"), "application/schema+json");
    assert_eq!(
        answer.json()["$schema"],
        "http://json-schema.org/draft-07/schema#"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_why_shows_values_to_who_may_read_them() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[]).await;
        let variable = json!({"key": "TARGET", "value": "pl4in"});
        server
            .root
            .post(&format!("/projects/{project}/variables"), variable)
            .await
            .expect(201);
        let rules = "build: {script: [x], rules: [{if: $TARGET && $CI_COMMIT_BRANCH}]}\n";
        server.commit(project, &[(".gitlab-ci.yml", rules)]).await;
        let id = server.pipeline(project).await["id"].clone();
        let path = format!("/api/footplate/v1/projects/{project}/pipelines/{id}/why?job=build");
        let why = async |client: &Client| {
            let answer = client.send(client.request(Method::GET, &path)).await;
            answer.expect(200).json()
        };
        let root = why(&server.root).await;
        let provenance = json!({"name": "TARGET", "value": "pl4in", "level": "project"});
        assert_eq!(root["variables"][0], provenance, "{root}");
        let reporter = member(&server, project, "reporter", 20).await;
        let shown = why(&reporter).await.to_string();
        assert!(
            !shown.contains("pl4in") && shown.contains("[hidden]"),
            "{shown}"
        );
        assert!(shown.contains("\\\"main\\\""), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_failed_for_its_configuration_says_where() {
    let server = TestServer::start().await;
    let files = [
        (".gitlab-ci.yml", "include: ci/base.yml\n"),
        ("ci/base.yml", "build:\n  script: ls\n  imaeg: x\n"),
    ];
    let project = server.project("p", &files).await;
    let id = server.pipeline(project).await["id"].clone();
    let path = format!("/api/footplate/v1/projects/{project}/pipelines/{id}/why");
    let why = server
        .root
        .send(server.root.request(Method::GET, &path))
        .await
        .expect(200)
        .json();
    assert_eq!(
        why["diagnostics"],
        json!([{
            "message": "jobs:build config contains unknown keys: imaeg", "file": "ci/base.yml", "line": 3, "column": 3,
            "text": "  imaeg: x", "included_from": [".gitlab-ci.yml:1"], "help": "did you mean `image`?",
        }])
    );
}
