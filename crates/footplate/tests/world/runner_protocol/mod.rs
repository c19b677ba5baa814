//! What runners rely on (`runner-protocol.md §10`).

mod cancel;
mod files;
mod git;
mod payload;
mod queue;
mod report;
mod trace;

use footplate_testkit::{BOTH, Client, Engine, Outcome, TestServer};
use serde_json::json;

const TWO: &str = "a: {script: [x]}\nb: {script: [x]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn traces_take_only_what_fits() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        server
            .project("p", &[(".gitlab-ci.yml", "a: {script: [x]}")])
            .await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        runner.take().await.unwrap();
        let job = runner.job("a").clone();
        for (start, bytes, status, range) in [
            (0, "hello ", 202, "0-6"),
            (0, "hello ", 202, "0-6"),
            (3, "lo wor", 416, "0-6"),
            (9, "x", 416, "0-6"),
            (6, "world", 202, "0-11"),
        ] {
            let answer = runner.patch_trace(&job, start, bytes.as_bytes()).await;
            assert_eq!(
                (answer.status, answer.header("range")),
                (status, range),
                "{start} {bytes}"
            );
            assert_eq!(answer.header("job-status"), "running");
        }
        let wrong = runner.update(&job, json!({"state": "success", "output": {"checksum": "crc32:00000000", "bytesize": 11}})).await;
        assert_eq!(wrong.status, 412);
        assert_eq!(
            runner.patch_trace(&job, 0, b"hello world").await.status,
            202
        );
        let right = runner.update(&job, json!({"state": "success", "output": {"checksum": "crc32:0d4a1185", "bytesize": 11}})).await;
        assert_eq!(right.status, 200);
        assert_eq!(runner.patch_trace(&job, 11, b"late").await.status, 403);
        assert_eq!(
            runner
                .update(&job, json!({"state": "success"}))
                .await
                .status,
            403
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_to_one_runner() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
        server.settle().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let mut runner = server.runner(&[]).await;
            tasks.spawn(async move { runner.take().await });
        }
        let mut taken: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
        taken.sort();
        assert_eq!(taken, ["a", "b"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_wakes_up() {
    let server = TestServer::with(Engine::Sqlite, |config| config.runners.hold_seconds = 30).await;
    let project = server.project("p", &[]).await;
    let mut runner = server.runner(&[]).await;
    assert_eq!(runner.poll().await.status, 204);
    let waiting = tokio::spawn(async move { runner.poll().await });
    server
        .commit(project, &[(".gitlab-ci.yml", "a: {script: [x]}")])
        .await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_reaches_the_runner() {
    let server = TestServer::start().await;
    let project = server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
    server.settle().await;
    let mut graceful = server.runner(&[]).await;
    let mut abrupt = server.runner(&[]).await.abrupt();
    let (first, second) = (graceful.take().await.unwrap(), abrupt.take().await.unwrap());
    for (runner, name, status) in [
        (&graceful, &first, "canceling"),
        (&abrupt, &second, "canceled"),
    ] {
        let job = runner.job(name);
        let answer = server
            .root
            .post(
                &format!("/projects/{project}/jobs/{}/cancel", job.id),
                json!({}),
            )
            .await
            .expect(201)
            .json();
        assert_eq!(answer["status"], status);
        let said = runner.patch_trace(job, 0, b"x").await;
        assert_eq!(said.header("job-status"), status);
        assert_eq!(said.status, if status == "canceling" { 202 } else { 403 });
    }
    graceful
        .finish(&first, Outcome::Failed("job_canceled"))
        .await
        .expect(200);
    let job = server
        .root
        .get(&format!(
            "/projects/{project}/jobs/{}",
            graceful.job(&first).id
        ))
        .await
        .json();
    assert_eq!(job["status"], "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_tokens_are_forbidden() {
    let server = TestServer::start().await;
    let anonymous = Client::anonymous(&server.url);
    for (path, body, status) in [
        ("/runners/verify", json!({"token": "glrt-nothing"}), 403),
        ("/jobs/request", json!({"token": "glrt-nothing"}), 403),
        ("/jobs/request", json!({}), 400),
        ("/runners", json!({"token": "wrong"}), 403),
    ] {
        assert_eq!(anonymous.post(path, body).await.status, status, "{path}");
    }
    assert_eq!(
        anonymous
            .put("/jobs/1", json!({"token": "x", "state": "success"}))
            .await
            .status,
        403
    );
    let registration = server.app().instance_registration_token().await.unwrap();
    let made = anonymous
        .post(
            "/runners",
            json!({"token": registration, "tag_list": "a,b", "run_untagged": false}),
        )
        .await
        .expect(201)
        .json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(
        anonymous
            .post("/runners/verify", json!({"token": token}))
            .await
            .expect(200)
            .json()["id"],
        made["id"]
    );
    let fresh = anonymous
        .post(
            "/runners/reset_authentication_token",
            json!({"token": token}),
        )
        .await
        .expect(201)
        .json();
    anonymous
        .post("/runners/verify", json!({"token": token}))
        .await
        .expect(403);
    anonymous
        .post("/runners/verify", json!({"token": fresh["token"]}))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_tried_again_by_itself() {
    let server = TestServer::start().await;
    let config = "a: {script: [x], retry: 1}\nb: {script: [x], retry: {max: 2, when: runner_system_failure}}\n";
    let project = server.project("p", &[(".gitlab-ci.yml", config)]).await;
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    for expected in ["a", "b", "a"] {
        assert_eq!(runner.take().await.as_deref(), Some(expected));
        runner.finish(expected, Outcome::Exit(1)).await.expect(200);
    }
    assert_eq!(
        runner.take().await,
        None,
        "one more attempt of a, none of b"
    );
    assert_eq!(server.pipeline(project).await["status"], "failed");
}
