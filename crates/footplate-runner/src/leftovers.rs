//! What a runner that was killed left behind: processes are ended, their jobs reported as failed, never run again.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::{Error, client::Client};

/// The variable that marks every process of a job.
pub(crate) const MARK: &str = "FOOTPLATE_RUNNER_JOB";

/// A job that is written down while it runs.
pub(crate) struct Record {
    path: PathBuf,
    /// What its processes carry.
    pub(crate) mark: String,
}

impl Record {
    /// Writes a job down, durably, before anything of it starts.
    pub(crate) fn write(folder: &Path, id: i64, token: &str) -> Result<Self, Error> {
        fs::create_dir_all(folder)?;
        let mark: u128 = rand::random();
        let mark = format!("{id}-{mark:032x}");
        let path = folder.join(format!("{id}.json"));
        let half = folder.join(format!("{id}.new"));
        let mut file = fs::File::create(&half)?;
        file.write_all(
            json!({"id": id, "token": token, "mark": mark})
                .to_string()
                .as_bytes(),
        )?;
        file.sync_all()?;
        fs::rename(&half, &path)?;
        fs::File::open(folder)?.sync_all()?;
        Ok(Self { path, mark })
    }

    /// The job is over and reported.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// Ends every process that carries the mark, also those that left their group.
pub(crate) fn kill_marked(mark: &str) {
    let wanted = format!("{MARK}={mark}").into_bytes();
    // A process may start another while we look; a second look finds it.
    for _ in 0..3 {
        let mut found = false;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let Ok(environment) = fs::read(entry.path().join("environ")) else {
                continue;
            };
            if environment
                .split(|b| *b == 0)
                .any(|pair| pair == wanted.as_slice())
                && let Some(pid) = Pid::from_raw(pid)
            {
                found = true;
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if !found {
            return;
        }
    }
}

/// Ends what an earlier process of this runner left.
pub(crate) async fn clean(folder: &Path, client: &Client) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "json") {
            let _ = fs::remove_file(&path);
            continue;
        }
        let record: Json = fs::read_to_string(&path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        if let Some(mark) = record["mark"].as_str() {
            kill_marked(mark);
        }
        if let (Some(id), Some(token)) = (record["id"].as_i64(), record["token"].as_str()) {
            tracing::warn!(
                job = id,
                "a job of an earlier process is reported as failed"
            );
            let report = json!({"token": token, "state": "failed", "failure_reason": "runner_system_failure"});
            if client.finish(id, &report).await.is_err() {
                continue;
            }
        }
        let _ = fs::remove_file(&path);
    }
}
