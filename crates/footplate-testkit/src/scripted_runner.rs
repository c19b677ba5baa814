//! A runner without a shell: tests say what each job does.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// How a scripted job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `success`
    Success,
    /// `failed` with this reason.
    Failed(&'static str),
    /// `failed`, `script_failure`, with this exit code.
    Exit(i32),
}

/// A runner known to the server.
#[derive(Debug)]
pub struct ScriptedRunner {
    client: Client,
    /// Its authentication token.
    pub token: String,
    /// The machine's name.
    pub system_id: String,
    last_update: Option<String>,
    taken: HashMap<String, TakenJob>,
    graceful: bool,
}

/// A job that the runner has.
#[derive(Debug, Clone)]
pub struct TakenJob {
    /// Its id.
    pub id: i64,
    /// Its token.
    pub token: String,
    /// The whole payload.
    pub payload: Value,
    sent: usize,
}

impl ScriptedRunner {
    /// A runner with a token; it supports graceful cancelation.
    pub fn new(client: &Client, token: &str) -> Self {
        Self {
            client: Client::anonymous(client.base()),
            token: token.to_owned(),
            system_id: "s_0123456789ab".to_owned(),
            last_update: None,
            taken: HashMap::new(),
            graceful: true,
        }
    }

    /// The same runner on another machine.
    #[must_use]
    pub fn on_machine(mut self, system_id: &str) -> Self {
        system_id.clone_into(&mut self.system_id);
        self
    }

    /// The same runner without graceful cancelation.
    #[must_use]
    pub fn abrupt(mut self) -> Self {
        self.graceful = false;
        self
    }

    /// The body of its job requests.
    pub fn request_body(&self) -> Value {
        let mut body = json!({
            "token": self.token, "system_id": self.system_id,
            "info": {
                "name": "scripted", "version": "1.0.0", "revision": "0", "platform": "linux", "architecture": "amd64", "executor": "shell",
                "features": {
                    "refspecs": true, "upload_multiple_artifacts": true, "artifacts_exclude": true, "multi_build_steps": true,
                    "return_exit_code": true, "fallback_cache_keys": true, "cancelable": true, "cancel_gracefully": self.graceful,
                    "trace_checksum": true, "trace_size": true,
                },
            },
        });
        if let Some(value) = &self.last_update {
            body["last_update"] = json!(value);
        }
        body
    }

    /// One `jobs/request`; keeps the queue token of a 204.
    pub async fn poll(&mut self) -> Answer {
        let request = self
            .client
            .request(Method::POST, "/api/v4/jobs/request")
            .json(&self.request_body());
        let answer = self.client.send(request).await;
        if answer.status == 204 {
            self.last_update = Some(answer.header("X-GitLab-Last-Update").to_owned())
                .filter(|value| !value.is_empty());
        }
        answer
    }

    /// Asks for work without waiting; the job's name where there was one.
    ///
    /// # Panics
    /// On an answer that is neither 201 nor 204.
    pub async fn take(&mut self) -> Option<String> {
        self.last_update = None;
        let answer = self.poll().await;
        if answer.status == 204 {
            return None;
        }
        assert_eq!(answer.status, 201, "{}", answer.text());
        let payload = answer.json();
        let name = payload["job_info"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let job = TakenJob {
            id: payload["id"].as_i64().unwrap_or_default(),
            token: payload["token"].as_str().unwrap_or_default().to_owned(),
            payload,
            sent: 0,
        };
        self.taken.insert(name.clone(), job);
        Some(name)
    }

    /// Takes jobs until the queue has none for it.
    pub async fn take_all(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(name) = self.take().await {
            names.push(name);
        }
        names
    }

    /// The job that was taken under this name last.
    ///
    /// # Panics
    /// When there is none.
    pub fn job(&self, name: &str) -> &TakenJob {
        self.taken
            .get(name)
            .unwrap_or_else(|| panic!("job {name} was not taken"))
    }

    /// Appends to the trace.
    pub async fn trace(&mut self, name: &str, text: &str) -> Answer {
        let job = self.job(name).clone();
        let answer = self.patch_trace(&job, job.sent, text.as_bytes()).await;
        if answer.status == 202
            && let Some(job) = self.taken.get_mut(name)
        {
            job.sent += text.len();
        }
        answer
    }

    /// A raw `PATCH /jobs/:id/trace`.
    pub async fn patch_trace(&self, job: &TakenJob, start: usize, bytes: &[u8]) -> Answer {
        let end = (start + bytes.len()).saturating_sub(1);
        let request = self
            .client
            .request(
                Method::PATCH,
                &format!("/api/v4/jobs/{}/trace?debug_trace=false", job.id),
            )
            .header("JOB-TOKEN", &job.token)
            .header("Content-Type", "text/plain")
            .header("Content-Range", format!("{start}-{end}"))
            .body(bytes.to_vec());
        self.client.send(request).await
    }

    /// A raw `PUT /jobs/:id`.
    pub async fn update(&self, job: &TakenJob, mut body: Value) -> Answer {
        body["token"] = json!(job.token);
        self.client
            .send(
                self.client
                    .request(Method::PUT, &format!("/api/v4/jobs/{}", job.id))
                    .json(&body),
            )
            .await
    }

    /// Reports the end of a job that was taken.
    pub async fn finish(&mut self, name: &str, outcome: Outcome) -> Answer {
        let job = self.job(name).clone();
        let body = match outcome {
            Outcome::Success => json!({"state": "success"}),
            Outcome::Failed(reason) => json!({"state": "failed", "failure_reason": reason}),
            Outcome::Exit(code) => {
                json!({"state": "failed", "failure_reason": "script_failure", "exit_code": code})
            }
        };
        self.update(&job, body).await
    }

    /// Uploads an artifact of a job that was taken.
    pub async fn upload(
        &self,
        name: &str,
        kind: &str,
        format: &str,
        filename: &str,
        bytes: Vec<u8>,
    ) -> Answer {
        let job = self.job(name);
        let part = reqwest::multipart::Part::bytes(bytes).file_name(filename.to_owned());
        let request = self
            .client
            .request(
                Method::POST,
                &format!(
                    "/api/v4/jobs/{}/artifacts?artifact_type={kind}&artifact_format={format}",
                    job.id
                ),
            )
            .header("JOB-TOKEN", &job.token)
            .multipart(reqwest::multipart::Form::new().part("file", part));
        self.client.send(request).await
    }
}
