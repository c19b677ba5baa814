//! wrk, and what it prints.

use std::{process::Command, time::Duration};

use crate::Result;

/// Requests a second of `GET path` on 32 connections; anything but 2xx is an error.
pub(crate) fn gets(host: &str, path: &str, connections: u32, span: Duration) -> Result<f64> {
    let seconds = span.as_secs().max(1);
    let output = Command::new("wrk")
        .args([
            "-t2",
            "-H",
            &format!("PRIVATE-TOKEN: {}", crate::program::TOKEN),
        ])
        .arg(format!("-c{}", connections.max(2)))
        .arg(format!("-d{seconds}s"))
        // What is slow shall have a figure, too.
        .args(["--timeout", "60s"])
        .arg(format!("http://{host}{path}"))
        .output()
        .map_err(|error| format!("wrk: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk {path}: {text}").into());
    }
    text.lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("Requests/sec:")?
                .trim()
                .parse()
                .ok()
        })
        .ok_or_else(|| format!("wrk said: {text}").into())
}
