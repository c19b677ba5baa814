//! Waiting for what the server tells: no pause, no guess.

use std::time::Duration;

use footplate_model::{JobId, ProjectId};
use footplate_store::{Subscription, Topic};
use footplate_testkit::TestServer;
use serde_json::Value;

/// Nothing that is waited for takes so long; a test that waits longer fails with what it saw last.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks after every wake-up until the answer is there.
pub(crate) async fn until<T>(
    mut woken: Subscription,
    look: impl AsyncFn() -> Result<T, Value>,
) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = match look().await {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        let waited = tokio::time::timeout_at(end, woken.woken()).await;
        assert!(waited.is_ok(), "waited in vain, last seen: {seen}");
    }
}

fn with_status(found: Value, status: &str) -> Result<Value, Value> {
    match found["status"] == status {
        true => Ok(found),
        false => Err(found),
    }
}

/// The job, as soon as it has this status.
pub(crate) async fn until_job(server: &TestServer, project: i64, id: i64, status: &str) -> Value {
    let woken = server.app().db().subscribe(Topic::Job(JobId(id)));
    let path = format!("/projects/{project}/jobs/{id}");
    until(woken, async || {
        with_status(server.root.get(&path).await.expect(200).json(), status)
    })
    .await
}

/// The newest pipeline of a project, as soon as it has this status.
pub(crate) async fn until_pipeline(server: &TestServer, project: i64, status: &str) -> Value {
    let woken = server
        .app()
        .db()
        .subscribe(Topic::Project(ProjectId(project)));
    let path = format!("/projects/{project}/pipelines?per_page=1");
    until(woken, async || {
        let list = server.root.get(&path).await.expect(200).json();
        with_status(list[0].clone(), status)
    })
    .await
}
