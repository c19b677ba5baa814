//! Files of a configuration from elsewhere (`ci-yaml.md §4`).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use footplate_testkit::{BOTH, Engine, TestServer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::lint::member;

/// A server of files for `include: remote`; it knows how often it was asked.
struct FileServer {
    address: String,
    asked: Arc<AtomicUsize>,
}

async fn file_server(files: &[(&str, &str)]) -> FileServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    let files: Arc<BTreeMap<String, String>> = Arc::new(files.iter().map(own).collect());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (files, counter) = (Arc::clone(&files), Arc::clone(&counter));
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                counter.fetch_add(1, Ordering::SeqCst);
                if path.starts_with("/never") {
                    std::future::pending::<()>().await;
                }
                let (status, body) = match files.get(&path) {
                    Some(body) => ("200 OK", body.as_str()),
                    None => ("404 Not Found", ""),
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    FileServer { address, asked }
}

async fn open_server(engine: Engine) -> TestServer {
    TestServer::with(engine, |config| {
        config.egress.allow = vec!["127.0.0.1".to_owned()];
        config.egress.timeout_seconds = 1;
    })
    .await
}

async fn check(server: &TestServer, project: i64, content: &str) -> Value {
    let path = format!("/projects/{project}/ci/lint");
    let body = json!({"content": content, "include_jobs": true});
    server.root.post(&path, body).await.expect(200).json()
}

async fn tag(server: &TestServer, project: i64, name: &str) {
    let body = json!({"tag_name": name, "ref": "main"});
    server
        .root
        .post(&format!("/projects/{project}/repository/tags"), body)
        .await
        .expect(201);
}

async fn job_names(server: &TestServer, project: i64) -> Vec<String> {
    server.settle().await;
    let jobs = server
        .root
        .get(&format!("/projects/{project}/jobs"))
        .await
        .expect(200)
        .json();
    let names = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["name"].as_str().unwrap().to_owned());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_files_are_fetched_where_the_instance_opens_them() {
    let files = file_server(&[
        ("/a.yml", "include: /b.yml\na: {script: [x]}\n"),
        ("/ok.yml", "ok: {script: [x]}\n"),
        ("/empty.yml", " \n"),
    ])
    .await;
    let at = |path: &str| format!("http://{}/{path}", files.address);
    let server = open_server(Engine::Sqlite).await;
    let project = server
        .project("p", &[("b.yml", "b: {script: [x]}\n")])
        .await;
    let found = check(&server, project, &format!("include: '{}'\n", at("ok.yml"))).await;
    assert_eq!(found["valid"], true, "{found}");
    assert_eq!(found["jobs"][0]["name"], "ok");
    let include = &found["includes"][0];
    assert_eq!(
        (&include["type"], &include["raw"]),
        (&json!("remote"), &json!(at("ok.yml")))
    );
    assert_eq!(
        (&include["location"], &include["blob"]),
        (&json!(at("ok.yml")), &json!(null))
    );
    for (path, said) in [
        (
            "no.yml",
            format!(
                "Remote file `{}` could not be fetched because of HTTP code `404` error!",
                at("no.yml")
            ),
        ),
        (
            "never.yml",
            format!(
                "Remote file `{}` could not be fetched because of a timeout error!",
                at("never.yml")
            ),
        ),
        (
            "empty.yml",
            format!(
                "Included file `{}` is empty or does not exist!",
                at("empty.yml")
            ),
        ),
    ] {
        let found = check(
            &server,
            project,
            &format!("include: {{remote: '{}'}}\n", at(path)),
        )
        .await;
        assert_eq!(found["errors"], json!([said]));
    }
    let pipeline = format!("include: '{}'\n", at("ok.yml"));
    server
        .commit(project, &[(".gitlab-ci.yml", pipeline.as_str())])
        .await;
    assert_eq!(job_names(&server, project).await, ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_allow_list_nothing_private_is_asked() {
    let files = file_server(&[("/ok.yml", "ok: {script: [x]}\n")]).await;
    let server = TestServer::start().await;
    let project = server.project("p", &[("a", "b")]).await;
    let port = files.address.rsplit(':').next().unwrap();
    for (url, said) in [
        (
            format!("http://{}/ok.yml", files.address),
            "Only allowed schemes are https",
        ),
        (
            format!("https://{}/ok.yml", files.address),
            "Requests to loopback addresses are not allowed",
        ),
        (
            format!("https://localhost:{port}/ok.yml"),
            "Requests to loopback addresses are not allowed",
        ),
        (
            format!("https://2130706433:{port}/ok.yml"),
            "Requests to loopback addresses are not allowed",
        ),
        (
            "https://169.254.169.254/ok.yml".to_owned(),
            "Requests to the link local network are not allowed",
        ),
    ] {
        let found = check(&server, project, &format!("include: '{url}'\n")).await;
        let message = format!("Remote file could not be fetched because URL is blocked: {said}!");
        assert_eq!(found["errors"], json!([message]), "{url}");
    }
    assert_eq!(files.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_files_together_have_their_time() {
    let files = file_server(&[]).await;
    let server = TestServer::with(Engine::Sqlite, |config| {
        config.egress.allow = vec!["127.0.0.1".to_owned()];
        config.egress.configuration_seconds = 1;
    })
    .await;
    let project = server.project("p", &[("a", "b")]).await;
    let content = format!("include: 'http://{}/never.yml'\n", files.address);
    let found = check(&server, project, &content).await;
    assert_eq!(
        found["errors"],
        json!(["Request timed out when fetching configuration files."])
    );
    assert_eq!(
        (&found["merged_yaml"], &found["includes"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_the_server_fetch() {
    let files = file_server(&[("/ok.yml", "ok: {script: [x]}\n")]).await;
    let server = open_server(Engine::Sqlite).await;
    let config = format!("include: 'http://{}/ok.yml'\n", files.address);
    let project = server
        .project("p", &[(".gitlab-ci.yml", config.as_str())])
        .await;
    server
        .root
        .put(
            &format!("/projects/{project}"),
            json!({"visibility": "public"}),
        )
        .await
        .expect(200);
    server.settle().await;
    let before = files.asked.load(Ordering::SeqCst);
    let nobody = footplate_testkit::Client::anonymous(&server.url);
    let found = nobody
        .get(&format!("/projects/{project}/ci/lint"))
        .await
        .expect(200)
        .json();
    assert!(
        found["errors"][0]
            .as_str()
            .unwrap()
            .contains("nobody is signed in"),
        "{found}"
    );
    assert_eq!(files.asked.load(Ordering::SeqCst), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn components_have_versions() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let one = "spec: {inputs: {name: {default: job}}}\n---\n\"$[[ inputs.name ]]-1\": {script: [x]}\n";
        let source = server
            .project(
                "parts",
                &[
                    ("templates/build.yml", one),
                    ("templates/deep/template.yml", "deep: {script: [x]}\n"),
                ],
            )
            .await;
        for name in ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1"] {
            tag(&server, source, name).await;
        }
        let change = |number: u8| {
            json!({"branch": "main", "commit_message": "x", "actions": [{"action": "update", "file_path": "templates/build.yml",
                "content": one.replace("-1\"", &format!("-{number}\""))}]})
        };
        let commits = format!("/projects/{source}/repository/commits");
        server.root.post(&commits, change(2)).await.expect(201);
        tag(&server, source, "2.1.0").await;
        let newest = server
            .root
            .post(&commits, change(3))
            .await
            .expect(201)
            .json();
        let project = server.project("p", &[("a", "b")]).await;
        let sha = newest["id"].as_str().unwrap();
        for (version, job) in [
            ("1", "job-1"),
            ("1.2", "job-1"),
            ("2", "job-2"),
            ("~latest", "job-2"),
            ("2.1.0", "job-2"),
            ("main", "job-3"),
            (sha, "job-3"),
        ] {
            let content =
                format!("include: {{component: $CI_SERVER_FQDN/root/parts/build@{version}}}\n");
            let found = check(&server, project, &content).await;
            assert_eq!(found["jobs"][0]["name"], job, "{version}: {found}");
        }
        let content = "include: [{component: $CI_SERVER_FQDN/root/parts/deep@main}, {component: $CI_SERVER_FQDN/root/parts/build@main, inputs: {name: own}}]\n";
        let found = check(&server, project, content).await;
        let fqdn = server.url.trim_start_matches("http://");
        let include = &found["includes"][0];
        assert_eq!(include["location"], format!("{fqdn}/root/parts/deep@main"));
        assert_eq!(
            include["blob"],
            format!(
                "{}/root/parts/-/blob/{sha}/templates/deep/template.yml",
                server.url
            )
        );
        assert_eq!(
            (&include["type"], &include["raw"]),
            (&json!("component"), &json!(null))
        );
        assert_eq!(found["jobs"][1]["name"], "own-3", "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn components_that_are_not_there() {
    let server = TestServer::start().await;
    let source = server
        .project(
            "parts",
            &[("templates/build.yml", "build: {script: [x]}\n")],
        )
        .await;
    let project = server.project("p", &[("a", "b")]).await;
    let fqdn = server.url.trim_start_matches("http://");
    for (address, said) in [
        (format!("{fqdn}/root/parts/build@3"), "content not found"),
        (
            format!("{fqdn}/root/parts/build@~latest"),
            "content not found",
        ),
        (format!("{fqdn}/root/parts/other@main"), "content not found"),
        (
            format!("{fqdn}/root/nothing/build@main"),
            "content not found",
        ),
        (format!("{fqdn}/build@main"), "content not found"),
        (
            format!("{fqdn}/root/parts/build"),
            "the component path is not supported",
        ),
        (
            "elsewhere.example.com/root/parts/build@main".to_owned(),
            "the component path is not supported",
        ),
    ] {
        let found = check(
            &server,
            project,
            &format!("include: {{component: '{address}'}}\n"),
        )
        .await;
        assert_eq!(
            found["errors"],
            json!([format!("Component '{address}' - {said}")])
        );
    }
    // The one whom the pipeline is for must be able to read the code.
    let developer = member(&server, project, "developer", 30).await;
    let content = format!("include: {{component: '{fqdn}/root/parts/build@main'}}\n");
    let path = format!("/projects/{project}/ci/lint");
    let found = developer
        .post(&path, json!({"content": content}))
        .await
        .expect(200)
        .json();
    let said = "project does not exist or you don't have sufficient permissions";
    assert_eq!(
        found["errors"],
        json!([format!("Component '{fqdn}/root/parts/build@main' - {said}")])
    );
    server
        .root
        .put(
            &format!("/projects/{source}"),
            json!({"visibility": "internal"}),
        )
        .await
        .expect(200);
    let found = developer
        .post(&path, json!({"content": content}))
        .await
        .expect(200)
        .json();
    assert_eq!(found["valid"], true, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_projects() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let other = [
            ("ci/a.yml", "include: ci/b.yml\na: {script: [x]}\n"),
            ("ci/b.yml", "b: {script: [x]}\n"),
            ("nested.yml", "include: /none.yml\n"),
            ("empty.yml", "\n"),
        ];
        let source = server.project("other", &other).await;
        let project = server
            .project("p", &[("ci/b.yml", "wrong: {script: [x]}\n")])
            .await;
        let found = check(
            &server,
            project,
            "include: {project: root/other, ref: main, file: /ci/a.yml}\n",
        )
        .await;
        let names: Vec<&str> = found["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["b", "a"], "{found}");
        let head = server
            .root
            .get(&format!("/projects/{source}/repository/commits/main"))
            .await
            .json();
        let (sha, url) = (head["id"].as_str().unwrap(), &server.url);
        let own = server
            .root
            .get(&format!("/projects/{project}/repository/commits/main"))
            .await
            .json();
        assert_eq!(
            found["includes"],
            json!([
                {"type": "file", "location": "ci/a.yml", "blob": format!("{url}/root/other/-/blob/{sha}/ci/a.yml"),
                 "raw": format!("{url}/root/other/-/raw/{sha}/ci/a.yml"), "extra": {"project": "root/other", "ref": "main"},
                 "context_project": "root/p", "context_sha": own["id"]},
                {"type": "local", "location": "ci/b.yml", "blob": format!("{url}/root/other/-/blob/{sha}/ci/b.yml"),
                 "raw": format!("{url}/root/other/-/raw/{sha}/ci/b.yml"), "extra": {},
                 "context_project": "root/other", "context_sha": sha},
            ])
        );
        for (include, said) in [
            (
                "project: root/none, file: a.yml",
                "Project `root/none` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined.",
            ),
            (
                "project: Root/Other, ref: none, file: a.yml",
                "Project `root/other` reference `none` does not exist!",
            ),
            (
                "project: root/other, file: none.yml",
                "Project `root/other` file `none.yml` does not exist!",
            ),
            (
                "project: root/other, file: nested.yml",
                "Local file `none.yml` does not exist!",
            ),
            (
                "project: root/other, file: empty.yml",
                "Project `root/other` file `empty.yml` is empty!",
            ),
        ] {
            let found = check(&server, project, &format!("include: {{{include}}}\n")).await;
            assert_eq!(found["errors"], json!([said]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_itself_is_elsewhere() {
    let files = file_server(&[("/ci.yml", "remote: {script: [x]}\n")]).await;
    let server = open_server(Engine::Sqlite).await;
    let header = "spec: {inputs: {word: {default: plain}}}\n---\n";
    let config = format!("{header}include: more.yml\n\"$[[ inputs.word ]]\": {{script: [x]}}\n");
    let source = server
        .project(
            "config",
            &[
                ("ci.yml", config.as_str()),
                ("more.yml", "more: {script: [x]}\n"),
            ],
        )
        .await;
    tag(&server, source, "v1").await;
    for (name, path, jobs) in [
        (
            "one",
            "ci.yml@root/config".to_owned(),
            &["plain", "more"][..],
        ),
        (
            "two",
            "ci.yml@root/config:v1".to_owned(),
            &["plain", "more"][..],
        ),
        (
            "three",
            format!("http://{}/ci.yml", files.address),
            &["remote"][..],
        ),
    ] {
        let made = server
            .root
            .post("/projects", json!({"path": name, "ci_config_path": path}))
            .await;
        let project = made.expect(201).json()["id"].as_i64().unwrap();
        server.commit(project, &[("a", "b")]).await;
        assert_eq!(job_names(&server, project).await, jobs, "{path}");
        let found = server
            .root
            .get(&format!("/projects/{project}/ci/lint"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["valid"], true, "{found}");
        let own = if jobs.len() == 2 {
            vec!["more.yml"]
        } else {
            Vec::new()
        };
        let listed = found["includes"].as_array().unwrap();
        let listed: Vec<&str> = listed
            .iter()
            .map(|file| file["location"].as_str().unwrap())
            .collect();
        assert_eq!(listed, own, "the root itself is not listed");
    }
    let body = json!({"ref": "main", "inputs": {"word": "given"}});
    server
        .root
        .post("/projects/root%2Fone/pipeline", body)
        .await
        .expect(201);
    server.settle().await;
    let jobs = server
        .root
        .get("/projects/root%2Fone/jobs?per_page=2")
        .await
        .json();
    assert_eq!(jobs[0]["name"], "given");
    let made = server
        .root
        .post(
            "/projects",
            json!({"path": "four", "ci_config_path": "x.yml@root/none"}),
        )
        .await;
    let project = made.expect(201).json()["id"].as_i64().unwrap();
    server.commit(project, &[("a", "b")]).await;
    let pipeline = server.pipeline(project).await;
    let id = &pipeline["id"];
    let pipeline = server
        .root
        .get(&format!("/projects/{project}/pipelines/{id}"))
        .await
        .json();
    assert!(
        pipeline["yaml_errors"]
            .as_str()
            .unwrap()
            .starts_with("Project `root/none` not found"),
        "{pipeline}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn children_include_everything() {
    for engine in BOTH {
        let files = file_server(&[("/remote.yml", "remote: {script: [x]}\n")]).await;
        let server = open_server(engine).await;
        server
            .project(
                "parts",
                &[
                    ("templates/part.yml", "part: {script: [x]}\n"),
                    ("other.yml", "other: {script: [x]}\n"),
                ],
            )
            .await;
        let fqdn = server.url.trim_start_matches("http://");
        let config = format!(
            "start:\n  trigger:\n    include:\n      - component: {fqdn}/root/parts/part@main\n      - remote: http://{}/remote.yml\n      - {{project: root/parts, file: other.yml}}\n\
             second:\n  trigger:\n    include: {{template: Bash.gitlab-ci.yml}}\n",
            files.address
        );
        let project = server
            .project("p", &[(".gitlab-ci.yml", config.as_str())])
            .await;
        server.settle().await;
        let names = job_names(&server, project).await;
        for name in ["part", "remote", "other"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        let children = server
            .root
            .get(&format!(
                "/projects/{project}/pipelines?source=parent_pipeline"
            ))
            .await
            .json();
        assert_eq!(children.as_array().map(Vec::len), Some(2), "{children}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_come_with_the_pipeline() {
    let server = TestServer::start().await;
    let config = "spec: {inputs: {count: {type: number, default: 1}}}\n---\n\"job-$[[ inputs.count ]]\": {script: [x]}\n";
    let project = server.project("p", &[(".gitlab-ci.yml", config)]).await;
    let path = format!("/projects/{project}/pipeline");
    server
        .root
        .post(&path, json!({"ref": "main", "inputs": {"count": 7}}))
        .await
        .expect(201);
    assert_eq!(job_names(&server, project).await, ["job-7", "job-1"]);
    let many: serde_json::Map<String, Value> =
        (0..21).map(|n| (format!("i{n}"), json!(n))).collect();
    let refused = server
        .root
        .post(&path, json!({"ref": "main", "inputs": many}))
        .await
        .expect(400)
        .json();
    assert_eq!(
        refused,
        json!({"message": {"base": ["Too many inputs: a pipeline takes at most 20"]}})
    );
    let refused = server
        .root
        .post(&path, json!({"ref": "main", "inputs": {"count": "x"}}))
        .await
        .expect(400)
        .json();
    assert_eq!(
        refused["message"]["base"][0],
        "`count` input: provided value is not a number"
    );
}
