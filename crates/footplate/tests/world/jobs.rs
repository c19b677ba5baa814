//! The endpoints of the jobs pages (`rest-api.md §4`).

use footplate_testkit::{BOTH, Client, TestServer};
use serde_json::{Value, json};

const CONFIG: &str = "
stages: [build, test, deploy]
build: {stage: build, script: [make], tags: [b, a], artifacts: {paths: [out]}}
test: {stage: test, script: [make test]}
deploy: {stage: deploy, script: [ship], when: manual}
";

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|job| job["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_from_commit_to_end() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server
            .project("widget", &[(".gitlab-ci.yml", CONFIG)])
            .await;
        let pipeline = server.pipeline(project).await;
        assert_eq!(pipeline["status"], "pending", "{engine:?}");
        let jobs = server
            .root
            .get("/projects/root%2Fwidget/jobs")
            .await
            .expect(200);
        assert_eq!(names(&jobs.json()), ["deploy", "test", "build"]);
        assert_eq!(
            jobs.header("x-total"),
            "",
            "a project's jobs are never counted"
        );
        assert_eq!(jobs.json()[2]["tag_list"], json!(["a", "b"]));
        let mut runner = server.runner(&["a", "b"]).await;
        assert_eq!(runner.take().await.as_deref(), Some("build"));
        runner.trace("build", "building\n").await.expect(202);
        let build = runner.job("build").clone();
        let own = Client::anonymous(&server.url).with_job_token(&build.token);
        assert_eq!(own.get("/job").await.expect(200).json()["id"], build.id);
        runner
            .finish("build", footplate_testkit::Outcome::Success)
            .await
            .expect(200);
        own.get("/job").await.expect(401);
        server.settle().await;
        assert_eq!(runner.take().await.as_deref(), Some("test"));
        runner
            .finish("test", footplate_testkit::Outcome::Exit(3))
            .await
            .expect(200);
        let pipeline = server.pipeline(project).await;
        assert_eq!(pipeline["status"], "failed");
        let failed = server
            .root
            .get(&format!("/projects/{project}/jobs?scope[]=failed"))
            .await
            .expect(200)
            .json();
        assert_eq!(names(&failed), ["test"]);
        assert_eq!(failed[0]["failure_reason"], "script_failure");
        let trace = server
            .root
            .get(&format!("/projects/{project}/jobs/{}/trace", build.id))
            .await
            .expect(200);
        assert_eq!(trace.text(), "building\n");
        assert_eq!(
            trace.header("content-disposition"),
            format!("infile; filename=\"{}.log\"", build.id)
        );
        let retried = server
            .root
            .post(
                &format!("/projects/{project}/jobs/{}/retry", failed[0]["id"]),
                json!({}),
            )
            .await
            .expect(201)
            .json();
        assert_ne!(retried["id"], failed[0]["id"]);
        assert_eq!(retried["status"], "pending");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_gitlabs_words() {
    let server = TestServer::start().await;
    let project = server
        .project("widget", &[(".gitlab-ci.yml", CONFIG)])
        .await;
    server.settle().await;
    let jobs = server
        .root
        .get(&format!("/projects/{project}/jobs"))
        .await
        .json();
    let (manual, build) = (&jobs[0]["id"], &jobs[2]["id"]);
    let root = &server.root;
    let at = |path: String| format!("/projects/{project}{path}");
    for (answer, status, body) in [
        (
            root.get("/nothing").await,
            404,
            json!({"error": "404 Not Found"}),
        ),
        (
            root.delete("/job").await,
            405,
            json!({"error": "405 Not Allowed"}),
        ),
        (
            root.get("/projects/999999/jobs").await,
            404,
            json!({"message": "404 Project Not Found"}),
        ),
        (
            root.get(&at("/jobs/999999".to_owned())).await,
            404,
            json!({"message": "404 Not found"}),
        ),
        (
            root.get(&at("/jobs/99999999999999999999999".to_owned()))
                .await,
            404,
            json!({"message": "404 Not found"}),
        ),
        (
            root.get(&at("/jobs/x".to_owned())).await,
            400,
            json!({"error": "job_id is invalid"}),
        ),
        (
            root.get(&at("/jobs?scope[]=nope".to_owned())).await,
            400,
            json!({"error": "scope does not have a valid value"}),
        ),
        (
            root.get(&at("/jobs?per_page=0".to_owned())).await,
            400,
            json!({"error": "per_page has a value not allowed"}),
        ),
        (
            root.get(&at("/jobs?pagination=keyset&sort=asc".to_owned()))
                .await,
            405,
            json!({"error": "Keyset pagination is not yet available for this type of request"}),
        ),
        (
            root.get("/job").await,
            404,
            json!({"message": "404 Job Not Found"}),
        ),
        (
            root.post(&at(format!("/jobs/{build}/erase")), json!({}))
                .await,
            403,
            json!({"message": "403 Forbidden - Job is not erasable!"}),
        ),
        (
            root.post(&at(format!("/jobs/{build}/retry")), json!({}))
                .await,
            403,
            json!({"message": "403 Forbidden - Job is not retryable"}),
        ),
        (
            root.post(&at(format!("/jobs/{build}/play")), json!({}))
                .await,
            400,
            json!({"message": "400 Bad request - Unplayable Job"}),
        ),
        (
            root.post(
                &at(format!("/jobs/{manual}/play")),
                json!({"job_variables_attributes": [{"value": "1"}]}),
            )
            .await,
            400,
            json!({"error": "job_variables_attributes[0][key] is missing"}),
        ),
        (
            Client::anonymous(&server.url)
                .get(&at("/jobs".to_owned()))
                .await,
            401,
            json!({"message": "401 Unauthorized"}),
        ),
        (
            root.with_token("glpat-wrong").get(&at(String::new())).await,
            401,
            json!({"message": "401 Unauthorized"}),
        ),
        (
            root.get(&at("/pipelines/latest?ref=none".to_owned())).await,
            403,
            json!({"message": "403 Forbidden"}),
        ),
        (
            root.post(&at("/pipeline".to_owned()), json!({})).await,
            400,
            json!({"error": "ref is missing"}),
        ),
        (
            root.post(&at("/pipeline".to_owned()), json!({"ref": "none"}))
                .await,
            400,
            json!({"message": {"base": ["Reference not found"]}}),
        ),
    ] {
        assert_eq!((answer.status, answer.json()), (status, body));
    }
    let played = root
        .post(&at(format!("/jobs/{build}/cancel")), json!({}))
        .await
        .expect(201)
        .json();
    assert_eq!(played["status"], "canceled");
    root.post(&at(format!("/jobs/{build}/cancel")), json!({}))
        .await
        .expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_refused_and_nothing_breaks() {
    let server = TestServer::start().await;
    let project = server
        .project("widget", &[(".gitlab-ci.yml", CONFIG)])
        .await;
    let paths = [
        "/projects/%00/jobs",
        "/projects/%ff%fe/jobs",
        "/projects/-1/jobs",
        "/projects/1/jobs?cursor=xx&pagination=keyset",
        "/projects/1/jobs?page=99999999999999999999",
        "/projects/1/jobs?scope[a][b][c]=1",
        "/projects/1/pipelines?updated_after=never",
        "/projects/1/jobs?private_token=%00",
        "/projects/1/repository/files/..%2f..%2fetc%2fpasswd?ref=main",
        "/projects/1/repository/commits/--upload-pack=x",
        "/projects/1/jobs/artifacts/main/raw/../../x?job=build",
    ];
    for path in paths {
        let answer = server.root.get(path).await;
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let url = format!("{}/api/v4/projects/{project}/pipeline", server.url);
    let send = |body: &'static str, kind: &'static str| {
        server
            .root
            .http()
            .post(&url)
            .header("private-token", footplate_testkit::ROOT_TOKEN)
            .header("content-type", kind)
            .body(body)
            .send()
    };
    for (body, kind, status) in [
        ("{", "application/json", 400),
        ("[1]", "application/json", 400),
        ("\u{1}", "application/x-yaml", 415),
        ("", "application/json", 400),
        ("ref=%ff", "application/x-www-form-urlencoded", 400),
        ("x", "multipart/form-data", 400),
    ] {
        assert_eq!(
            send(body, kind).await.unwrap().status().as_u16(),
            status,
            "{kind} {body}"
        );
    }
    server.root.get("/user").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_they_ended() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let config: String = (0..25)
            .map(|n| format!("job{n}: {{script: [x]}}\n"))
            .collect();
        let project = server.project("many", &[(".gitlab-ci.yml", &config)]).await;
        let pipeline = server.pipeline(project).await["id"].clone();
        let page = server
            .root
            .get(&format!(
                "/projects/{project}/pipelines/{pipeline}/jobs?per_page=10&page=2"
            ))
            .await
            .expect(200);
        assert_eq!(
            (
                page.header("x-total"),
                page.header("x-total-pages"),
                page.header("x-next-page")
            ),
            ("25", "3", "3")
        );
        let mut path = format!("/projects/{project}/jobs?pagination=keyset&per_page=10");
        let mut seen = Vec::new();
        loop {
            let page = server.root.get(&path).await.expect(200);
            seen.extend(
                page.json()
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|job| job["id"].as_i64().unwrap()),
            );
            assert_eq!(page.header("x-page"), "");
            let link = page.header("link").to_owned();
            if link.is_empty() {
                break;
            }
            assert!(
                link.ends_with("rel=\"next\"") && !link[..link.len() - 12].contains(','),
                "{link}"
            );
            let url = &link[1..link.find('>').unwrap()];
            path = url
                .strip_prefix(&format!("{}/api/v4", server.url))
                .unwrap()
                .to_owned();
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!((seen.len(), seen), (25, sorted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide() {
    let server = TestServer::start().await;
    let project = server
        .project("widget", &[(".gitlab-ci.yml", CONFIG)])
        .await;
    server.settle().await;
    let job = server
        .root
        .get(&format!("/projects/{project}/jobs"))
        .await
        .json()[2]["id"]
        .clone();
    let mut people = Vec::new();
    for (name, level) in [
        ("guest", 10),
        ("reporter", 20),
        ("developer", 30),
        ("maintainer", 40),
        ("nobody", 0),
    ] {
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
        people.push(server.root.with_token(token["token"].as_str().unwrap()));
    }
    let [guest, reporter, developer, maintainer, nobody] =
        people.try_into().unwrap_or_else(|_| unreachable!());
    let list = format!("/projects/{project}/jobs");
    nobody.get(&list).await.expect(404);
    guest.get(&list).await.expect(200);
    server
        .root
        .put(
            &format!("/projects/{project}"),
            json!({"public_jobs": false}),
        )
        .await
        .expect(200);
    guest.get(&list).await.expect(403);
    reporter.get(&list).await.expect(200);
    let cancel = format!("/projects/{project}/jobs/{job}/cancel");
    reporter.post(&cancel, json!({})).await.expect(403);
    // The default branch is protected from its first commit, and developers may not push to it.
    developer.post(&cancel, json!({})).await.expect(403);
    maintainer.post(&cancel, json!({})).await.expect(201);
    developer
        .delete(&format!("/projects/{project}/pipelines/1"))
        .await
        .expect(403);
}
