//! Pieces of traces (`runner-protocol.md §4.2` to `§4.4`).

use footplate_testkit::{BOTH, Client, Outcome, ScriptedRunner, TakenJob, TestServer};
use reqwest::Method;

async fn begin(server: &TestServer) -> (i64, ScriptedRunner, TakenJob) {
    let project = server
        .project("p", &[(".gitlab-ci.yml", "a: {script: [x]}")])
        .await;
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    runner.take().await.unwrap();
    let job = runner.job("a").clone();
    (project, runner, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_piece_of_this_trace_is_refused() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let (_, mut runner, job) = begin(&server).await;
        let client = Client::anonymous(&server.url);
        let send = async |id: i64, token: &str, range: Option<&str>| {
            let path = format!("/api/v4/jobs/{id}/trace");
            let mut request = client.request(Method::PATCH, &path).body("x");
            if let Some(range) = range {
                request = request.header("content-range", range);
            }
            let answer = client.send(request.header("job-token", token)).await;
            (answer.status, answer.header("job-status").to_owned())
        };
        for (token, range, status) in [
            (job.token.as_str(), None, 400),
            (job.token.as_str(), Some("nonsense"), 400),
            ("glcbt-other", Some("0-0"), 403),
            ("", Some("0-0"), 403),
        ] {
            let answer = send(job.id, token, range).await;
            assert_eq!(answer.0, status, "{token} {range:?}");
        }
        let unknown = send(job.id + 1000, &job.token, Some("0-0")).await;
        assert_eq!(unknown, (403, String::new()), "never 404");
        // Other clients write a unit, a total, or another end: only the start and the length count.
        assert_eq!(
            send(job.id, &job.token, Some("bytes 0-99/100")).await.0,
            202
        );
        assert_eq!(send(job.id, &job.token, Some("1-1/2")).await.0, 202);
        let restart = runner.patch_trace(&job, 0, b"other").await;
        assert_eq!((restart.status, restart.header("range")), (416, "0-2"));
        runner.finish("a", Outcome::Exit(1)).await.expect(200);
        let late = send(job.id, &job.token, Some("2-2")).await;
        assert_eq!(late, (403, "failed".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_and_split_characters() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let (project, mut runner, job) = begin(&server).await;
        // Every second byte ends in the middle of a character, and so does every piece.
        let text = "é".repeat((1 << 20) / 2 + 700);
        let bytes = text.as_bytes();
        let cut = (1 << 20) - 1;
        assert_eq!(runner.patch_trace(&job, 0, &bytes[..cut]).await.status, 202);
        let rest = &bytes[cut..];
        let odd = runner.patch_trace(&job, cut, &rest[..3]).await;
        assert_eq!(odd.header("range"), format!("0-{}", cut + 3));
        assert_eq!(
            runner.patch_trace(&job, cut + 3, &rest[3..]).await.status,
            202
        );
        let large = vec![b'x'; (1 << 20) + (80 << 10)];
        assert_eq!(
            runner.patch_trace(&job, bytes.len(), &large).await.status,
            413
        );
        runner.finish("a", Outcome::Success).await.expect(200);
        let path = format!("/projects/{project}/jobs/{}/trace", job.id);
        assert!(server.root.get(&path).await.expect(200).body == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_grows_too_large_ends_its_job() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.limits.trace_bytes = 1000).await;
        let (project, runner, job) = begin(&server).await;
        assert_eq!(runner.patch_trace(&job, 0, &[b'x'; 900]).await.status, 202);
        let beyond = runner.patch_trace(&job, 900, &[b'x'; 200]).await;
        assert_eq!(beyond.status, 403);
        assert_eq!(beyond.header("job-status"), "failed");
        let path = format!("/projects/{project}/jobs/{}", job.id);
        let ended = server.root.get(&path).await.expect(200).json();
        assert_eq!(ended["failure_reason"], "trace_size_exceeded");
    }
}
