//! A small HTTP server around one repository, and git as its client.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Query, Request, State},
    response::Response,
    routing::{get, post},
};
use footplate_git::{
    Encoding, Error, Push, PushCommands, PushOutcome, Rejection, Repositories, Repository,
    RepositoryOptions, RequestBody, Service,
};
use footplate_model::ProjectId;
use tokio::{process::Command, sync::mpsc};

/// What the server says to a push.
pub enum Verdict {
    /// Let git do it; then these lines.
    Go(Vec<String>),
    /// Message, general reason, reasons of single references.
    Refuse(String, String, Vec<Rejection>),
}

type Policy = Arc<dyn Fn(&PushCommands) -> Verdict + Send + Sync>;

/// A push as the server saw it.
#[derive(Debug)]
pub struct Seen {
    pub commands: PushCommands,
    pub outcome: PushOutcome,
}

#[derive(Clone)]
struct Served {
    repository: Repository,
    policy: Policy,
    seen: mpsc::UnboundedSender<Seen>,
    gzip_seen: Arc<AtomicUsize>,
}

/// One repository behind HTTP, with a folder for clones.
pub struct Server {
    pub repositories: Repositories,
    pub repository: Repository,
    pub url: String,
    pub pushes: mpsc::UnboundedReceiver<Seen>,
    /// Requests whose bodies were compressed.
    pub gzip_seen: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

pub const PROJECT: ProjectId = ProjectId(515);

impl Server {
    pub async fn start() -> Self {
        Self::with_policy(|_| Verdict::Go(vec!["pipeline #12 http://ci/12".to_owned()])).await
    }

    pub async fn with_policy(
        policy: impl Fn(&PushCommands) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repositories");
        let repositories = Repositories::open(root, RepositoryOptions::default())
            .await
            .unwrap();
        let repository = repositories.create(PROJECT, "main").await.unwrap();
        let (seen, pushes) = mpsc::unbounded_channel();
        let served = Served {
            repository: repository.clone(),
            policy: Arc::new(policy),
            seen,
            gzip_seen: Arc::default(),
        };
        let gzip_seen = Arc::clone(&served.gzip_seen);
        let router = Router::new()
            .route("/p.git/info/refs", get(info_refs))
            .route("/p.git/git-upload-pack", post(upload_pack))
            .route("/p.git/git-receive-pack", post(receive_pack))
            .with_state(served);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/p.git", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            repositories,
            repository,
            url,
            pushes,
            gzip_seen,
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A work tree with the server as `origin` and one commit on `main`, not pushed.
    pub async fn work_tree(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        git(self.folder.path(), &["init", "-q", "-b", "main", name])
            .await
            .ok();
        git(&path, &["remote", "add", "origin", &self.url])
            .await
            .ok();
        commit(&path, "README.md", "hello\n", "First").await;
        path
    }
}

/// What a git client answered.
#[derive(Debug)]
pub struct Ran {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn ok(self) -> String {
        assert!(self.success, "{}{}", self.stdout, self.stderr);
        self.stdout.trim().to_owned()
    }
}

pub async fn git(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.org")
        .env("GIT_AUTHOR_DATE", "1700000000 +0200")
        .env("GIT_COMMITTER_NAME", "Bob")
        .env("GIT_COMMITTER_EMAIL", "bob@example.org")
        .env("GIT_COMMITTER_DATE", "1700000000 +0200")
        .output()
        .await
        .unwrap();
    Ran {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Commits one file and gives the id.
pub async fn commit(folder: &Path, path: &str, content: &str, message: &str) -> String {
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, content).unwrap();
    git(folder, &["add", path]).await.ok();
    git(folder, &["commit", "-q", "-m", message]).await.ok();
    git(folder, &["rev-parse", "HEAD"]).await.ok()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

fn body_of(request: Request) -> RequestBody {
    use futures_util::StreamExt as _;
    let encoding = Encoding::parse(header(&request, "content-encoding")).unwrap();
    let stream = request.into_body().into_data_stream();
    RequestBody::new(
        stream.map(|chunk| chunk.map_err(std::io::Error::other)),
        encoding,
        1 << 30,
    )
}

#[derive(serde::Deserialize)]
struct Wanted {
    service: String,
}

async fn info_refs(
    State(served): State<Served>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Response {
    let service = Service::parse(&wanted.service).unwrap();
    let refs = served
        .repository
        .info_refs(service, header(&request, "git-protocol"))
        .await
        .unwrap();
    Response::builder()
        .header("content-type", service.advertisement_type())
        .body(Body::from_stream(refs))
        .unwrap()
}

async fn upload_pack(State(served): State<Served>, request: Request) -> Response {
    let protocol = header(&request, "git-protocol").map(str::to_owned);
    if header(&request, "content-encoding") == Some("gzip") {
        served.gzip_seen.fetch_add(1, Ordering::Relaxed);
    }
    let answer = served
        .repository
        .upload_pack(body_of(request), protocol.as_deref())
        .await
        .unwrap();
    Response::builder()
        .header("content-type", Service::UploadPack.result_type())
        .body(Body::from_stream(answer))
        .unwrap()
}

async fn receive_pack(State(served): State<Served>, request: Request) -> Response {
    let answer = match served.repository.read_push(body_of(request)).await {
        Ok(push) => decide(&served, push).await,
        Err(Error::Protocol(text)) => {
            return Response::builder()
                .status(400)
                .body(Body::from(text))
                .unwrap();
        }
        Err(error) => panic!("{error}"),
    };
    Response::builder()
        .header("content-type", Service::ReceivePack.result_type())
        .body(answer)
        .unwrap()
}

async fn decide(served: &Served, push: Push) -> Body {
    let lines = match (served.policy)(push.commands()) {
        Verdict::Refuse(message, reason, rejections) => {
            return Body::from_stream(push.refuse(&[message], &reason, &rejections).await);
        }
        Verdict::Go(lines) => lines,
    };
    let (commands, seen) = (push.commands().clone(), served.seen.clone());
    let probe = push.is_probe();
    let answer = push.run(move |outcome| async move {
        if !probe {
            let _ = seen.send(Seen { commands, outcome });
        }
        lines
    });
    Body::from_stream(answer.await.unwrap())
}
