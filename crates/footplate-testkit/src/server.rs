//! A whole server in the test's process, on a database of either engine.

use std::{path::PathBuf, sync::Arc};

use footplate::{config::Config, server::Server};
use footplate_app::App;
use footplate_model::SystemClock;
use footplate_store::testing;
use serde_json::{Value, json};

use crate::{Client, ScriptedRunner};

/// The administrator's token.
pub const ROOT_TOKEN: &str = "glpat-root-of-the-tests";
/// The administrator's password.
pub const ROOT_PASSWORD: &str = "a password for tests";

/// A server with a fresh data directory.
pub struct TestServer {
    server: Server,
    /// The administrator.
    pub root: Client,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    folder: tempfile::TempDir,
    // Its drop removes the database.
    _fresh: Option<testing::Fresh>,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the data directory.
    Sqlite,
    /// A database of its own in the cluster of the tests.
    Postgres,
}

/// Both, for tests that run on each.
pub const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

impl TestServer {
    /// Starts on SQLite.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::on(Engine::Sqlite).await
    }

    /// Starts on an engine.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn on(engine: Engine) -> Self {
        Self::with(engine, |_| {}).await
    }

    /// Starts with other settings.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let fresh = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(
                testing::postgres()
                    .await
                    .unwrap_or_else(|error| panic!("{error}")),
            ),
        };
        let mut config = Config {
            listen: "127.0.0.1:0".to_owned(),
            data: folder.path().join("data"),
            database_url: fresh.as_ref().map(|fresh| fresh.place.clone()),
            root_token: Some(ROOT_TOKEN.to_owned()),
            root_password: Some(ROOT_PASSWORD.to_owned()),
            ..Config::default()
        };
        config.runners.hold_seconds = 0;
        change(&mut config);
        let server = Server::start(&config, Arc::new(SystemClock))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let url = format!("http://{}", server.address);
        let root = Client::anonymous(&url).with_token(ROOT_TOKEN);
        Self {
            server,
            root,
            url,
            folder,
            _fresh: fresh,
        }
    }

    /// The application inside.
    pub fn app(&self) -> &App {
        &self.server.app
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Waits until all background work is done.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn settle(&self) {
        self.app()
            .settle()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// A project of the administrator with these files on `main`; the id.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn project(&self, path: &str, files: &[(&str, &str)]) -> i64 {
        let made = self
            .root
            .post("/projects", json!({"path": path}))
            .await
            .expect(201)
            .json();
        let id = made["id"].as_i64().unwrap_or_else(|| panic!("{made}"));
        if !files.is_empty() {
            self.commit(id, files).await;
        }
        id
    }

    /// A commit on `main` that makes files.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn commit(&self, project: i64, files: &[(&str, &str)]) -> Value {
        let actions: Vec<Value> = files
            .iter()
            .map(|(path, text)| json!({"action": "create", "file_path": path, "content": text}))
            .collect();
        let body = json!({"branch": "main", "commit_message": "files", "actions": actions});
        self.root
            .post(&format!("/projects/{project}/repository/commits"), body)
            .await
            .expect(201)
            .json()
    }

    /// The only or newest pipeline of a project, when everything is at rest.
    ///
    /// # Panics
    /// When there is none.
    pub async fn pipeline(&self, project: i64) -> Value {
        self.settle().await;
        let list = self
            .root
            .get(&format!("/projects/{project}/pipelines?per_page=1"))
            .await
            .expect(200)
            .json();
        list[0].clone()
    }

    /// A runner of the instance that takes jobs with and without these tags.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn runner(&self, tags: &[&str]) -> ScriptedRunner {
        let body = json!({"runner_type": "instance_type", "run_untagged": true, "tag_list": tags});
        let made = self
            .root
            .post("/user/runners", body)
            .await
            .expect(201)
            .json();
        ScriptedRunner::new(
            &Client::anonymous(&self.url),
            made["token"].as_str().unwrap_or_default(),
        )
    }

    /// Ends the server in order.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
