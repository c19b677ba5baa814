//! Whole small pipelines on a server with the built-in runner (`conformance/local-runs`).

#[path = "../../footplate-ci/tests/conformance/harness.rs"]
mod harness;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use footplate_ci::yaml::{Limits, load};
use footplate_runner::{Config, find_shell};
use footplate_testkit::{Engine, TestServer};
use harness::{Verdicts, folder, to_json};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

/// A pipeline that has not come to rest after this long has failed its case.
const PATIENCE: Duration = Duration::from_secs(60);

fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    fn collect(at: &Path, root: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, root, found);
            } else if entry.file_name() != "expect.yml" {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found
}

struct Case<'s> {
    server: &'s TestServer,
    project: i64,
}

impl Case<'_> {
    async fn get(&self, path: &str) -> Json {
        self.server
            .root
            .get(&format!("/projects/{}{path}", self.project))
            .await
            .expect(200)
            .json()
    }

    async fn jobs(&self, pipeline: i64) -> Vec<Json> {
        let mut all = Vec::new();
        for kind in ["jobs", "bridges"] {
            let list = self
                .get(&format!("/pipelines/{pipeline}/{kind}?per_page=100"))
                .await;
            all.extend(list.as_array().unwrap().clone());
        }
        all
    }

    async fn rest(&self, pipeline: i64) -> Result<String, String> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.server.settle().await;
            let jobs = self.jobs(pipeline).await;
            let moves = jobs.iter().any(|job| {
                ["pending", "running", "canceling", "waiting_for_resource"]
                    .contains(&job["status"].as_str().unwrap())
            });
            if !moves {
                // What follows the end of the last job: coverage, parents.
                self.server.settle().await;
                let status = self.get(&format!("/pipelines/{pipeline}")).await["status"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                return Ok(status);
            }
            if tokio::time::Instant::now() > end {
                return Err("does not come to rest".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn trace(&self, id: &Json) -> String {
        let text = self
            .server
            .root
            .get(&format!("/projects/{}/jobs/{id}/trace", self.project))
            .await
            .text();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('\u{1b}') {
            plain.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let end = after
                .find(|c: char| c.is_ascii_alphabetic())
                .map_or(after.len(), |end| end + 1);
            rest = &after[end..];
        }
        plain.push_str(rest);
        plain
    }

    async fn check(&self, expect: &Json, pipeline: i64) -> Result<(), String> {
        let status = self.rest(pipeline).await?;
        if let Some(wanted) = expect["pipeline"]
            .as_str()
            .filter(|wanted| *wanted != status)
        {
            return Err(format!("pipeline is {status}, not {wanted}"));
        }
        let jobs = self.jobs(pipeline).await;
        let find = |name: &str| {
            jobs.iter()
                .find(|job| job["name"] == name)
                .ok_or_else(|| format!("no job {name}"))
        };
        if let Some(list) = expect["jobs_run"].as_array() {
            let wanted: BTreeSet<&str> = list.iter().filter_map(Json::as_str).collect();
            let ran: BTreeSet<&str> = jobs
                .iter()
                .filter(|job| !job["started_at"].is_null() && !job["runner"].is_null())
                .filter_map(|job| job["name"].as_str())
                .collect();
            if wanted != ran {
                return Err(format!("ran {ran:?}, not {wanted:?}"));
            }
        }
        for (name, wanted) in expect["job_status"].as_object().into_iter().flatten() {
            let job = find(name)?;
            if job["status"] != *wanted {
                return Err(format!(
                    "{name} is {}, not {wanted}: {}",
                    job["status"],
                    self.trace(&job["id"]).await
                ));
            }
        }
        for (name, wanted) in expect["allow_failure"].as_object().into_iter().flatten() {
            if find(name)?["allow_failure"] != *wanted {
                return Err(format!("allow_failure of {name} is not {wanted}"));
            }
        }
        for (key, inside) in [("output_contains", true), ("output_excludes", false)] {
            for (name, texts) in expect[key].as_object().into_iter().flatten() {
                let trace = self.trace(&find(name)?["id"]).await;
                // The command itself is shown, too; what must not be in the output may stand in it.
                let output: String = trace
                    .lines()
                    .filter(|line| !line.starts_with("$ "))
                    .map(|line| format!("{line}\n"))
                    .collect();
                let all = texts
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![texts.clone()]);
                for text in all.iter().map(|text| {
                    text.as_str()
                        .map_or_else(|| text.to_string(), str::to_owned)
                }) {
                    if (if inside { &trace } else { &output }).contains(&text) != inside {
                        return Err(format!("{key} of {name}: {text:?} in\n{trace}"));
                    }
                }
            }
        }
        for (name, wanted) in expect["artifact_files"].as_object().into_iter().flatten() {
            let id = &find(name)?["id"];
            for (key, status) in [("present", 200), ("absent", 404)] {
                for path in wanted[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                {
                    let answer = self
                        .server
                        .root
                        .get(&format!(
                            "/projects/{}/jobs/{id}/artifacts/{path}",
                            self.project
                        ))
                        .await;
                    if answer.status != status {
                        return Err(format!("artifact {path} of {name}: {}", answer.status));
                    }
                }
            }
        }
        for (name, wanted) in expect["coverage"].as_object().into_iter().flatten() {
            let got = &find(name)?["coverage"];
            if got.as_f64() != wanted.as_f64() {
                let trace = self.trace(&find(name)?["id"]).await;
                return Err(format!(
                    "coverage of {name} is {got}, not {wanted}: {trace:?}"
                ));
            }
        }
        for (name, wanted) in expect["children"].as_object().into_iter().flatten() {
            let child = find(name)?["downstream_pipeline"]["id"]
                .as_i64()
                .ok_or_else(|| format!("{name} has no downstream pipeline"))?;
            Box::pin(self.check(wanted, child))
                .await
                .map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    async fn create(&self, run: &Json) -> Result<i64, String> {
        let given = run["variables"].as_object().into_iter().flatten();
        let variables: Vec<Json> = given.map(|(key, value)| json!({"key": key, "value": value.as_str().map_or_else(|| value.to_string(), str::to_owned)})).collect();
        let body = json!({"ref": run["ref"].as_str().unwrap_or("main"), "variables": variables});
        let answer = self
            .server
            .root
            .post(&format!("/projects/{}/pipeline", self.project), body)
            .await;
        if answer.status == 201 {
            Ok(answer.json()["id"].as_i64().unwrap())
        } else {
            Err(answer.text())
        }
    }
}

async fn play(server: &TestServer, name: &str, folder: &Path, run: &Json) -> Result<(), String> {
    let root = run["root"]
        .as_str()
        .map_or_else(|| folder.to_path_buf(), |root| folder.join(root));
    let made = server.root.post("/projects", json!({"path": name, "ci_config_path": run["file"].as_str().unwrap_or(".gitlab-ci.yml")})).await;
    let project = made.expect(201).json()["id"].as_i64().unwrap();
    let actions: Vec<Json> = files(&root)
        .iter()
        .map(|(path, bytes)| json!({"action": "create", "file_path": path, "content": String::from_utf8_lossy(bytes)}))
        .collect();
    let commit = json!({"branch": "main", "commit_message": "files [skip ci]", "actions": actions});
    server
        .root
        .post(&format!("/projects/{project}/repository/commits"), commit)
        .await
        .expect(201);
    let case = Case { server, project };
    if let Some(branch) = run["ref"].as_str().filter(|name| *name != "main") {
        server
            .root
            .post(
                &format!("/projects/{project}/repository/branches"),
                json!({"branch": branch, "ref": "main"}),
            )
            .await
            .expect(201);
    }
    let created = case.create(run).await;
    let wants_refusal = run["compile"] == "reject" || run["pipeline"] == "none";
    let pipeline = match created {
        Err(error) if wants_refusal => {
            for text in run["message_contains"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
            {
                let plain = error.replace("\\\"", "\"");
                if !plain.contains(text) {
                    return Err(format!("{text:?} is not in {error}"));
                }
            }
            return Ok(());
        }
        Err(error) => {
            let filtered =
                error.contains("Pipeline will not run") || error.contains("filtered out");
            return if run["compile"] == "accept" && filtered {
                Ok(())
            } else {
                Err(error)
            };
        }
        Ok(_) if wants_refusal => return Err("a pipeline was created".to_owned()),
        Ok(pipeline) => pipeline,
    };
    if run["compile"] == "accept" {
        return Ok(());
    }
    case.check(run, pipeline).await?;
    if run["second_run"].is_object() {
        let pipeline = case.create(run).await?;
        case.check(&run["second_run"], pipeline)
            .await
            .map_err(|error| format!("second run: {error}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn local_runs() {
    let Some(folder) = folder("local-runs") else {
        return;
    };
    let server = TestServer::with(Engine::Sqlite, |config| config.runners.hold_seconds = 5).await;
    let runner = server
        .root
        .post(
            "/user/runners",
            json!({"runner_type": "instance_type", "run_untagged": true}),
        )
        .await
        .expect(201)
        .json();
    let stop = CancellationToken::new();
    let config = Config {
        url: server.url.clone(),
        token: runner["token"].as_str().unwrap().to_owned(),
        name: "tests".to_owned(),
        folder: server.folder().join("runner"),
        concurrency: 4,
        shell: find_shell(),
        poll_interval: Duration::from_millis(100),
    };
    let running = tokio::spawn(footplate_runner::run(config, stop.clone()));
    let mut verdicts = Verdicts::default();
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    cases.sort();
    for path in cases
        .iter()
        .filter(|path| path.join("expect.yml").is_file())
    {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(path.join("expect.yml")).unwrap();
        let expect = to_json(&load(&text, 0, Limits::default()).unwrap());
        for (index, run) in expect["runs"].as_array().into_iter().flatten().enumerate() {
            let own = format!("{name}-{index}")
                .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
            let outcome = tokio::time::timeout(PATIENCE * 2, play(&server, &own, path, run))
                .await
                .unwrap_or_else(|_| Err("took too long".to_owned()));
            verdicts.add(format!("{name}#{index}"), outcome.err());
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    verdicts.judge("local-runs");
}
