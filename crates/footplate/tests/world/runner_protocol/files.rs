//! Artifacts on their way in and out (`runner-protocol.md §6`).

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use footplate_testkit::{Answer, BOTH, Client, Outcome, ScriptedRunner, TestServer};
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};

const CONFIG: &str = "
stages: [make, use]
make: {stage: make, script: [x]}
use: {stage: use, script: [x]}
";

struct Upload<'u> {
    client: &'u Client,
    id: i64,
    token: &'u str,
}

impl Upload<'_> {
    /// As the official runner does it: options in the query, no length.
    async fn chunked(&self, query: &str, bytes: Vec<u8>) -> Answer {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            bytes.chunks(1000).map(|piece| Ok(piece.to_vec())).collect();
        let body = Body::wrap_stream(futures_util::stream::iter(pieces));
        let form = Form::new().part("file", Part::stream(body).file_name("x.zip"));
        self.send(query, form).await
    }

    async fn send(&self, query: &str, form: Form) -> Answer {
        let path = format!("/api/v4/jobs/{}/artifacts{query}", self.id);
        let request = self.client.request(Method::POST, &path);
        let request = request.header("job-token", self.token).multipart(form);
        self.client.send(request).await
    }
}

fn member(name: &str, text: &str) -> Vec<u8> {
    let mut writer = GzBuilder::new()
        .filename(name)
        .write(Vec::new(), Compression::default());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

async fn begin(server: &TestServer) -> (i64, ScriptedRunner) {
    let project = server.project("p", &[(".gitlab-ci.yml", CONFIG)]).await;
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    assert_eq!(runner.take().await.as_deref(), Some("make"));
    (project, runner)
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_every_kind() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.limits.artifact_bytes = 50_000).await;
        let (project, mut runner) = begin(&server).await;
        let job = runner.job("make").clone();
        let client = Client::anonymous(&server.url);
        let upload = Upload {
            client: &client,
            id: job.id,
            token: &job.token,
        };
        let archive = "?artifact_format=zip&artifact_type=archive&expire_in=1+week";
        for (query, status) in [
            ("?artifact_type=unheard_of", 400),
            ("?artifact_format=rar", 400),
            ("?artifact_type=junit&artifact_format=raw", 400),
        ] {
            let answer = upload.chunked(query, vec![1; 10]).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.text());
        }
        assert_eq!(upload.chunked(archive, vec![2; 60_000]).await.status, 413);
        let foreign = Upload {
            token: "glcbt-other",
            ..upload
        };
        assert_eq!(foreign.chunked(archive, vec![2; 10]).await.status, 403);
        let kept = upload.chunked(archive, vec![3; 5000]).await.expect(201);
        assert_eq!(kept.text(), "201");
        assert_eq!(
            upload.chunked(archive, vec![3; 5000]).await.status,
            201,
            "the same again"
        );
        assert_eq!(
            upload.chunked(archive, vec![4; 5000]).await.status,
            400,
            "another"
        );
        // Other clients put the options into the form.
        let reports = [
            member("a.xml", "<testsuite name=\"a\"/>"),
            member("b.xml", "<testsuite name=\"b\"/>"),
        ]
        .concat();
        let form = Form::new()
            .text("artifact_format", "gzip")
            .text("artifact_type", "junit")
            .text("expire_in", "1 week")
            .part("file", Part::bytes(reports).file_name("junit.xml.gz"));
        assert_eq!(upload.send("", form).await.status, 201);
        let path = format!("/projects/{project}/jobs/{}", job.id);
        let shown = server.root.get(&path).await.expect(200).json();
        let mut kinds: Vec<&str> = shown["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["file_type"].as_str())
            .collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["archive", "junit"]);
        assert_eq!(shown["artifacts_file"]["size"], 5000);
        runner.finish("make", Outcome::Success).await.expect(200);
        assert_eq!(
            upload
                .chunked("?artifact_type=lsif&artifact_format=zip", vec![1; 10])
                .await
                .status,
            403
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dotenv_reports_are_read_and_bounded() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let (_, mut runner) = begin(&server).await;
        let job = runner.job("make").clone();
        let client = Client::anonymous(&server.url);
        let upload = Upload {
            client: &client,
            id: job.id,
            token: &job.token,
        };
        let query = "?artifact_format=gzip&artifact_type=dotenv";
        let many: String = (0..21).map(|number| format!("K{number}=v\n")).collect();
        // Little when compressed, much when not.
        let bomb = format!("A={}\n", "x".repeat(1 << 20));
        for wrong in [
            "no assignment\n",
            "A=1\n\nB=2\n",
            "A B=1\n",
            many.as_str(),
            bomb.as_str(),
        ] {
            let answer = upload.chunked(query, member(".env", wrong)).await;
            assert_eq!(answer.status, 400, "{}: {}", &wrong[..8], answer.text());
        }
        let noise: Vec<u8> = (0..6000u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        assert_eq!(upload.chunked(query, noise).await.status, 400);
        let right = "\u{feff}A = one \nB=$A\nA=two=2\n";
        upload
            .chunked(query, member(".env", right))
            .await
            .expect(201);
        runner.finish("make", Outcome::Success).await.expect(200);
        server.settle().await;
        assert_eq!(runner.take().await.as_deref(), Some("use"));
        let variables = runner.job("use").payload["variables"].clone();
        let value = |key: &str| {
            let found = variables
                .as_array()
                .unwrap()
                .iter()
                .rfind(|it| it["key"] == key);
            found.map(|it| it["value"].as_str().unwrap().to_owned())
        };
        assert_eq!(value("A").as_deref(), Some("two=2"));
        assert!(value("B").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_for_jobs_that_run() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let (_, mut runner) = begin(&server).await;
        let make = runner.job("make").clone();
        runner
            .upload("make", "archive", "zip", "a.zip", vec![9; 3000])
            .await
            .expect(201);
        runner.finish("make", Outcome::Success).await.expect(200);
        server.settle().await;
        assert_eq!(runner.take().await.as_deref(), Some("use"));
        let user = runner.job("use").clone();
        let dependency = &user.payload["dependencies"][0];
        assert_eq!(dependency["id"], make.id);
        assert_eq!(
            dependency["token"],
            user.token.as_str(),
            "the token of the job that runs"
        );
        assert_eq!(dependency["artifacts_file"]["filename"], "a.zip");
        assert_eq!(dependency["artifacts_file"]["size"], 3000);
        let get = async |id: i64, token: &str| {
            let client = Client::anonymous(&server.url).with_job_token(token);
            client
                .get(&format!("/jobs/{id}/artifacts?direct_download=true"))
                .await
        };
        assert_eq!(
            get(make.id, &user.token).await.expect(200).body,
            vec![9; 3000]
        );
        assert_eq!(get(user.id, &user.token).await.status, 404, "it has none");
        assert_eq!(get(make.id + 1000, &user.token).await.status, 403);
        assert_eq!(
            get(make.id, &make.token).await.status,
            401,
            "its job has ended"
        );
        assert_eq!(get(make.id, "").await.status, 401);
        runner.finish("use", Outcome::Success).await.expect(200);
        assert_eq!(get(make.id, &user.token).await.status, 401);
    }
}
