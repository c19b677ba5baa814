//! The server is judged by what it has acknowledged.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;

use super::Load;

/// Looks for the end of everything, at most so often.
const LOOKS: usize = 3000;

async fn list(load: &Load, path: &str) -> Vec<Value> {
    let (mut all, mut page) = (Vec::new(), 1);
    loop {
        let path = format!("/projects/{}{path}per_page=100&page={page}", load.project);
        let body = load.root.get(&path).await.expect(200).json();
        let found = body.as_array().unwrap().clone();
        let last = found.len() < 100;
        all.extend(found);
        if last {
            return all;
        }
        page += 1;
    }
}

/// Waits until no pipeline is alive.
pub(super) async fn wait_for_the_end(load: &Load) {
    let alive = format!(
        "/projects/{}/jobs?scope[]=created&scope[]=pending&scope[]=running&scope[]=canceling&per_page=5",
        load.project
    );
    for _ in 0..LOOKS {
        let jobs = load.root.get(&alive).await.expect(200).json();
        if jobs == serde_json::json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let jobs = load.root.get(&alive).await.expect(200).json();
    panic!("jobs hang: {jobs:#}");
}

/// Compares what there is with what was acknowledged; the figures.
pub(super) async fn check(load: &Load) -> String {
    let pipelines = list(load, "/pipelines?").await;
    let jobs = list(load, "/jobs?include_retried=true&").await;
    let status: HashMap<i64, &str> = pipelines
        .iter()
        .map(|pipeline| (id(pipeline), text(pipeline, "status")))
        .collect();
    let books = load.ledger.write(std::mem::take);
    let mut faults = books.faults;
    for (pipeline, status) in &status {
        // A commit that asks for none has a pipeline that is skipped.
        if !["success", "failed", "canceled", "skipped"].contains(status) {
            faults.push(format!("pipeline {pipeline} hangs: {status}"));
        }
    }
    for pipeline in &books.pipelines {
        if !status.contains_key(pipeline) {
            faults.push(format!("pipeline {pipeline} is lost"));
        }
    }
    let mut by_push: HashMap<&str, usize> = HashMap::new();
    for pipeline in pipelines.iter().filter(|it| it["source"] == "push") {
        *by_push.entry(text(pipeline, "sha")).or_default() += 1;
    }
    for sha in &books.pushed {
        if !by_push.contains_key(sha.as_str()) {
            faults.push(format!("the push of {sha} has no pipeline"));
        }
    }
    faults.extend(
        by_push
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(sha, count)| format!("the push of {sha} has {count} pipelines")),
    );
    faults.extend(
        books
            .taken
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(job, count)| format!("job {job} was taken {count} times")),
    );
    for job in &jobs {
        let (id, pipeline) = (id(job), job["pipeline"]["id"].as_i64().unwrap());
        let right = match text(job, "status") {
            "success" => books.taken.contains_key(&id),
            "failed" => {
                books.forsaken.contains(&id) && job["failure_reason"] == "runner_system_failure"
            }
            "canceled" => books.canceled.contains(&pipeline),
            "skipped" => status.get(&pipeline) != Some(&"success"),
            _ => false,
        };
        if !right || (books.succeeded.contains(&id) && job["status"] != "success") {
            faults.push(format!("job {id} ended wrongly: {job}"));
        }
    }
    for (job, sent) in &books.traces {
        let path = format!("/projects/{}/jobs/{job}/trace", load.project);
        let kept = load.root.get(&path).await.expect(200).body;
        // What was sent and not answered may be there too.
        if !kept.starts_with(sent) {
            faults.push(format!(
                "job {job}: {} bytes of trace, {} answered",
                kept.len(),
                sent.len()
            ));
        }
    }
    for (job, sent) in &books.uploads {
        let path = format!("/projects/{}/jobs/{job}/artifacts", load.project);
        let kept = load.root.get(&path).await;
        if kept.status != 200 || kept.body != *sent {
            faults.push(format!(
                "job {job}: the artifact is not the one that was answered"
            ));
        }
    }
    assert!(!books.succeeded.is_empty() && !books.pushed.is_empty() && !books.uploads.is_empty());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    format!(
        "{} pipelines ({} acknowledged, {} pushes), {} jobs ({} forsaken), {} traces, {} uploads",
        pipelines.len(),
        books.pipelines.len(),
        books.pushed.len(),
        books.taken.len(),
        books.forsaken.len(),
        books.traces.len(),
        books.uploads.len()
    )
}

fn id(of: &Value) -> i64 {
    of["id"].as_i64().unwrap()
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of[key].as_str().unwrap_or("")
}
