//! A runner made of somebody else's client of the protocol, the crate `gitlab-runner`. It lives in a package of its own
//! (`tests/clients/foreign_runner`), because it brings what the server's dependencies must not.

use std::{path::PathBuf, process::Stdio};

use footplate_testkit::{BOTH, TestServer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::OnceCell,
};

use crate::events::{until_job, until_pipeline};

const CONFIG: &str = "
stages: [make, use, end]
variables: {GREETING: hello}
make:
  stage: make
  script: [say made, variable GREETING, variable CI_JOB_NAME, keep out/a.txt of one, keep out/b/c.txt of two, keep report.xml <testsuite/>]
  after_script: [say afterwards]
  artifacts: {name: things, paths: [out], expire_in: 1 week, reports: {junit: report.xml}}
use:
  stage: use
  script: [show make]
broken:
  stage: use
  script: [say before, refuse, say never]
  allow_failure: true
long:
  stage: end
  script: [wait]
";

/// The program, built once a run; what it is made of is compiled at the first time.
async fn program() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let debug = PathBuf::from(env!("CARGO_BIN_EXE_footplate"));
            let target = debug.ancestors().nth(2).unwrap().join("foreign-runner");
            let manifest = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/clients/foreign_runner/Cargo.toml"
            );
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "--manifest-path", manifest])
                .arg("--target-dir")
                .arg(&target)
                .output()
                .await
                .unwrap();
            let said = String::from_utf8_lossy(&built.stderr);
            assert!(built.status.success(), "{said}");
            target.join("debug/foreign-runner")
        })
        .await
}

/// The program at work.
struct Foreign {
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// What jobs said while something else was waited for.
    heard: Vec<String>,
    _child: Child,
}

impl Foreign {
    async fn start(server: &TestServer, token: &str) -> Self {
        let folder = server.folder().join("foreign");
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new(program().await)
            .args([&server.url, token])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            words: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            heard: Vec::new(),
            _child: child,
        }
    }

    /// Says a word and waits for this answer.
    async fn say(&mut self, word: &str, expected: &str) {
        self.words
            .write_all(format!("{word}\n").as_bytes())
            .await
            .unwrap();
        self.wait_for(expected).await;
    }

    async fn wait_for(&mut self, expected: &str) {
        if let Some(at) = self.heard.iter().position(|line| line == expected) {
            self.heard.remove(at);
            return;
        }
        loop {
            let line = self.answers.next_line().await.unwrap();
            let line = line.expect("the foreign runner ended");
            if line == expected {
                return;
            }
            assert!(line.starts_with("job "), "{line}, not {expected}");
            self.heard.push(line);
        }
    }
}

async fn job(server: &TestServer, project: i64, name: &str) -> Value {
    let path = format!("/projects/{project}/jobs?per_page=100");
    let jobs = server.root.get(&path).await.expect(200).json();
    let found = jobs
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {jobs}")).clone()
}

async fn trace(server: &TestServer, project: i64, job: &Value) -> String {
    let path = format!("/projects/{project}/jobs/{}/trace", job["id"]);
    server.root.get(&path).await.expect(200).text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_runner_does_a_pipeline() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let runner = server.runner(&[]).await;
        let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
        server.settle().await;
        let mut foreign = Foreign::start(&server, &runner.token).await;
        foreign.say("take", "took").await;
        foreign.say("take", "nothing").await;
        foreign.say("drain", "idle").await;
        let made = job(&server, project, "make").await;
        assert_eq!(made["status"], "success", "{made}");
        let said = trace(&server, project, &made).await;
        assert_eq!(said, "made\nGREETING=hello\nCI_JOB_NAME=make\nafterwards\n");
        let kinds: Vec<&str> = made["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|artifact| artifact["file_type"].as_str())
            .collect();
        assert!(
            kinds.contains(&"archive") && kinds.contains(&"junit"),
            "{made}"
        );
        assert_eq!(made["artifacts_file"]["filename"], "things.zip");
        let path = format!(
            "/projects/{project}/jobs/{}/artifacts/out/b/c.txt",
            made["id"]
        );
        assert_eq!(server.root.get(&path).await.expect(200).text(), "of two");

        // Two at the same time: one reads the artifacts, one fails.
        server.settle().await;
        foreign.say("take", "took").await;
        foreign.say("take", "took").await;
        foreign.say("drain", "idle").await;
        let used = job(&server, project, "use").await;
        assert_eq!(used["status"], "success", "{used}");
        let said = trace(&server, project, &used).await;
        assert_eq!(
            said,
            "out/a.txt of make: of one\nout/b/c.txt of make: of two\n"
        );
        let broken = job(&server, project, "broken").await;
        assert_eq!(
            (&broken["status"], &broken["failure_reason"]),
            (&json!("failed"), &json!("script_failure"))
        );
        assert_eq!(
            trace(&server, project, &broken).await,
            "before\nrefused: refuse\n"
        );

        // A cancelation is seen at the next piece of the trace.
        server.settle().await;
        foreign.say("take", "took").await;
        let long = job(&server, project, "long").await;
        let id = long["id"].as_i64().unwrap();
        foreign.wait_for(&format!("job {id} waiting")).await;
        let path = format!("/projects/{project}/jobs/{id}/cancel");
        let canceled = server.root.post(&path, json!({})).await.expect(201).json();
        assert_eq!(canceled["status"], "canceled", "it cannot end in order");
        foreign.wait_for(&format!("job {id} cleaned up")).await;
        foreign.say("drain", "idle").await;
        until_job(&server, project, id, "canceled").await;
        until_pipeline(&server, project, "canceled").await;
    }
}
