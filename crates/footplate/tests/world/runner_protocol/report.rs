//! Final reports (`runner-protocol.md §4.6`).

use footplate_model::JobId;
use footplate_store::{Tx, jobs};
use footplate_testkit::{BOTH, TestServer};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_an_end_is_understood() {
    let config: String = ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .map(|name| format!("{name}: {{script: [x]}}\n"))
        .collect();
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[(".gitlab-ci.yml", &config)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        let reports: [(Value, &str, Value, Value); 7] = [
            (
                json!({"state": "success", "output": {}}),
                "success",
                Value::Null,
                Value::Null,
            ),
            (
                json!({"state": "success"}),
                "success",
                Value::Null,
                Value::Null,
            ),
            (
                json!({"state": "failed", "failure_reason": "script_failure", "exit_code": 7}),
                "failed",
                json!("script_failure"),
                json!(7),
            ),
            (
                json!({"state": "failed", "failure_reason": "never_heard_of", "exit_code": -5}),
                "failed",
                json!("unknown_failure"),
                json!(0),
            ),
            (
                json!({"state": "failed", "failure_reason": "job_execution_timeout", "exit_code": 99_999}),
                "failed",
                json!("job_execution_timeout"),
                json!(32_767),
            ),
            (
                json!({"state": "failed", "failure_reason": "runner_system_failure"}),
                "failed",
                json!("runner_system_failure"),
                Value::Null,
            ),
            (
                json!({"state": "failed", "failure_reason": ""}),
                "failed",
                json!("script_failure"),
                Value::Null,
            ),
        ];
        for (report, status, reason, exit_code) in reports {
            let name = runner.take().await.unwrap();
            let job = runner.job(&name).clone();
            let odd = runner.update(&job, json!({"state": "done"})).await;
            assert_eq!(odd.status, 400);
            let beat = runner.update(&job, json!({"state": "running"})).await;
            assert_eq!((beat.status, beat.header("job-status")), (200, "running"));
            let said = runner.update(&job, report.clone()).await;
            assert_eq!(
                (said.status, said.header("job-status")),
                (200, status),
                "{report}"
            );
            let again = runner.update(&job, report.clone()).await;
            assert_eq!((again.status, again.header("job-status")), (403, status));
            let path = format!("/projects/{project}/jobs/{}", job.id);
            let kept = server.root.get(&path).await.expect(200).json();
            assert_eq!(kept["failure_reason"], reason, "{report}");
            let id = JobId(job.id);
            let stored = server
                .app()
                .db()
                .read(async move |tx: &mut Tx<'_>| jobs::find(tx, id).await)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(json!(stored.exit_code), exit_code, "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_does_not_add_up_is_asked_for_twice_and_then_believed() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        server
            .project("p", &[(".gitlab-ci.yml", "a: {script: [x]}")])
            .await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        runner.take().await.unwrap();
        let job = runner.job("a").clone();
        runner.patch_trace(&job, 0, b"hello").await.expect(202);
        for report in [
            json!({"state": "success", "output": {"bytesize": 900}}),
            json!({"state": "success", "checksum": "crc32:00000001"}),
        ] {
            let asked = runner.update(&job, report).await;
            assert_eq!((asked.status, asked.header("job-status")), (412, "running"));
            let restart = runner.patch_trace(&job, 0, b"hello").await;
            assert_eq!((restart.status, restart.header("range")), (202, "0-5"));
        }
        let report =
            json!({"state": "success", "output": {"checksum": "crc32:00000001", "bytesize": 900}});
        assert_eq!(runner.update(&job, report).await.status, 200);
    }
}
