//! GitLab's lint (`rest-api.md §9.4`).

use footplate_testkit::{BOTH, Client, ROOT_PASSWORD, TestServer};
use serde_json::{Value, json};

/// A user with a role in a project, as a client.
pub async fn member(server: &TestServer, project: i64, name: &str, level: i64) -> Client {
    let user = json!({"username": name, "name": name, "email": format!("{name}@example.org"), "password": "long enough"});
    let id = server.root.post("/users", user).await.expect(201).json()["id"].clone();
    let token = json!({"name": "t", "scopes": ["api"]});
    let token = server
        .root
        .post(&format!("/users/{id}/personal_access_tokens"), token)
        .await
        .expect(201)
        .json();
    if level > 0 {
        server
            .root
            .post(
                &format!("/projects/{project}/members"),
                json!({"user_id": id, "access_level": level}),
            )
            .await
            .expect(201);
    }
    Client::anonymous(&server.url).with_token(token["token"].as_str().unwrap())
}

async fn check(client: &Client, project: i64, body: Value) -> Value {
    let path = format!("/projects/{project}/ci/lint");
    client.post(&path, body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_checked_alone() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server
            .project("p", &[("more.yml", "more: {script: [y]}\n")])
            .await;
        let content = "include: more.yml\nstages: [build]\njob: {stage: build, script: [x]}\n";
        let answer = server
            .root
            .post(
                &format!("/projects/{project}/ci/lint"),
                json!({"content": content}),
            )
            .await
            .expect(200);
        let found = answer.json();
        let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["valid", "errors", "warnings", "merged_yaml", "includes"]
        );
        // The one job of the included file has its default stage, which the list lacks.
        assert_eq!(
            found["errors"],
            json!([
                "more job: chosen stage test does not exist; available stages are .pre, build, .post"
            ])
        );
        let merged = "---\nmore:\n  script:\n  - \"y\"\nstages:\n- \".pre\"\n- build\n- \".post\"\njob:\n  stage: build\n  script:\n  - x\n";
        assert_eq!(found["merged_yaml"], merged);
        let head = server
            .root
            .get(&format!("/projects/{project}/repository/commits/main"))
            .await
            .json();
        let sha = head["id"].as_str().unwrap();
        let url = &server.url;
        assert_eq!(
            found["includes"],
            json!([{
                "type": "local", "location": "more.yml", "blob": format!("{url}/root/p/-/blob/{sha}/more.yml"),
                "raw": format!("{url}/root/p/-/raw/{sha}/more.yml"), "extra": {}, "context_project": "root/p", "context_sha": sha,
            }])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_come_where_they_are_asked_for() {
    let server = TestServer::start().await;
    let project = server.project("p", &[("a", "b")]).await;
    let content = "
stages: [build, test]
second: {stage: test, script: [[a, b], c], after_script: d, tags: [t], needs: [first], environment: prod}
first: {stage: build, script: x, only: [main], when: manual}
";
    let body = json!({"content": content, "include_jobs": true});
    let alone = check(&server.root, project, body).await;
    assert_eq!(alone["valid"], true, "{alone}");
    assert_eq!(
        alone["jobs"],
        json!([
            {"name": "first", "stage": "build", "before_script": [], "script": ["x"], "after_script": [], "tag_list": [],
             "only": {"refs": ["main"]}, "except": null, "environment": null, "when": "manual", "allow_failure": true, "needs": null},
            {"name": "second", "stage": "test", "before_script": [], "script": ["a", "b", "c"], "after_script": ["d"],
             "tag_list": ["t"], "only": {"refs": ["branches", "tags"]}, "except": null, "environment": "prod", "when": "on_success",
             "allow_failure": false, "needs": [{"name": "first", "artifacts": true, "optional": false}]},
        ])
    );
    let body = json!({"content": content, "include_jobs": "true", "dry_run": true});
    let dry = check(&server.root, project, body).await;
    assert_eq!(dry["valid"], true, "{dry}");
    let keys: Vec<&String> = dry["jobs"][0].as_object().unwrap().keys().collect();
    let known = [
        "name",
        "stage",
        "before_script",
        "script",
        "after_script",
        "tag_list",
        "environment",
        "when",
        "allow_failure",
    ];
    assert_eq!(keys, known);
    let list = server
        .root
        .get(&format!("/projects/{project}/pipelines"))
        .await
        .json();
    assert_eq!(list, json!([]), "a dry run makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_for_a_pipeline() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[("a", "b")]).await;
        let tag = json!({"tag_name": "v1", "ref": "main"});
        server
            .root
            .post(&format!("/projects/{project}/repository/tags"), tag)
            .await
            .expect(201);
        let content = "workflow: {rules: [{if: $CI_COMMIT_TAG}]}\njob: {script: [x]}\n";
        let on = async |name: Option<&str>| {
            let body =
                json!({"content": content, "dry_run": true, "ref": name, "include_jobs": true});
            check(&server.root, project, body).await
        };
        assert_eq!(on(Some("v1")).await["valid"], true);
        assert_eq!(on(Some("refs/tags/v1")).await["jobs"][0]["name"], "job");
        let filtered = on(None).await;
        assert_eq!(
            filtered["errors"],
            json!(["Pipeline filtered out by workflow rules."])
        );
        assert_eq!(
            (&filtered["valid"], &filtered["jobs"]),
            (&json!(false), &json!([]))
        );
        assert!(filtered["merged_yaml"].is_string());
        for unknown in ["nothing", "HEAD", "main~0"] {
            let missing = on(Some(unknown)).await;
            assert_eq!(missing["errors"], json!(["Reference not found"]));
            assert_eq!(
                (&missing["merged_yaml"], &missing["includes"]),
                (&json!(null), &json!(null))
            );
        }
        let alone = check(
            &server.root,
            project,
            json!({"content": content, "ref": "nothing"}),
        )
        .await;
        assert_eq!(alone["valid"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_those_of_pipelines() {
    let server = TestServer::start().await;
    let project = server.project("p", &[("a", "b")]).await;
    let lint =
        async |content: &str| check(&server.root, project, json!({"content": content})).await;
    for (number, (content, merged)) in [
        ("job: {scrip: [x]}\n", true),
        ("image: x\n", true),
        ("job: {script: [x], stage: nowhere}\n", true),
        ("include: nowhere.yml\n", false),
        ("a: {script: [x], extends: nothing}\n", false),
        ("a: [\n", false),
        ("a b", false),
    ]
    .into_iter()
    .enumerate()
    {
        let found = lint(content).await;
        assert_eq!(found["valid"], false, "{content}");
        assert_eq!(
            found["merged_yaml"].is_string(),
            merged,
            "{content}: {found}"
        );
        assert_eq!(found["includes"].is_array(), merged, "{content}: {found}");
        let action =
            json!([{"action": "create", "file_path": ".gitlab-ci.yml", "content": content}]);
        let branch = format!("b{number}");
        let commit = json!({"branch": branch, "start_branch": "main", "commit_message": "x", "actions": action});
        server
            .root
            .post(&format!("/projects/{project}/repository/commits"), commit)
            .await
            .expect(201);
        let pipeline = server.pipeline(project).await;
        let id = &pipeline["id"];
        let pipeline = server
            .root
            .get(&format!("/projects/{project}/pipelines/{id}"))
            .await
            .json();
        let errors = pipeline["yaml_errors"].as_str().unwrap();
        let own = found["errors"][0].as_str().unwrap();
        assert!(errors.starts_with(own), "{content}: {errors} / {own}");
    }
    let blank = lint(" \n").await;
    assert_eq!(
        blank["errors"],
        json!(["Please provide content of .gitlab-ci.yml"])
    );
    let warned = lint("job: {script: [x], rules: [{when: always}]}\n").await;
    assert_eq!(warned["valid"], true);
    assert_eq!(
        warned["warnings"].as_array().map(Vec::len),
        Some(1),
        "{warned}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_file_is_checked() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let empty = server.project("empty", &[]).await;
        let missing = server
            .root
            .get(&format!("/projects/{empty}/ci/lint"))
            .await
            .expect(404);
        assert_eq!(
            missing.json(),
            json!({"message": "404 Repository Not Found"})
        );
        let sample = "job: {script: [x]}\n";
        assert_eq!(
            check(&server.root, empty, json!({"content": sample})).await["valid"],
            true
        );
        let project = server.project("p", &[("a", "b")]).await;
        let get = async |query: &str| {
            server
                .root
                .get(&format!("/projects/{project}/ci/lint{query}"))
                .await
        };
        let none = get("").await.expect(200).json();
        assert_eq!(
            none["errors"],
            json!(["Please provide content of .gitlab-ci.yml"])
        );
        let none = get("?dry_run=true").await.expect(200).json();
        assert_eq!(none["errors"], json!(["Missing CI config file"]));
        let first = server.commit(project, &[(".gitlab-ci.yml", sample)]).await;
        let change = json!({"branch": "main", "commit_message": "x", "actions": [
            {"action": "update", "file_path": ".gitlab-ci.yml", "content": "image: x\n"}]});
        server
            .root
            .post(&format!("/projects/{project}/repository/commits"), change)
            .await
            .expect(201);
        let newest = get("").await.expect(200).json();
        assert_eq!(
            newest["errors"],
            json!(["jobs config should contain at least one visible job"])
        );
        assert_eq!(newest["merged_yaml"], "---\nimage: x\n");
        let sha = first["id"].as_str().unwrap();
        for old in [
            format!("?content_ref={sha}"),
            format!("?sha={sha}"),
            "?content_ref=main~1".to_owned(),
        ] {
            assert_eq!(get(&old).await.expect(200).json()["valid"], true, "{old}");
        }
        let dry = get(&format!(
            "?content_ref={sha}&dry_run=1&dry_run_ref=main&include_jobs=1"
        ))
        .await;
        assert_eq!(dry.expect(200).json()["jobs"][0]["name"], "job");
        let missing = get("?content_ref=nothing").await.expect(404);
        assert_eq!(missing.json(), json!({"message": "404 Commit Not Found"}));
        for (query, said) in [
            (
                "?sha=a&content_ref=b",
                "sha, content_ref are mutually exclusive",
            ),
            (
                "?ref=a&dry_run_ref=b",
                "ref, dry_run_ref are mutually exclusive",
            ),
            ("?dry_run=perhaps", "dry_run is invalid"),
        ] {
            assert_eq!(get(query).await.expect(400).json(), json!({"error": said}));
        }
        let path = format!("/projects/{project}/ci/lint");
        let answer = server.root.post(&path, json!({})).await.expect(400);
        assert_eq!(answer.json(), json!({"error": "content is missing"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_check_what() {
    let server = TestServer::start().await;
    let project = server
        .project("p", &[(".gitlab-ci.yml", "job: {script: [x]}\n")])
        .await;
    let path = format!("/projects/{project}/ci/lint");
    let body = json!({"content": "job: {script: [x]}\n"});
    let nobody = Client::anonymous(&server.url);
    let stranger = member(&server, project, "stranger", 0).await;
    let guest = member(&server, project, "guest", 10).await;
    let reporter = member(&server, project, "reporter", 20).await;
    let developer = member(&server, project, "developer", 30).await;
    for (client, get, post) in [
        (&nobody, 404, 401),
        (&stranger, 404, 404),
        (&guest, 403, 403),
        (&reporter, 200, 403),
        (&developer, 200, 200),
    ] {
        client.get(&path).await.expect(get);
        client.post(&path, body.clone()).await.expect(post);
    }
    let dry = reporter
        .get(&format!("{path}?dry_run=true"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        dry["errors"],
        json!(["Insufficient permissions to create a new pipeline"])
    );
    // The default branch is protected: developers do not push there.
    let dry = json!({"content": "job: {script: [x]}\n", "dry_run": true});
    let refused = developer.post(&path, dry).await.expect(200).json();
    let said = refused["errors"][0].as_str().unwrap();
    assert!(
        said.starts_with("You do not have sufficient permission to run a pipeline on 'main'."),
        "{said}"
    );
    server
        .root
        .put(
            &format!("/projects/{project}"),
            json!({"visibility": "public"}),
        )
        .await
        .expect(200);
    assert_eq!(nobody.get(&path).await.expect(200).json()["valid"], true);
    nobody.post(&path, body.clone()).await.expect(401);
    stranger.post(&path, body).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_and_a_job_do_not_check() {
    let server = TestServer::start().await;
    let project = server
        .project("p", &[(".gitlab-ci.yml", "job: {script: [x]}\n")])
        .await;
    let form = format!(
        "user%5Blogin%5D=root&user%5Bpassword%5D={}",
        ROOT_PASSWORD.replace(' ', "+")
    );
    let http = server.root.http();
    let signed_in = http
        .post(format!("{}/users/sign_in", server.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let nobody = Client::anonymous(&server.url);
    let path = format!("/api/v4/projects/{project}/ci/lint");
    let request = nobody
        .request(reqwest::Method::GET, &path)
        .header("cookie", cookie);
    let said = nobody.send(request).await.expect(401).json();
    assert_eq!(
        said,
        json!({"message": "401 Unauthorized - This endpoint requires an API authentication"})
    );
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    runner.take().await.unwrap();
    let job = nobody.with_job_token(&runner.job("job").token);
    let path = format!("/projects/{project}/ci/lint");
    job.get(&path).await.expect(404);
    let body = json!({"content": "job: {script: [x]}\n"});
    job.post(&path, body).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_are() {
    let server = TestServer::start().await;
    let project = server
        .project(
            "p",
            &[(".gitlab-ci.yml", "include: '${PLAIN}${GUARDED}.yml'\n")],
        )
        .await;
    for (key, value, protected, masked) in [
        ("PLAIN", "plainvalue", false, false),
        ("GUARDED", "guardedvalue", true, false),
        ("HIDDEN", "hiddenvalue", false, true),
    ] {
        let variable =
            json!({"key": key, "value": value, "protected": protected, "masked": masked});
        server
            .root
            .post(&format!("/projects/{project}/variables"), variable)
            .await
            .expect(201);
    }
    let developer = member(&server, project, "developer", 30).await;
    let reporter = member(&server, project, "reporter", 20).await;
    let path = format!("/projects/{project}/ci/lint");
    let said = async |client: &Client, body: Option<Value>| {
        let found = match body {
            Some(body) => client.post(&path, body).await,
            None => client.get(&path).await,
        };
        found.expect(200).json()["errors"][0]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        said(&server.root, None).await,
        "Local file `plainvalueguardedvalue.yml` does not exist!"
    );
    // Who may not push to the protected branch does not see what is for protected branches.
    let seen = said(&developer, None).await;
    assert!(
        seen.contains("plainvalue") && !seen.contains("guardedvalue"),
        "{seen}"
    );
    // Who may start no pipeline sees no variable of the project at all.
    let seen = said(&reporter, None).await;
    assert!(
        !seen.contains("plainvalue") && !seen.contains("guardedvalue"),
        "{seen}"
    );
    let masked = json!({"content": "include: 'a/$HIDDEN.yml'\n"});
    assert_eq!(
        said(&server.root, Some(masked)).await,
        "Local file `a/xxxxxxxxxxx.yml` does not exist!"
    );
}
