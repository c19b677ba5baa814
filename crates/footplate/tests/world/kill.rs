//! The server is killed at random moments under load: what was answered is there, nothing runs twice, everything ends.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use footplate_testkit::{Client, Engine, ROOT_TOKEN, ScriptedRunner};
use serde_json::{Value, json};

/// Kills of one run; more by `FOOTPLATE_TEST_KILLS`.
const KILLS: usize = 30;

struct Process {
    child: Child,
    url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &std::path::Path, port: u16, database: Option<&str>) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footplate"));
    command
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(folder.join("data"))
        .env("FOOTPLATE_ROOT_TOKEN", ROOT_TOKEN)
        .env("FOOTPLATE_TICK_SECONDS", "1")
        .env("FOOTPLATE_RUNNERS__HOLD_SECONDS", "0")
        .env("FOOTPLATE_RUNNERS__UNACKNOWLEDGED_SECONDS", "2")
        .env("FOOTPLATE_RUNNERS__SILENT_SECONDS", "4")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(url) = database {
        command.args(["--database-url", url]);
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().expect("the server ended").unwrap();
    let url = line
        .strip_prefix("listening on ")
        .unwrap_or_else(|| panic!("{line}"))
        .to_owned();
    Process { child, url }
}

/// A runner that goes on whatever happens: each job it got is reported until somebody answers.
async fn labour(url: String, token: String, taken: tokio::sync::mpsc::UnboundedSender<i64>) {
    let client = Client::anonymous(&url);
    let body = ScriptedRunner::new(&client, &token).request_body();
    loop {
        let asked = client
            .http()
            .post(format!("{url}/api/v4/jobs/request"))
            .json(&body)
            .send()
            .await;
        let payload: Option<Value> = match asked {
            Ok(answer) if answer.status().as_u16() == 201 => answer.json().await.ok(),
            _ => None,
        };
        let Some(payload) = payload else {
            tokio::time::sleep(Duration::from_millis(15)).await;
            continue;
        };
        let (id, token) = (payload["id"].as_i64().unwrap(), payload["token"].clone());
        let put = async |state: &str| {
            for _ in 0..400 {
                let body = json!({"token": token, "state": state});
                if let Ok(answer) = client
                    .http()
                    .put(format!("{url}/api/v4/jobs/{id}"))
                    .json(&body)
                    .send()
                    .await
                {
                    return answer.status().as_u16();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            0
        };
        if put("running").await == 200 {
            let _ = taken.send(id);
            put("success").await;
        }
    }
}

async fn storm(engine: Engine) {
    let kills = std::env::var("FOOTPLATE_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let fresh = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(footplate_store::testing::postgres().await.unwrap()),
    };
    let database = fresh.as_ref().map(|fresh| fresh.place.clone());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut process = start(folder.path(), port, database.as_deref());
    let root = Client::anonymous(&process.url).with_token(ROOT_TOKEN);
    let project = root
        .post("/projects", json!({"path": "p"}))
        .await
        .expect(201)
        .json()["id"]
        .clone();
    let config = "stages: [a, b]\na1: {stage: a, script: [x]}\na2: {stage: a, script: [x]}\nb: {stage: b, script: [x]}\n";
    let actions = json!([{"action": "create", "file_path": ".gitlab-ci.yml", "content": config}]);
    let commit = json!({"branch": "main", "commit_message": "c [skip ci]", "actions": actions});
    root.post(&format!("/projects/{project}/repository/commits"), commit)
        .await
        .expect(201);
    let runner = root
        .post(
            "/user/runners",
            json!({"runner_type": "instance_type", "run_untagged": true}),
        )
        .await
        .expect(201)
        .json();
    let (sender, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        workers.spawn(labour(
            process.url.clone(),
            runner["token"].as_str().unwrap().to_owned(),
            sender.clone(),
        ));
    }
    let mut acknowledged: Vec<i64> = Vec::new();
    for round in 0..kills {
        // The rate limit of pipelines counts by commit: every round has one of its own, so that the load never ends.
        let actions =
            json!([{"action": "create", "file_path": format!("round/{round}"), "content": "x"}]);
        let commit = json!({"branch": "main", "commit_message": "c [skip ci]", "actions": actions});
        root.post(&format!("/projects/{project}/repository/commits"), commit)
            .await
            .expect(201);
        let create = async || {
            let url = format!("{}/api/v4/projects/{project}/pipeline", process.url);
            let request = root.http().post(url).header("private-token", ROOT_TOKEN);
            let answer = request.json(&json!({"ref": "main"})).send().await.ok()?;
            let created = answer.status().as_u16() == 201;
            let body = answer.json::<Value>().await.ok().filter(|_| created)?;
            body["id"].as_i64()
        };
        // One is waited for, on a slow machine too; the last one is under way when the kill comes.
        acknowledged.extend(create().await);
        let end =
            tokio::time::Instant::now() + Duration::from_millis(40 + (round as u64 * 37) % 160);
        while let Ok(made) = tokio::time::timeout_at(end, create()).await {
            acknowledged.extend(made);
        }
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        process = start(folder.path(), port, database.as_deref());
    }
    assert!(!acknowledged.is_empty());
    // Everything that was answered is there and ends.
    for id in &acknowledged {
        let path = format!("/projects/{project}/pipelines/{id}");
        let mut status = String::new();
        for _ in 0..1200 {
            status = root.get(&path).await.expect(200).json()["status"]
                .as_str()
                .unwrap()
                .to_owned();
            if ["success", "failed", "canceled"].contains(&status.as_str()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(
            ["success", "failed"].contains(&status.as_str()),
            "{engine:?}: pipeline {id} hangs: {status}"
        );
    }
    workers.abort_all();
    drop(sender);
    let mut counts: HashMap<i64, usize> = HashMap::new();
    while let Ok(id) = taken.try_recv() {
        *counts.entry(id).or_default() += 1;
    }
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{engine:?}: taken twice: {doubled:?}");
    println!(
        "{engine:?}: {kills} kills, {} pipelines, {} jobs: 0 lost, 0 doubled, 0 hanging",
        acknowledged.len(),
        counts.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_sqlite() {
    storm(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_postgres() {
    storm(Engine::Postgres).await;
}
