//! Pushes by the real git.

use std::{path::Path, process::Output};

use footplate_testkit::{BOTH, ROOT_TOKEN, TestServer};
use serde_json::json;
use tokio::process::Command;

async fn git(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn work_tree(server: &TestServer, config: &str) -> std::path::PathBuf {
    let folder = server.folder().join("work");
    std::fs::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "-q", "-b", "main"]).await;
    std::fs::write(folder.join(".gitlab-ci.yml"), config).unwrap();
    git(&folder, &["add", "-A"]).await;
    git(&folder, &["commit", "-q", "-m", "first"]).await;
    folder
}

fn remote(server: &TestServer, credential: &str, path: &str) -> String {
    server
        .url
        .replace("http://", &format!("http://{credential}@"))
        + path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_makes_the_project_and_prints_the_pipeline() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let folder = work_tree(&server, "job: {script: [x]}\n").await;
        let url = remote(&server, &format!("root:{ROOT_TOKEN}"), "/root/new.git");
        let pushed = git(&folder, &["push", &url, "main"]).await;
        assert!(pushed.status.success(), "{}", text(&pushed));
        let said = text(&pushed);
        assert!(
            said.contains("remote: pipeline #1 ") && said.contains("/root/new/-/pipelines/1"),
            "{said}"
        );
        let project = server
            .root
            .get("/projects/root%2Fnew")
            .await
            .expect(200)
            .json();
        assert_eq!(project["default_branch"], "main");
        let protected = server
            .root
            .get("/projects/root%2Fnew/protected_branches")
            .await
            .expect(200)
            .json();
        assert_eq!(protected[0]["name"], "main");
        let refs = text(&git(&folder, &["ls-remote", &url]).await);
        assert!(refs.contains("refs/heads/main"), "{refs}");
        let fetched = git(
            &folder,
            &["fetch", &url, "refs/pipelines/1:refs/pipelines/1"],
        )
        .await;
        assert!(fetched.status.success(), "{}", text(&fetched));
        // History of a protected branch is not rewritten.
        git(&folder, &["commit", "-q", "--amend", "-m", "again"]).await;
        let forced = git(&folder, &["push", "--force", &url, "main"]).await;
        assert!(!forced.status.success(), "{}", text(&forced));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_options_and_faults() {
    let server = TestServer::start().await;
    let folder = work_tree(&server, "job: {script: [x]}\n").await;
    let url = remote(&server, &format!("root:{ROOT_TOKEN}"), "/root/new.git");
    git(&folder, &["push", "-o", "ci.skip", &url, "main"]).await;
    let list = server
        .root
        .get("/projects/root%2Fnew/pipelines")
        .await
        .json();
    assert_eq!(list[0]["status"], "skipped");
    git(&folder, &["commit", "-q", "--allow-empty", "-m", "second"]).await;
    git(
        &folder,
        &["push", "-o", "ci.variable=COLOUR=blue", &url, "main"],
    )
    .await;
    let variables = server
        .root
        .get("/projects/root%2Fnew/pipelines/2/variables")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&variables[0]["key"], &variables[0]["value"]),
        (&json!("COLOUR"), &json!("blue"))
    );
    std::fs::write(folder.join(".gitlab-ci.yml"), "job: {scrip: [x]}\n").unwrap();
    git(&folder, &["commit", "-q", "-a", "-m", "third"]).await;
    let said = text(&git(&folder, &["push", &url, "main"]).await);
    assert!(
        said.contains("(failed)") && said.contains("jobs job config should"),
        "{said}"
    );
    let failed = server
        .root
        .get("/projects/root%2Fnew/pipelines/3")
        .await
        .json();
    assert_eq!(failed["status"], "failed");
    assert!(
        failed["yaml_errors"]
            .as_str()
            .unwrap()
            .starts_with("jobs job config"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_come_with_a_push() {
    let server = TestServer::start().await;
    let config = "spec: {inputs: {word: {}, count: {type: number, default: 1}, list: {type: array, default: []}}}\n---\n\
        \"$[[ inputs.word ]]-$[[ inputs.count ]]\": {script: \"$[[ inputs.list ]]\"}\n";
    let folder = work_tree(&server, config).await;
    let url = remote(&server, &format!("root:{ROOT_TOKEN}"), "/root/new.git");
    let options = [
        "push",
        "-o",
        "ci.input=word=a=b",
        "-o",
        "ci.input=count=7",
        "-o",
        "ci.input=list=[\"x\", \"y\"]",
        &url,
        "main",
    ];
    let said = text(&git(&folder, &options).await);
    server.settle().await;
    let jobs = server
        .root
        .get("/projects/root%2Fnew/jobs")
        .await
        .expect(200)
        .json();
    assert_eq!(jobs[0]["name"], "a=b-7", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_get_in() {
    let server = TestServer::start().await;
    server.project("private", &[("a", "b")]).await;
    let folder = server.folder();
    for credential in [
        "root:wrong",
        "gitlab-ci-token:glcbt-nothing",
        "nobody:nothing",
    ] {
        let cloned = git(
            &folder,
            &[
                "clone",
                "-q",
                &remote(&server, credential, "/root/private.git"),
                "clone",
            ],
        )
        .await;
        assert!(!cloned.status.success());
    }
    let answer = server
        .root
        .http()
        .get(format!(
            "{}/root/private.git/info/refs?service=git-upload-pack",
            server.url
        ))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    assert!(
        answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic realm=")
    );
}
