//! The server as a process of its own, which can be killed.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use footplate_testkit::ROOT_TOKEN;
use rand::RngExt as _;

/// A server; it dies with the value.
pub(super) struct Process {
    child: Child,
    data: PathBuf,
    database: Option<String>,
    /// Where it listens, the same after every start.
    pub(super) url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts with short spans, on a port for itself.
    pub(super) fn first(data: &Path, database: Option<&str>) -> Self {
        Self::start(data, free_port(), database)
    }

    fn start(data: &Path, port: u16, database: Option<&str>) -> Self {
        let log = data.with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_footplate"));
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .env("FOOTPLATE_ROOT_TOKEN", ROOT_TOKEN)
            .env("FOOTPLATE_TICK_SECONDS", "1")
            .env("FOOTPLATE_RUNNERS__HOLD_SECONDS", "1")
            .env("FOOTPLATE_RUNNERS__UNACKNOWLEDGED_SECONDS", "2")
            .env("FOOTPLATE_RUNNERS__SILENT_SECONDS", "10")
            .env("FOOTPLATE_RUNNERS__CANCELING_SECONDS", "10")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap());
        if let Some(url) = database {
            command.args(["--database-url", url]);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().map(Result::unwrap).unwrap_or_default();
        let Some(url) = line.strip_prefix("listening on ") else {
            panic!("{line}{}", std::fs::read_to_string(&log).unwrap());
        };
        let url = url.to_owned();
        Self {
            child,
            data: data.to_owned(),
            database: database.map(str::to_owned),
            url,
        }
    }

    /// SIGKILL, then a new process on the same data and port.
    pub(super) fn killed_and_started(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let port = self.url.rsplit(':').next().unwrap().parse().unwrap();
        Self::start(&self.data, port, self.database.as_deref())
    }
}

/// A port that stays free while the server is away: not one of those that the system lends to whoever connects.
fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
