//! One call of the git binary: clean environment, no shell, limits on time and output.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
};

use crate::{Error, Result, names::INTERNAL, repositories::Shared};

/// Settings that hold for every call, whatever a repository's own file says.
const SETTINGS: &[&str] = &[
    "core.fsync=all",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "core.logAllRefUpdates=false",
    "protocol.allow=never",
    "protocol.file.allow=never",
    "safe.directory=*",
    "gc.auto=0",
    "maintenance.auto=false",
    "receive.autogc=false",
    "receive.advertisePushOptions=true",
    "receive.advertiseAtomic=true",
    "receive.fsckObjects=true",
    "receive.fsck.badTimezone=ignore",
    "receive.fsck.missingSpaceBeforeDate=ignore",
    "receive.fsck.zeroPaddedFilemode=ignore",
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=true",
    "uploadpack.advertiseBundleURIs=false",
];

/// Standard error that is kept, in bytes.
const STDERR_KEPT: u64 = 16 * 1024;

/// Where git is. By a name without a folder and with an environment of its own, the process would have to be forked, with a copy of
/// all page tables, to be looked for afterwards; by its path it is spawned in one step.
fn program() -> &'static OsStr {
    static PROGRAM: OnceLock<OsString> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("git"))
            .find(|file| file.is_file());
        found.map_or_else(|| "git".into(), PathBuf::into_os_string)
    })
}

/// A git process with everything that must not leak into it taken away.
pub(crate) fn bare_command(repository: &Path) -> Command {
    let mut command = Command::new(program());
    command.env_clear();
    for name in ["PATH", "TMPDIR", "SYSTEMROOT"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_DIR", repository)
        .current_dir("/")
        .kill_on_drop(true);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    for space in INTERNAL {
        command.args(["-c", &format!("receive.hideRefs={space}")]);
    }
    command
}

/// A call in the making.
pub(crate) struct Git {
    command: Command,
    name: String,
    shared: Arc<Shared>,
    stdin: Option<Bytes>,
    output_limit: u64,
    timeout: Duration,
    accepted: &'static [i32],
}

impl Git {
    pub(crate) fn new(shared: &Arc<Shared>, repository: &Path, subcommand: &str) -> Self {
        let mut command = bare_command(repository);
        command.arg(subcommand);
        Self {
            command,
            name: subcommand.to_owned(),
            shared: Arc::clone(shared),
            stdin: None,
            output_limit: shared.options.output_bytes,
            timeout: shared.options.command_timeout,
            accepted: &[0],
        }
    }

    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.command.args(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub(crate) fn stdin(mut self, data: impl Into<Bytes>) -> Self {
        self.stdin = Some(data.into());
        self
    }

    /// Exit codes that are an answer and no failure.
    pub(crate) fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    /// Runs to the end and gives standard output.
    pub(crate) async fn run(self) -> Result<Vec<u8>> {
        self.run_with_code().await.map(|(_, output)| output)
    }

    /// As [`run`](Self::run), and to the end also when the caller goes away: git that is killed between taking and giving back
    /// the lock of a reference leaves it locked for ever.
    pub(crate) async fn run_whatever_happens(self) -> Result<Vec<u8>> {
        let done = tokio::spawn(self.run()).await;
        done.unwrap_or_else(|error| Err(Error::io("run git")(std::io::Error::other(error))))
    }

    /// Runs to the end and gives the exit code and standard output.
    pub(crate) async fn run_with_code(mut self) -> Result<(i32, Vec<u8>)> {
        let shared = Arc::clone(&self.shared);
        let _permit = shared.commands.acquire().await;
        let limit = self.output_limit;
        let seconds = self.timeout.as_secs();
        let timeout = self.timeout;
        let input = self.stdin.take();
        let mut child = self.spawn(input.is_some())?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let ((), output, errors) = tokio::join!(
                feed(stdin, input),
                read_limited(stdout, limit),
                read_clipped(stderr)
            );
            let output = output?;
            let status = child.wait().await.map_err(Error::io("wait for git"))?;
            Ok::<_, Error>((status, output, errors))
        };
        let Ok(done) = tokio::time::timeout(timeout, work).await else {
            return Err(Error::Timeout {
                command: self.name,
                seconds,
            });
        };
        let (status, output, errors) = done?;
        match status.code() {
            Some(code) if self.accepted.contains(&code) => Ok((code, output)),
            _ => Err(Error::git(&self.name, &errors)),
        }
    }

    /// Starts it with pipes; the caller reads and waits. Killed when dropped.
    pub(crate) fn spawn(&mut self, with_stdin: bool) -> Result<Child> {
        self.command
            .stdin(if with_stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("start git"))
    }
}

async fn feed(stdin: Option<ChildStdin>, input: Option<Bytes>) {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        // git may end without reading everything; its exit code tells
        let _ = stdin.write_all(&input).await;
        let _ = stdin.shutdown().await;
    }
}

async fn read_limited(from: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(from) = from {
        from.take(limit.saturating_add(1))
            .read_to_end(&mut output)
            .await
            .map_err(Error::io("read from git"))?;
    }
    if output.len() as u64 > limit {
        return Err(Error::TooLarge {
            what: "the answer of git",
            limit,
        });
    }
    Ok(output)
}

/// Reads standard error to its end and keeps its beginning.
pub(crate) async fn read_clipped(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        let _ = (&mut from).take(STDERR_KEPT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    kept
}
