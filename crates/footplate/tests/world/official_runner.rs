//! The official gitlab-runner, where the machine has one: it registers, does a pipeline with artifacts, sees a cancelation.

use std::{path::PathBuf, process::Stdio};

use footplate_model::{JobId, ProjectId};
use footplate_store::Topic;
use footplate_testkit::{BOTH, TestServer};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::events::{until, until_job, until_pipeline};

const CONFIG: &str = "
stages: [make, use, end]
make:
  stage: make
  script: [mkdir -p out, 'echo \"made by $CI_JOB_NAME\" > out/a.txt', 'echo \"WHERE=there\" > vars.env']
  artifacts: {paths: [out], reports: {dotenv: vars.env}}
use:
  stage: use
  script: [cat out/a.txt, 'echo \"dotenv says $WHERE\"', cat .gitlab-ci.yml]
long:
  stage: end
  script: [echo begun, sleep 300, echo never]
  after_script: ['echo \"afterwards $CI_JOB_STATUS\"']
";

/// The program, or one loud line.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("gitlab-runner"))
        .find(|path| path.is_file());
    if found.is_none() {
        println!(
            "NOT TESTED: there is no gitlab-runner on PATH, so the official runner was not tried against the server"
        );
    }
    found
}

/// Registers by the program's own command, then lets it run.
async fn start(program: &PathBuf, server: &TestServer) -> Child {
    let folder = server.folder().join("official");
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("config.toml");
    let token = server.runner(&[]).await.token;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .env("HOME", &folder)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    };
    let registered = command(&["register", "--non-interactive", "--executor", "shell"])
        .args(["--url", &server.url, "--token", &token])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&registered.stderr).into_owned();
    assert!(registered.status.success(), "{said}");
    let written = std::fs::read_to_string(&config).unwrap();
    let written = written.replace("check_interval = 0", "check_interval = 1");
    std::fs::write(&config, written).unwrap();
    let work = folder.join("work");
    std::fs::create_dir_all(&work).unwrap();
    command(&["run"])
        .arg("--working-directory")
        .arg(&work)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

async fn find(server: &TestServer, project: i64, name: &str) -> i64 {
    let woken = server
        .app()
        .db()
        .subscribe(Topic::Project(ProjectId(project)));
    let path = format!("/projects/{project}/jobs?per_page=100");
    until(woken, async || {
        let jobs: Value = server.root.get(&path).await.expect(200).json();
        let found = jobs
            .as_array()
            .unwrap()
            .iter()
            .find(|job| job["name"] == name);
        found.and_then(|job| job["id"].as_i64()).ok_or(jobs.clone())
    })
    .await
}

async fn trace(server: &TestServer, project: i64, job: i64) -> String {
    let path = format!("/projects/{project}/jobs/{job}/trace");
    server.root.get(&path).await.expect(200).text()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_runner_does_a_pipeline() {
    let Some(program) = program() else { return };
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 10).await;
        let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
        let _runner = start(&program, &server).await;
        let make = find(&server, project, "make").await;
        until_job(&server, project, make, "success").await;
        let used = find(&server, project, "use").await;
        until_job(&server, project, used, "success").await;
        let said = trace(&server, project, used).await;
        for expected in [
            "made by make",
            "dotenv says there",
            "stages: [make, use, end]",
            "Job succeeded",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        let long = find(&server, project, "long").await;
        until_job(&server, project, long, "running").await;
        let woken = server.app().db().subscribe(Topic::Job(JobId(long)));
        // Whoever looks makes the runner report more often.
        until(woken, async || {
            let said = trace(&server, project, long).await;
            if said.contains("begun") {
                Ok(())
            } else {
                Err(json!(said))
            }
        })
        .await;
        let path = format!("/projects/{project}/jobs/{long}/cancel");
        server.root.post(&path, json!({})).await.expect(201);
        until_job(&server, project, long, "canceled").await;
        until_pipeline(&server, project, "canceled").await;
        assert!(!trace(&server, project, long).await.contains("never\n"));
    }
}
