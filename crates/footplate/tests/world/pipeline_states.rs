//! GitLab's cases of pipeline processing once more, over HTTP: each job has a tag and a runner of its own
//! (`conformance/pipeline-states`).

#[path = "../../../footplate-ci/tests/conformance/harness.rs"]
mod harness;

use std::collections::BTreeMap;

use footplate_ci::yaml::{Limits, load};
use footplate_testkit::{Outcome, ScriptedRunner, TestServer};
use harness::{Verdicts, folder, to_json};
use serde_json::{Value as Json, json};

struct Play<'s> {
    server: &'s TestServer,
    project: i64,
    pipeline: i64,
    runners: BTreeMap<String, ScriptedRunner>,
}

fn tag(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

impl Play<'_> {
    async fn latest(&self) -> Vec<Json> {
        self.server.settle().await;
        let mut all = Vec::new();
        for kind in ["jobs", "bridges"] {
            let path = format!(
                "/projects/{}/pipelines/{}/{kind}?per_page=100",
                self.project, self.pipeline
            );
            all.extend(
                self.server
                    .root
                    .get(&path)
                    .await
                    .expect(200)
                    .json()
                    .as_array()
                    .unwrap()
                    .clone(),
            );
        }
        all
    }

    async fn compare(&self, expect: &Json, at: &str) -> Result<(), String> {
        let jobs = self.latest().await;
        let pipeline = self
            .server
            .root
            .get(&format!(
                "/projects/{}/pipelines/{}",
                self.project, self.pipeline
            ))
            .await
            .json();
        if pipeline["status"] != expect["pipeline"] {
            return Err(format!(
                "{at}: pipeline is {}, not {}",
                pipeline["status"], expect["pipeline"]
            ));
        }
        let got: BTreeMap<&str, &str> = jobs
            .iter()
            .map(|job| {
                (
                    job["name"].as_str().unwrap(),
                    job["status"].as_str().unwrap(),
                )
            })
            .collect();
        let wanted: BTreeMap<&str, &str> = expect["jobs"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, status)| (name.as_str(), status.as_str().unwrap_or_default()))
            .collect();
        if got != wanted {
            return Err(format!("{at}: jobs are {got:?}, not {wanted:?}"));
        }
        Ok(())
    }

    async fn id(&self, name: &str) -> Result<i64, String> {
        let jobs = self.latest().await;
        let found = jobs
            .iter()
            .find(|job| job["name"] == name)
            .ok_or_else(|| format!("no job {name}"))?;
        Ok(found["id"].as_i64().unwrap())
    }

    async fn post(&self, path: &str) -> Result<(), String> {
        let answer = self
            .server
            .root
            .post(&format!("/projects/{}{path}", self.project), json!({}))
            .await;
        if answer.status < 300 {
            Ok(())
        } else {
            Err(format!("{path}: {} {}", answer.status, answer.text()))
        }
    }

    /// Lets a job fail straight from `pending`, without a pass through `running`: it is asked for while its project has no CI/CD.
    async fn fail_pending(&mut self, name: &str) -> Result<(), String> {
        let project = format!("/projects/{}", self.project);
        let switch = async |level: &str| {
            let body = json!({"builds_access_level": level});
            self.server.root.put(&project, body).await.expect(200);
        };
        switch("disabled").await;
        let runner = self.runners.get_mut(name);
        let taken = match runner {
            Some(runner) => runner.take().await,
            None => return Err(format!("no runner for {name}")),
        };
        self.server.settle().await;
        switch("enabled").await;
        match taken {
            Some(taken) => Err(format!("{taken} was handed out without CI/CD")),
            None => Ok(()),
        }
    }

    async fn event(&mut self, event: &str, name: &str) -> Result<(), String> {
        if event == "drop" {
            let jobs = self.latest().await;
            let job = jobs.iter().find(|job| job["name"] == name);
            if job.is_some_and(|job| job["status"] == "pending") {
                return self.fail_pending(name).await;
            }
        }
        match event {
            "success" | "drop" | "run" => {
                let runner = self
                    .runners
                    .get_mut(name)
                    .ok_or_else(|| format!("no runner for {name}"))?;
                if let Some(taken) = runner.take().await
                    && taken != name
                {
                    return Err(format!("the runner of {name} got {taken}"));
                }
                match event {
                    "success" => {
                        runner.finish(name, Outcome::Success).await;
                    }
                    "drop" => {
                        runner
                            .finish(name, Outcome::Failed("unknown_failure"))
                            .await;
                    }
                    _ => {}
                }
                Ok(())
            }
            "cancel" | "retry" => {
                self.post(&format!("/jobs/{}/{event}", self.id(name).await?))
                    .await
            }
            "play" | "enqueue" => {
                self.post(&format!("/jobs/{}/play", self.id(name).await?))
                    .await
            }
            other => Err(format!("unknown event {other}")),
        }
    }
}

async fn play(server: &TestServer, path: &str, text: &str) -> Result<(), String> {
    let node = load(text.as_bytes(), 0, Limits::default()).map_err(|error| error.to_string())?;
    let case = to_json(&node);
    let mut config = case["config"].clone();
    let mut runners = BTreeMap::new();
    let reserved = ["stages", "workflow", "default", "variables", "include"];
    let names: Vec<String> = config
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| !reserved.contains(&name.as_str()) && !name.starts_with('.'))
        .collect();
    for name in names {
        if config[&name]["trigger"].is_null() {
            let own = format!("{path}-{}", tag(&name));
            config[&name]["tags"] = json!([own]);
            let runner = server.runner(&[&own]).await;
            runners.insert(name, runner);
        }
    }
    let text = config.to_string();
    let project = server.project(path, &[(".gitlab-ci.yml", &text)]).await;
    let pipeline = server.pipeline(project).await;
    let Some(pipeline) = pipeline["id"].as_i64() else {
        return Err("no pipeline".to_owned());
    };
    let mut play = Play {
        server,
        project,
        pipeline,
        runners,
    };
    play.compare(&case["init"]["expect"], "init").await?;
    for (index, transition) in case["transitions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let event = transition["event"].as_str().unwrap_or_default();
        let at = format!("{index} {event}");
        match transition["jobs"].as_array() {
            None => play.post(&format!("/pipelines/{pipeline}/{event}")).await?,
            Some(jobs) => {
                for name in jobs.iter().filter_map(Json::as_str) {
                    play.event(event, name)
                        .await
                        .map_err(|error| format!("{at}: {error}"))?;
                }
            }
        }
        play.compare(&transition["expect"], &at).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http() {
    let Some(folder) = folder("pipeline-states") else {
        return;
    };
    // Jobs of one case are not offered to the runners of another: each has tags of its own, and none takes jobs without.
    let server = TestServer::start().await;
    let mut verdicts = Verdicts::default();
    for (index, entry) in std::fs::read_dir(folder).unwrap().flatten().enumerate() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let outcome = play(&server, &format!("case{index}"), &text).await;
            verdicts.add(entry.file_name().to_string_lossy(), outcome.err());
        }
    }
    verdicts.judge("pipeline-states-http");
}
