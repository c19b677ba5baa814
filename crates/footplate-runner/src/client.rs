//! Calls to the server, each with its retries (`runner-protocol.md §0.2`).

use std::{path::Path, time::Duration};

use bytes::Bytes;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};

use crate::{Config, Error, payload::Payload};

/// Attempts of a call.
const ATTEMPTS: u32 = 5;
/// Attempts of the final report; a job's outcome is worth more patience.
const FINAL_ATTEMPTS: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The server as a runner sees it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    name: String,
    system_id: String,
}

/// The answer to a request for work.
pub(crate) enum Offer {
    Job(Box<Payload>),
    /// Nothing; the queue token to come back with.
    Nothing(Option<String>),
    Refused,
    Trouble,
}

/// What the server says of a job when it is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) status: u16,
    /// `Job-Status`.
    pub(crate) job: Option<String>,
    /// Next offset, from `Range`.
    pub(crate) offset: Option<u64>,
    /// Seconds between two reports.
    pub(crate) interval: Option<u64>,
}

impl Said {
    fn of(response: &Response) -> Self {
        let text = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            status: response.status().as_u16(),
            job: text("job-status"),
            offset: text("range")
                .and_then(|range| range.strip_prefix("0-").and_then(|size| size.parse().ok())),
            interval: text("x-gitlab-trace-update-interval")
                .and_then(|seconds| seconds.parse().ok()),
        }
    }

    /// The job must end at once.
    pub(crate) fn aborts(&self) -> bool {
        self.status == 403 || matches!(self.job.as_deref(), Some("canceled" | "failed"))
    }

    /// The job shall end in order.
    pub(crate) fn cancels(&self) -> bool {
        self.job.as_deref() == Some("canceling")
    }
}

fn again(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504) || status.as_u16() >= 512
}

async fn pause(attempt: u32, response: Option<&Response>) {
    let asked = response
        .and_then(|response| response.headers().get("retry-after"))
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let jitter: f64 = rand::random();
    let own = Duration::from_millis(100 << attempt.min(10)).mul_f64(0.5 + jitter);
    tokio::time::sleep(asked.unwrap_or(own).min(LONGEST_PAUSE)).await;
}

impl Client {
    pub(crate) fn new(config: &Config, system_id: String) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("footplate-runner ", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(30))
            .timeout(Duration::from_secs(3600))
            .build()?;
        Ok(Self {
            http,
            base: format!("{}/api/v4", config.url.trim_end_matches('/')),
            token: config.token.clone(),
            name: config.name.clone(),
            system_id,
        })
    }

    async fn call(
        &self,
        attempts: u32,
        make: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match make().send().await {
                Ok(response) if again(response.status()) && attempt < attempts => {
                    pause(attempt, Some(&response)).await;
                }
                Ok(response) => return Ok(response),
                Err(_) if attempt < attempts => pause(attempt, None).await,
                Err(error) => return Err(error.without_url().into()),
            }
        }
    }

    fn info(&self) -> Json {
        let on = [
            "variables",
            "shared",
            "artifacts",
            "upload_multiple_artifacts",
            "upload_raw_artifacts",
            "cache",
            "fallback_cache_keys",
            "refspecs",
            "masking",
            "raw_variables",
            "artifacts_exclude",
            "multi_build_steps",
            "return_exit_code",
            "trace_reset",
            "trace_checksum",
            "trace_size",
            "cancelable",
            "cancel_gracefully",
            "two_phase_job_commit",
        ];
        let features: serde_json::Map<String, Json> = on
            .iter()
            .map(|name| ((*name).to_owned(), json!(true)))
            .collect();
        json!({
            "name": self.name, "version": env!("CARGO_PKG_VERSION"), "revision": "built-in", "platform": std::env::consts::OS,
            "architecture": std::env::consts::ARCH, "executor": "shell", "shell": "bash", "features": features,
        })
    }

    /// Asks for work; `last_update` lets the server hold the request.
    pub(crate) async fn request_job(&self, last_update: Option<&str>) -> Offer {
        let mut body =
            json!({"token": self.token, "system_id": self.system_id, "info": self.info()});
        if let Some(token) = last_update {
            body["last_update"] = json!(token);
        }
        let url = format!("{}/jobs/request", self.base);
        // Not repeated here: the next poll is the repetition.
        let Ok(response) = self.http.post(url).json(&body).send().await else {
            return Offer::Trouble;
        };
        match response.status().as_u16() {
            201 => match response.json().await {
                Ok(payload) => Offer::Job(Box::new(payload)),
                Err(error) => {
                    tracing::error!(error = %error.without_url(), "a job could not be read");
                    Offer::Trouble
                }
            },
            204 => {
                let token = response.headers().get("x-gitlab-last-update");
                Offer::Nothing(
                    token
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned),
                )
            }
            403 => Offer::Refused,
            _ => Offer::Trouble,
        }
    }

    /// Reports a state that is not final.
    pub(crate) async fn heartbeat(&self, id: i64, token: &str) -> Result<Said, Error> {
        let body = json!({"token": token, "state": "running"});
        self.report(id, &body, ATTEMPTS).await
    }

    /// Reports the end.
    pub(crate) async fn finish(&self, id: i64, body: &Json) -> Result<Said, Error> {
        self.report(id, body, FINAL_ATTEMPTS).await
    }

    async fn report(&self, id: i64, body: &Json, attempts: u32) -> Result<Said, Error> {
        let url = format!("{}/jobs/{id}", self.base);
        let response = self
            .call(attempts, || self.http.put(&url).json(body))
            .await?;
        Ok(Said::of(&response))
    }

    /// Appends to the trace.
    pub(crate) async fn append(
        &self,
        id: i64,
        token: &str,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Said, Error> {
        let url = format!("{}/jobs/{id}/trace", self.base);
        let end = (offset + bytes.len() as u64).saturating_sub(1);
        let response = self
            .call(ATTEMPTS, || {
                self.http
                    .patch(&url)
                    .header("job-token", token)
                    .header("content-type", "text/plain")
                    .header("content-range", format!("{offset}-{end}"))
                    .body(bytes.clone())
            })
            .await?;
        Ok(Said::of(&response))
    }

    /// Uploads a file as an artifact; the status of the last attempt.
    pub(crate) async fn upload(
        &self,
        id: i64,
        token: &str,
        query: &[(&str, String)],
        name: &str,
        file: &Path,
    ) -> Result<(u16, String), Error> {
        let url = format!("{}/jobs/{id}/artifacts", self.base);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let opened = tokio::fs::File::open(file).await?;
            let length = opened.metadata().await?.len();
            let stream = tokio_util::io::ReaderStream::with_capacity(opened, 64 * 1024);
            let part =
                reqwest::multipart::Part::stream_with_length(Body::wrap_stream(stream), length)
                    .file_name(name.to_owned());
            let form = reqwest::multipart::Form::new().part("file", part);
            let sent = self
                .http
                .request(Method::POST, &url)
                .query(query)
                .header("job-token", token)
                .multipart(form)
                .send()
                .await;
            match sent {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let final_answer =
                        matches!(status, 201 | 400 | 403 | 413) || attempt >= ATTEMPTS;
                    if final_answer {
                        return Ok((status, response.text().await.unwrap_or_default()));
                    }
                    pause(attempt, Some(&response)).await;
                }
                Err(_) if attempt < ATTEMPTS => pause(attempt, None).await,
                Err(error) => return Err(error.without_url().into()),
            }
        }
    }

    /// Fetches an archive into a file; `false` when there is none.
    pub(crate) async fn download(&self, id: i64, token: &str, to: &Path) -> Result<u16, Error> {
        let url = format!("{}/jobs/{id}/artifacts", self.base);
        let mut response = self
            .call(ATTEMPTS, || self.http.get(&url).header("job-token", token))
            .await?;
        let status = response.status().as_u16();
        if status == 200 {
            let mut file = tokio::fs::File::create(to).await?;
            while let Some(chunk) = response.chunk().await? {
                tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await?;
            }
            tokio::io::AsyncWriteExt::flush(&mut file).await?;
        }
        Ok(status)
    }
}
