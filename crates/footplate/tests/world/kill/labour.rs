//! Runners that go on whatever happens: what they have to say of a job is said until somebody answers.

use std::{io::Write as _, time::Duration};

use footplate_testkit::{Client, ScriptedRunner};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::ledger::Ledger;

/// One job in so many is left without a word, as by a runner that dies.
const FORSAKEN: i64 = 23;
/// Between two attempts while the server is away.
const PAUSE: Duration = Duration::from_millis(10);

/// A job in the hands of a runner.
struct Held<'a> {
    client: &'a Client,
    ledger: &'a Ledger,
    id: i64,
    token: String,
    sent: Vec<u8>,
}

/// Takes jobs and does them until the ledger is finished.
pub(super) async fn labour(client: Client, token: String, machine: String, ledger: Ledger) {
    let body = ScriptedRunner::new(&client, &token)
        .on_machine(&machine)
        .request_body();
    loop {
        let request = client.request(reqwest::Method::POST, "/api/v4/jobs/request");
        let payload: Option<Value> = match request.json(&body).send().await {
            Ok(answer) if answer.status() == 201 => answer.json().await.ok(),
            Ok(answer) if answer.status() == 204 && ledger.is_finished() => return,
            Ok(answer) if answer.status() != 204 => {
                let fault = format!("a request for work was answered with {}", answer.status());
                ledger.write(|books| books.faults.push(fault));
                None
            }
            Ok(_) | Err(_) => None,
        };
        let Some(payload) = payload else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let mut held = Held {
            client: &client,
            ledger: &ledger,
            id: payload["id"].as_i64().unwrap(),
            token: payload["token"].as_str().unwrap().to_owned(),
            sent: Vec::new(),
        };
        held.work(payload["job_info"]["name"] == "a2").await;
    }
}

impl Held<'_> {
    async fn work(&mut self, artifact: bool) {
        if self.put(json!({"state": "running"})).await.status() != 200 {
            return;
        }
        let id = self.id;
        self.ledger
            .write(|books| *books.taken.entry(id).or_default() += 1);
        if id % FORSAKEN == 0 {
            self.ledger.write(|books| books.forsaken.insert(id));
            return;
        }
        for part in 0..3 {
            let text = format!("job {id} part {part} {}\n", "x".repeat(300 * part));
            if !self.trace(text.as_bytes()).await {
                return;
            }
        }
        if artifact && !self.upload().await {
            return;
        }
        self.succeed().await;
    }

    async fn persist(&self, request: impl Fn() -> RequestBuilder) -> Response {
        loop {
            if let Ok(answer) = request().send().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn put(&self, mut body: Value) -> Response {
        body["token"] = json!(self.token);
        let path = format!("/api/v4/jobs/{}", self.id);
        self.persist(|| {
            let request = self.client.request(reqwest::Method::PUT, &path);
            request.json(&body)
        })
        .await
    }

    /// Appends to the trace; `false` when the job is not this runner's any more.
    async fn trace(&mut self, text: &[u8]) -> bool {
        let path = format!("/api/v4/jobs/{}/trace", self.id);
        let start = self.sent.len();
        let range = format!("{start}-{}", start + text.len() - 1);
        let answer = self
            .persist(|| {
                let request = self.client.request(reqwest::Method::PATCH, &path);
                let request = request.header("job-token", &self.token);
                request.header("content-range", &range).body(text.to_vec())
            })
            .await;
        match answer.status().as_u16() {
            202 => {
                self.sent.extend_from_slice(text);
                let (id, sent) = (self.id, self.sent.clone());
                self.ledger.write(|books| books.traces.insert(id, sent));
                true
            }
            403 => self.dismissed(&answer),
            status => {
                let stored = answer.headers().get("range").cloned();
                let fault = format!(
                    "job {}: {start} bytes of the trace were kept, then {status}, {stored:?}",
                    self.id
                );
                self.ledger.write(|books| books.faults.push(fault));
                false
            }
        }
    }

    async fn upload(&self) -> bool {
        let path = format!("/api/v4/jobs/{}/artifacts", self.id);
        let bytes = archive(self.id);
        let answer = self
            .persist(|| {
                let part = reqwest::multipart::Part::bytes(bytes.clone()).file_name("a.zip");
                let form = reqwest::multipart::Form::new().part("file", part);
                let request = self.client.request(reqwest::Method::POST, &path);
                request.header("job-token", &self.token).multipart(form)
            })
            .await;
        match answer.status().as_u16() {
            201 => {
                let id = self.id;
                self.ledger.write(|books| books.uploads.insert(id, bytes));
                true
            }
            403 => self.dismissed(&answer),
            status => {
                let fault = format!("job {}: an upload was answered with {status}", self.id);
                self.ledger.write(|books| books.faults.push(fault));
                false
            }
        }
    }

    async fn succeed(&self) {
        let (id, crc) = (self.id, crc32fast::hash(&self.sent));
        let output = json!({"checksum": format!("crc32:{crc:08x}"), "bytesize": self.sent.len()});
        let answer = self
            .put(json!({"state": "success", "output": output}))
            .await;
        let status = answer.headers().get("job-status");
        let status = status.and_then(|value| value.to_str().ok()).unwrap_or("");
        match (answer.status().as_u16(), status) {
            // A second report is refused when the first was taken and its answer lost.
            (200 | 403, "success") => {
                self.ledger.write(|books| books.succeeded.insert(id));
            }
            (200 | 403, "canceled") => {}
            (code, status) => {
                let fault = format!("job {id}: success was answered with {code} {status:?}");
                self.ledger.write(|books| books.faults.push(fault));
            }
        }
    }

    /// A job that runs is only taken from its runner when somebody cancels it.
    fn dismissed(&self, answer: &Response) -> bool {
        if answer
            .headers()
            .get("job-status")
            .is_none_or(|status| status != "canceled")
        {
            let fault = format!("job {}: refused: {answer:?}", self.id);
            self.ledger.write(|books| books.faults.push(fault));
        }
        false
    }
}

fn archive(id: i64) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("out/id.txt", zip::write::SimpleFileOptions::default())
        .unwrap();
    write!(writer, "{id} {}", "artifact ".repeat(2000)).unwrap();
    writer.finish().unwrap().into_inner()
}
