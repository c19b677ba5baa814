//! The rest of a push: git runs to its end in a task of its own, whether or not the client waits for it.

use std::{io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout},
    sync::mpsc,
};

use super::{
    ByteStream, Push, PushCommands, RequestBody,
    pkt::{FLUSH, Packet, take},
    push::{again, progress},
    report::Report,
};
use crate::{GitRef, RefUpdate, Repository, Result, command::read_clipped};

/// What became of one reference of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateResult {
    /// What was asked for.
    pub update: RefUpdate,
    /// Done, or git's reason.
    pub result: Result<(), String>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// Every reference of [`PushCommands::updates`], in that order.
    pub results: Vec<UpdateResult>,
}

impl PushOutcome {
    /// The references that moved.
    pub fn moved(&self) -> impl Iterator<Item = &RefUpdate> {
        self.results
            .iter()
            .filter(|one| one.result.is_ok())
            .map(|one| &one.update)
    }
}

/// How long a client may take to read or send its next piece before it counts as gone.
const CLIENT_PATIENCE: Duration = Duration::from_secs(300);

impl Push {
    /// Lets git do the push. `after` is called exactly once, when git has ended, also when the client is gone by then; the
    /// lines it gives are shown to the pusher behind `remote: ` before the answer ends. Nothing here breaks off because the
    /// answer is dropped.
    ///
    /// # Errors
    /// git could not be started; then nothing moved and `after` was not called.
    pub async fn run<F, W>(self, after: F) -> Result<ByteStream>
    where
        F: FnOnce(PushOutcome) -> W + Send + 'static,
        W: Future<Output = Vec<String>> + Send + 'static,
    {
        let mut git = self
            .repository
            .git("receive-pack")
            .arg("--stateless-rpc")
            .arg(self.repository.path());
        if self.deny_rewrites {
            git = git
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "receive.denyNonFastForwards")
                .env("GIT_CONFIG_VALUE_0", "true");
        }
        let permit = Arc::clone(&self.repository.shared().transfers)
            .acquire_owned()
            .await
            .ok();
        let child = git.spawn(true)?;
        let (answer, receiver) = mpsc::channel(16);
        let Self {
            repository,
            commands,
            head,
            body,
            deny_rewrites: _,
        } = self;
        let mut client = Client {
            answer: Some(answer),
        };
        tokio::spawn(async move {
            let side_band = commands.has("side-band-64k");
            let report = exchange(child, head, body, side_band, &mut client).await;
            drop(permit);
            let outcome = outcome(&repository, &commands, report).await;
            let messages = after(outcome).await;
            if side_band {
                client.send(progress(&messages).into()).await;
                client.send(Bytes::from_static(FLUSH)).await;
            }
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            let chunk: Bytes = receiver.recv().await?;
            Some((Ok::<_, io::Error>(chunk), receiver))
        });
        Ok(Box::pin(stream))
    }
}

/// The way back to the pusher, who may be gone.
struct Client {
    answer: Option<mpsc::Sender<Bytes>>,
}

impl Client {
    async fn send(&mut self, bytes: Bytes) {
        let Some(answer) = &self.answer else { return };
        if bytes.is_empty() {
            return;
        }
        let sent = tokio::time::timeout(CLIENT_PATIENCE, answer.send(bytes)).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.answer = None;
        }
    }
}

/// Runs git to its end and gives its report. The last flush is held back.
async fn exchange(
    mut child: Child,
    head: Bytes,
    body: RequestBody,
    side_band: bool,
    client: &mut Client,
) -> Report {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (_, report, errors) = tokio::join!(
        feed(stdin, head, body),
        pass_on(stdout, side_band, client),
        read_clipped(stderr)
    );
    match child.wait().await {
        Ok(status) if status.success() => {}
        status => {
            let said = String::from_utf8_lossy(&errors);
            tracing::warn!(
                ?status,
                said = said.trim(),
                "receive-pack ended with a failure"
            );
        }
    }
    report
}

/// Gives git the commands and the pack. Its input is closed in every case: git finds out itself that a pack is cut.
async fn feed(stdin: Option<ChildStdin>, head: Bytes, mut body: RequestBody) {
    let Some(mut stdin) = stdin else { return };
    if stdin.write_all(&head).await.is_err() {
        return body.drain().await;
    }
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(CLIENT_PATIENCE, body.chunk()).await {
        if stdin.write_all(&chunk).await.is_err() {
            // git has refused without reading everything; a client that is still sending may not see the answer
            return body.drain().await;
        }
    }
    let _ = stdin.shutdown().await;
}

/// Sends packets on as they come and collects the report.
async fn pass_on(stdout: Option<ChildStdout>, side_band: bool, client: &mut Client) -> Report {
    let mut report = BytesMut::new();
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    let Some(mut stdout) = stdout else {
        return Report::default();
    };
    while matches!(stdout.read_buf(&mut buffer).await, Ok(read) if read > 0) {
        if !side_band {
            let bytes = buffer.split().freeze();
            report.extend_from_slice(&bytes);
            client.send(bytes).await;
            continue;
        }
        while let Ok(Some(packet)) = take(&mut buffer) {
            let Packet::Data(data) = packet else { continue };
            if let Some(part) = data.strip_prefix(&[1]) {
                report.extend_from_slice(part);
            }
            client.send(again(&data).into()).await;
        }
    }
    Report::parse(report)
}

/// The report as results; what it does not tell is looked up.
async fn outcome(
    repository: &Repository,
    commands: &PushCommands,
    mut report: Report,
) -> PushOutcome {
    let mut results = Vec::with_capacity(commands.updates.len());
    for update in &commands.updates {
        let result = match (report.refs.remove(&update.name), &report.unpack) {
            (Some(result), _) => result,
            (None, Some(Err(reason))) => Err(reason.clone()),
            (None, _) => look_up(repository, update).await,
        };
        results.push(UpdateResult {
            update: update.clone(),
            result,
        });
    }
    PushOutcome { results }
}

/// Whether a reference stands where the push wanted it.
async fn look_up(repository: &Repository, update: &RefUpdate) -> Result<(), String> {
    let git_ref = GitRef::parse(&update.name).map_err(|error| error.to_string())?;
    let now = repository
        .find_ref(&git_ref)
        .await
        .map_err(|error| error.to_string())?;
    let wanted = (!update.is_delete()).then_some(&update.new);
    if now.as_ref() == wanted {
        return Ok(());
    }
    Err("git ended without a report".to_owned())
}
