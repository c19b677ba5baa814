//! Scripts in the host's shell, each in a process group of its own.

use std::{path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::watch,
};

use crate::{
    Error,
    leftovers::{MARK, kill_marked},
    trace::{Trace, Wish},
    variables::Environment,
};

/// A script that is asked to end has so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Output that comes after the script ended, from what it left in the background.
const AFTERGLOW: Duration = Duration::from_millis(500);

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Code(i32),
    /// Its time was over.
    Timeout,
    /// The server wished it.
    Canceled,
}

/// Where and as what a script runs.
pub(crate) struct Place<'p> {
    pub(crate) shell: &'p str,
    pub(crate) folder: &'p Path,
    pub(crate) environment: &'p Environment,
    pub(crate) mark: &'p str,
    pub(crate) trace: &'p Trace,
}

/// A script with each command shown before it runs, as GitLab's runner writes it.
pub(crate) fn script(lines: &[String], shell: &str) -> String {
    let mut text = String::from(if shell.ends_with("bash") {
        "set -eo pipefail\nset +o noclobber\n"
    } else {
        "set -e\n"
    });
    for line in lines {
        let (first, rest) = line
            .split_once('\n')
            .map_or((line.as_str(), ""), |(first, rest)| (first, rest));
        let shown = if rest.trim().is_empty() {
            first.to_owned()
        } else {
            format!("{first} # collapsed multi-line command")
        };
        text.push_str(&format!(
            "printf '%s\\n' {}\n",
            quoted(&format!("\x1b[32;1m$ {shown}\x1b[0;m"))
        ));
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Place<'_> {
    /// Runs a script to its end, to `limit`, or to the server's wish that is worse than `from`.
    pub(crate) async fn run(
        &self,
        text: &str,
        limit: Duration,
        wish: &mut watch::Receiver<Wish>,
        from: Wish,
    ) -> Result<Ended, Error> {
        let file = tempfile::Builder::new()
            .prefix("script-")
            .tempfile_in(self.folder.parent().unwrap_or(self.folder))?;
        std::fs::write(file.path(), text)?;
        let mut command = Command::new(self.shell);
        command
            .arg(file.path())
            .current_dir(self.folder)
            .stdin(Stdio::null());
        command.env_clear();
        for name in ["PATH", "HOME", "USER", "LANG", "TERM", "TMPDIR", "SHELL"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter()).env(MARK, self.mark);
        self.watch(command, limit, wish, from).await
    }

    /// Runs a program whose output goes to the trace.
    pub(crate) async fn watch(
        &self,
        mut command: Command,
        limit: Duration,
        wish: &mut watch::Receiver<Wish>,
        from: Wish,
    ) -> Result<Ended, Error> {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let readers = [
            tokio::spawn(copy(out, self.trace.clone())),
            tokio::spawn(copy(err, self.trace.clone())),
        ];
        let ended = tokio::select! {
            status = child.wait() => Ended::Code(code(status?)),
            () = tokio::time::sleep(limit) => Ended::Timeout,
            _ = wish.wait_for(|wish| *wish > from) => Ended::Canceled,
        };
        if !matches!(ended, Ended::Code(_)) {
            end(&mut child, group).await;
        }
        // Whatever stayed in the background ends with its job.
        if let Some(group) = group {
            let patience = tokio::time::timeout(AFTERGLOW, async {
                for reader in readers {
                    let _ = reader.await;
                }
            });
            let quiet = patience.await.is_ok();
            let _ = kill_process_group(group, Signal::KILL);
            if !quiet {
                kill_marked(self.mark);
            }
        }
        Ok(ended)
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

async fn end(child: &mut Child, group: Option<Pid>) {
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    let _ = child.kill().await;
}

async fn copy(from: Option<impl AsyncRead + Unpin>, trace: Trace) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        trace.write(&buffer[..read]);
    }
}
