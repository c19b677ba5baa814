//! Cancelation in every state (`runner-protocol.md §5.1`, `§5.5`).

use footplate_testkit::{BOTH, Outcome, TestServer};
use serde_json::{Value, json};

async fn cancel(server: &TestServer, project: i64, job: i64) -> Value {
    let path = format!("/projects/{project}/jobs/{job}/cancel");
    server.root.post(&path, json!({})).await.expect(201).json()
}

async fn status(server: &TestServer, project: i64, job: i64) -> Value {
    let path = format!("/projects/{project}/jobs/{job}");
    server.root.get(&path).await.expect(200).json()["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_job_is_canceled_and_leaves_the_queue() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server
            .project("p", &[(".gitlab-ci.yml", "a: {script: [x]}")])
            .await;
        server.settle().await;
        let jobs = format!("/projects/{project}/jobs");
        let id = server.root.get(&jobs).await.json()[0]["id"]
            .as_i64()
            .unwrap();
        assert_eq!(cancel(&server, project, id).await["status"], "canceled");
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.take().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn success_while_canceling_is_canceled_and_so_is_silence() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.canceling_seconds = 0).await;
        let project = server.project("p", &[(".gitlab-ci.yml", super::TWO)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        let (ends, silent) = (runner.take().await.unwrap(), runner.take().await.unwrap());
        for name in [&ends, &silent] {
            let job = runner.job(name).clone();
            runner.patch_trace(&job, 0, b"x").await.expect(202);
            assert_eq!(
                cancel(&server, project, job.id).await["status"],
                "canceling"
            );
            let beat = runner.update(&job, json!({"state": "running"})).await;
            assert_eq!((beat.status, beat.header("job-status")), (200, "canceling"));
        }
        // Twice changes nothing.
        let id = runner.job(&ends).id;
        let path = format!("/projects/{project}/jobs/{id}/cancel");
        let again = server.root.post(&path, json!({})).await;
        assert!([201, 403].contains(&again.status), "{}", again.text());
        assert_eq!(status(&server, project, id).await, "canceling");
        let said = runner.finish(&ends, Outcome::Success).await;
        assert_eq!((said.status, said.header("job-status")), (200, "canceled"));
        assert_eq!(status(&server, project, id).await, "canceled");
        let id = runner.job(&silent).id;
        assert_eq!(status(&server, project, id).await, "canceling");
        server.app().sweep().await.unwrap();
        assert_eq!(status(&server, project, id).await, "canceled");
        assert_eq!(server.pipeline(project).await["status"], "canceled");
    }
}
