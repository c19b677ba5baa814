//! Runners and their machines (`rest-api.md §15.5`).

use footplate_model::{Runner, RunnerManager, RunnerType, Timestamp};
use serde_json::{Value as Json, json};

use super::time;

const ONLINE_SECONDS: f64 = 2.0 * 3600.0;
const STALE_SECONDS: f64 = 7.0 * 24.0 * 3600.0;

/// `online`, `offline`, `stale` or `never_contacted` (`runner-protocol.md §1.7`).
pub fn status(
    created_at: Timestamp,
    contacted_at: Option<Timestamp>,
    polled: bool,
    now: Timestamp,
) -> &'static str {
    let last = contacted_at.unwrap_or(created_at);
    if now.seconds_since(created_at) > STALE_SECONDS && now.seconds_since(last) > STALE_SECONDS {
        return "stale";
    }
    match contacted_at {
        Some(at) if polled && now.seconds_since(at) <= ONLINE_SECONDS => "online",
        Some(_) if polled => "offline",
        Some(_) | None => "never_contacted",
    }
}

/// A runner as lists and jobs show it.
pub fn runner(runner: &Runner, now: Timestamp) -> Json {
    let status = status(runner.created_at, runner.contacted_at, runner.polled, now);
    json!({
        "id": runner.id.0, "description": runner.description, "ip_address": null, "active": !runner.paused,
        "paused": runner.paused, "is_shared": runner.runner_type == RunnerType::Instance,
        "runner_type": runner.runner_type.as_str(), "name": "gitlab-runner", "online": status == "online",
        "created_by": null, "created_at": runner.created_at.to_string(), "status": status, "job_execution_status": "idle",
    })
}

/// A machine.
pub fn manager(manager: &RunnerManager, now: Timestamp) -> Json {
    json!({
        "id": manager.id.0, "system_id": manager.system_id, "version": manager.version, "revision": manager.revision,
        "platform": manager.platform, "architecture": manager.architecture, "created_at": manager.created_at.to_string(),
        "contacted_at": time(manager.contacted_at), "ip_address": manager.ip_address,
        "status": status(manager.created_at, manager.contacted_at, true, now), "job_execution_status": "idle",
    })
}
