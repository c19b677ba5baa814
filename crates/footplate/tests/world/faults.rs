//! A disk that is full or cannot be written, and a data directory that somebody else has: plain answers, nothing lost, and on it
//! goes when there is room again.
//!
//! The disk is a small one in memory, mounted in a mount namespace of the server's own; where a machine does not allow that, the
//! size of files is limited instead, which a process meets in the same places.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use footplate_store::testing;
use footplate_testkit::{Answer, BOTH, Client, Engine, Outcome, ROOT_TOKEN, ScriptedRunner};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

/// How a process gets a disk of its own.
#[derive(Debug, Clone, Copy)]
enum Means {
    /// `unshare` with these arguments.
    Namespace(&'static [&'static str]),
    /// No such right: a limit on the size of files.
    Limit,
}

fn means() -> Means {
    for arguments in [&["-m"] as &[&str], &["-Urm"]] {
        let tried = Command::new("unshare")
            .args(arguments)
            .args(["sh", "-c", "mount -t tmpfs none /mnt"])
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) {
            return Means::Namespace(arguments);
        }
    }
    println!(
        "this machine allows no mount namespace: the disk is filled by a limit on the size of files"
    );
    Means::Limit
}

/// A server on a disk that can be filled.
struct Small {
    child: Child,
    means: Means,
    disk: PathBuf,
    url: String,
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(script: &str, means: Means, folder: &Path, database: Option<&str>) -> Child {
    let mut command = match means {
        Means::Namespace(arguments) => {
            let mut command = Command::new("unshare");
            command.args(arguments).arg("sh");
            command
        }
        Means::Limit => Command::new("sh"),
    };
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_footplate")])
        .arg(folder)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.join("data"))
        .env("FOOTPLATE_ROOT_TOKEN", ROOT_TOKEN)
        .env("FOOTPLATE_TICK_SECONDS", "1")
        .env("FOOTPLATE_RUNNERS__HOLD_SECONDS", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(url) = database {
        command.args(["--database-url", url]);
    }
    command.spawn().unwrap()
}

impl Small {
    fn start(folder: &Path, database: Option<&str>) -> Self {
        let means = means();
        let script = match means {
            Means::Namespace(_) => {
                "mount -t tmpfs -o size=48m none \"$1\" && program=$0 && shift && exec \"$program\" \"$@\""
            }
            Means::Limit => "trap '' XFSZ; program=$0; shift; exec \"$program\" \"$@\"",
        };
        let mut child = serve(script, means, folder, database);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().map(Result::unwrap).unwrap_or_default();
        let mut log = child.stderr.take().unwrap();
        let Some(url) = line.strip_prefix("listening on ") else {
            let mut said = String::new();
            log.read_to_string(&mut said).unwrap();
            panic!("{line}{said}");
        };
        let url = url.to_owned();
        // A pipe that nobody empties would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let disk = PathBuf::from(format!("/proc/{}/root{}", child.id(), folder.display()));
        Self {
            child,
            means,
            disk,
            url,
        }
    }

    fn limit(&self, most: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        let limit = Rlimit {
            current: most,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    }

    /// From now on nothing more can be written.
    fn fill(&self) {
        match self.means {
            Means::Namespace(_) => {
                let mut filler = File::create(self.disk.join("filler")).unwrap();
                for size in [1 << 20, 4096, 1] {
                    while filler.write_all(&vec![1; size]).is_ok() {}
                }
            }
            Means::Limit => self.limit(Some(0)),
        }
    }

    fn empty(&self) {
        match self.means {
            Means::Namespace(_) => std::fs::remove_file(self.disk.join("filler")).unwrap(),
            Means::Limit => self.limit(None),
        }
    }
}

/// Refused for want of room, in the form of GitLab's answers; a limit on the size of files is not always told apart.
#[track_caller]
fn refused(answer: &Answer, means: Means) {
    let text = answer.text();
    match means {
        Means::Namespace(_) => assert_eq!(answer.status, 503, "{text}"),
        Means::Limit => assert!([500, 503].contains(&answer.status), "{text}"),
    }
    assert!(answer.json()["message"].is_string(), "{text}");
}

fn commit(path: &str, text: &str) -> Value {
    let actions = json!([{"action": "create", "file_path": path, "content": text}]);
    json!({"branch": "main", "commit_message": "c", "actions": actions})
}

async fn runner(root: &Client) -> ScriptedRunner {
    let body = json!({"runner_type": "instance_type", "run_untagged": true});
    let made = root.post("/user/runners", body).await.expect(201).json();
    ScriptedRunner::new(root, made["token"].as_str().unwrap())
}

/// Asks for work until there is some: the server is another process, whose events are not seen here.
async fn take(runner: &mut ScriptedRunner) -> String {
    for _ in 0..600 {
        if let Some(name) = runner.take().await {
            return name;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no job came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let fresh = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(testing::postgres().await.unwrap()),
        };
        let place = fresh.as_ref().map(|fresh| fresh.place.as_str());
        let server = Small::start(folder.path(), place);
        let anonymous = Client::anonymous(&server.url);
        let root = anonymous.with_token(ROOT_TOKEN);
        let made = root.post("/projects", json!({"path": "p"})).await;
        let project = made.expect(201).json()["id"].clone();
        let commits = format!("/projects/{project}/repository/commits");
        let config =
            "a: {script: [x], artifacts: {paths: [out]}}\nb: {stage: deploy, script: [x]}\n";
        root.post(&commits, commit(".gitlab-ci.yml", config))
            .await
            .expect(201);
        let mut runner = runner(&root).await;
        assert_eq!(take(&mut runner).await, "a");
        let job = runner.job("a").clone();
        let (first, second) = (vec![b'a'; 100_000], vec![b'b'; 300_000]);
        assert_eq!(runner.patch_trace(&job, 0, &first).await.status, 202);
        let ready = async || {
            anonymous
                .send(anonymous.request(reqwest::Method::GET, "/-/readiness"))
                .await
        };
        ready().await.expect(200);

        server.fill();
        let not_ready = ready().await.expect(503).json();
        assert_eq!(not_ready["status"], "failed", "{not_ready}");
        assert_eq!(
            not_ready["disk_check"][0]["status"], "failed",
            "{not_ready}"
        );
        refused(
            &runner.patch_trace(&job, first.len(), &second).await,
            server.means,
        );
        let bytes = vec![7; 400_000];
        let upload = runner
            .upload("a", "archive", "zip", "a.zip", bytes.clone())
            .await;
        refused(&upload, server.means);
        refused(
            &root
                .post(&commits, commit("more", &"x".repeat(100_000)))
                .await,
            server.means,
        );
        if engine == Engine::Sqlite {
            assert_eq!(not_ready["db_check"][0]["status"], "failed", "{not_ready}");
            refused(
                &root.post("/projects", json!({"path": "q"})).await,
                server.means,
            );
            refused(&runner.finish("a", Outcome::Success).await, server.means);
        }
        // Who only reads is answered.
        let path = format!("/projects/{project}/jobs/{}", job.id);
        assert_eq!(
            root.get(&path).await.expect(200).json()["status"],
            "running"
        );

        server.empty();
        ready().await.expect(200);
        assert_eq!(
            runner.patch_trace(&job, first.len(), &second).await.status,
            202
        );
        let upload = runner
            .upload("a", "archive", "zip", "a.zip", bytes.clone())
            .await;
        assert_eq!(upload.status, 201, "{}", upload.text());
        let whole = [first, second].concat();
        let crc = crc32fast::hash(&whole);
        let output = json!({"checksum": format!("crc32:{crc:08x}"), "bytesize": whole.len()});
        let ended = runner
            .update(&job, json!({"state": "success", "output": output}))
            .await;
        assert_eq!(ended.status, 200, "{}", ended.text());
        let kept = root.get(&format!("{path}/trace")).await.expect(200);
        assert!(kept.body == whole, "the trace is not what was sent");
        let kept = root.get(&format!("{path}/artifacts")).await.expect(200);
        assert!(kept.body == bytes, "the artifact is not what was sent");
        assert_eq!(take(&mut runner).await, "b", "the pipeline goes on");
        root.post(&commits, commit("more", "x")).await.expect(201);
        assert_eq!(take(&mut runner).await, "a", "so do pushes");
    }
}

/// What a start says that does not succeed.
fn refusal(mut child: Child) -> String {
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(!child.wait().unwrap().success(), "{said}");
    said
}

#[test]
fn a_data_directory_that_cannot_be_written_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let means = means();
    let script = match means {
        Means::Namespace(_) => {
            "mount -t tmpfs -o ro none \"$1/data\" && program=$0 && shift && exec \"$program\" \"$@\""
        }
        Means::Limit => "program=$0; shift; exec \"$program\" \"$@\"",
    };
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o500)).unwrap();
    let said = refusal(serve(script, means, folder.path(), None));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let expected = format!("the data directory {} cannot be written: ", data.display());
    assert!(said.contains(&expected), "{said}");
    assert!(
        !said.contains("panicked") && said.lines().count() < 4,
        "{said}"
    );
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let plain = "program=$0; shift; exec \"$program\" \"$@\"";
    let mut first = serve(plain, Means::Limit, folder.path(), None);
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    let said = refusal(serve(plain, Means::Limit, folder.path(), None));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(said.contains("is in use by another server"), "{said}");
}
