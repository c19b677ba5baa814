//! The server is killed at random moments under load: what was answered is there, nothing runs twice, everything ends.

mod labour;
mod ledger;
mod process;
mod pushes;
mod verdict;

use std::time::Duration;

use footplate_testkit::{Client, Engine, ROOT_TOKEN};
use rand::RngExt as _;
use serde_json::{Value, json};

use ledger::Ledger;
use process::Process;

/// Kills of one run; more by `FOOTPLATE_TEST_KILLS`.
const KILLS: usize = 30;
/// Runners that work at the same time.
const RUNNERS: usize = 3;
/// Pipelines that one round asks for at most, so that a fast machine has no more to finish than a slow one.
const ASKED: usize = 3;
/// Every so many pipelines one is canceled.
const CANCELED: i64 = 6;

const CONFIG: &str = "stages: [a, b]\na1: {stage: a, script: [x]}\na2: {stage: a, script: [x], artifacts: {paths: [out]}}\nb: {stage: b, script: [x]}\n";

/// The project under load.
#[derive(Clone)]
struct Load {
    root: Client,
    project: i64,
    ledger: Ledger,
}

impl Load {
    async fn prepare(url: &str) -> Self {
        let root = Client::anonymous(url).with_token(ROOT_TOKEN);
        let made = root.post("/projects", json!({"path": "p"})).await;
        let project = made.expect(201).json()["id"].as_i64().unwrap();
        let load = Self {
            root,
            project,
            ledger: Ledger::default(),
        };
        load.commit(".gitlab-ci.yml", CONFIG).await;
        load
    }

    /// A commit without a pipeline. The rate limit of pipelines counts by commit: every round has one of its own.
    async fn commit(&self, path: &str, text: &str) {
        let actions = json!([{"action": "create", "file_path": path, "content": text}]);
        let body = json!({"branch": "main", "commit_message": "c [skip ci]", "actions": actions});
        let path = format!("/projects/{}/repository/commits", self.project);
        self.root.post(&path, body).await.expect(201);
    }

    async fn runner_token(&self) -> String {
        let body = json!({"runner_type": "instance_type", "run_untagged": true});
        let made = self.root.post("/user/runners", body).await.expect(201);
        made.json()["token"].as_str().unwrap().to_owned()
    }

    /// A POST whose answer may never come.
    async fn try_post(&self, path: &str, body: Value) -> Option<Value> {
        let url = format!(
            "{}/api/v4/projects/{}{path}",
            self.root.base(),
            self.project
        );
        let request = self.root.http().post(url);
        let request = request.header("private-token", ROOT_TOKEN).json(&body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.json::<Value>().await.ok();
        assert!(
            [200, 201].contains(&status),
            "{path} was answered with {status}: {body:?}"
        );
        body
    }

    async fn create_pipeline(&self) {
        let Some(made) = self.try_post("/pipeline", json!({"ref": "main"})).await else {
            return;
        };
        let id = made["id"].as_i64().unwrap();
        self.ledger.write(|books| books.pipelines.push(id));
        if id % CANCELED == 0 {
            self.ledger.write(|books| books.canceled.insert(id));
            let path = format!("/pipelines/{id}/cancel");
            self.try_post(&path, json!({})).await;
        }
    }

    /// One is waited for, on a slow machine too; then the kill comes whenever it comes.
    async fn round(&self) {
        self.create_pipeline().await;
        let pause = Duration::from_millis(rand::rng().random_range(0..200));
        let end = tokio::time::Instant::now() + pause;
        for _ in 1..ASKED {
            if tokio::time::timeout_at(end, self.create_pipeline())
                .await
                .is_err()
            {
                return;
            }
        }
        tokio::time::sleep_until(end).await;
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
    let mut process = Process::first(&folder.path().join("data"), database.as_deref());
    let load = Load::prepare(&process.url).await;
    let workers = work(&load).await;
    let pusher = tokio::spawn(pushes::push(load.clone(), folder.path().join("work")));
    for round in 0..kills {
        load.commit(&format!("round/{round}"), "x").await;
        load.round().await;
        process = process.killed_and_started();
    }
    load.ledger.close();
    pusher.await.unwrap();
    verdict::wait_for_the_end(&load).await;
    load.ledger.finish();
    workers.join_all().await;
    let figures = verdict::check(&load).await;
    println!("{engine:?}: {kills} kills, {figures}: 0 lost, 0 doubled, 0 hanging");
    drop(process);
}

/// Runners, who go on whatever happens.
async fn work(load: &Load) -> tokio::task::JoinSet<()> {
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..RUNNERS {
        let token = load.runner_token().await;
        let (client, ledger) = (Client::anonymous(load.root.base()), load.ledger.clone());
        workers.spawn(labour::labour(
            client,
            token,
            format!("s_kill{number}"),
            ledger,
        ));
    }
    workers
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_sqlite() {
    storm(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_postgres() {
    storm(Engine::Postgres).await;
}
