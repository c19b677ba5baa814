//! Registration and the queue (`runner-protocol.md §1`, `§2.2`, `§2.3`).

use std::io::Write as _;

use footplate_model::{JobId, ProjectId};
use footplate_store::{Topic, Tx, queue};
use footplate_testkit::{BOTH, Client, Engine, Outcome, ScriptedRunner, TestServer};
use serde_json::{Value, json};

use super::TWO;
use crate::events::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_comes_and_goes() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let runner = server.runner(&[]).await;
        let token = runner.token.clone();
        assert!(token.starts_with("glrt-") && token.len() >= 25, "{token}");
        let anonymous = Client::anonymous(&server.url);
        let body = json!({"token": token, "system_id": "s_one"});
        let verified = anonymous.post("/runners/verify", body).await.expect(200);
        assert_eq!(verified.header("content-type"), "application/json");
        let verified = verified.json();
        assert!(verified["id"].as_i64().unwrap() > 0, "register fails on 0");
        assert_eq!(verified["token"], json!(token));
        assert!(verified["token_expires_at"].is_null());
        // The headers of newer runners instead of the field; both and different is nobody.
        for (field, header, status) in [
            (None, Some(token.as_str()), 200),
            (Some(token.as_str()), Some(token.as_str()), 200),
            (Some(token.as_str()), Some("glrt-other"), 403),
            (None, None, 400),
        ] {
            let mut request = anonymous
                .request(reqwest::Method::POST, "/api/v4/runners/verify")
                .json(&field.map_or(json!({}), |token| json!({"token": token})));
            if let Some(header) = header {
                request = request.header("runner-token", header);
            }
            let answer = anonymous.send(request).await;
            assert_eq!(answer.status, status, "{field:?} {header:?}");
        }
        let leave = async |path: &str, body: Value| {
            let request = anonymous.request(reqwest::Method::DELETE, path);
            anonymous.send(request.json(&body)).await.status
        };
        let managers = "/api/v4/runners/managers";
        assert_eq!(leave(managers, json!({"token": token})).await, 400);
        let body = json!({"token": token, "system_id": "s_one"});
        assert_eq!(leave(managers, body.clone()).await, 204);
        assert_eq!(leave(managers, body.clone()).await, 404);
        let body = json!({"token": token});
        assert_eq!(leave("/api/v4/runners", body.clone()).await, 204);
        assert_eq!(leave("/api/v4/runners", body).await, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_token_tells_whether_to_look_again() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[]).await;
        let mut runner = server.runner(&[]).await;
        let first = runner.poll().await;
        let token = first.header("x-gitlab-last-update").to_owned();
        assert_eq!((first.status, token.len()), (204, 32));
        let same = runner.poll().await;
        assert_eq!(
            (same.status, same.header("x-gitlab-last-update")),
            (204, token.as_str())
        );
        server.commit(project, &[(".gitlab-ci.yml", TWO)]).await;
        server.settle().await;
        // Two jobs wait: two polls have them, both with the token of before.
        for _ in 0..2 {
            let taken = runner.poll().await;
            assert_eq!(taken.status, 201, "{}", taken.text());
            assert_eq!(taken.header("x-gitlab-last-update"), "");
        }
        let empty = runner.poll().await;
        assert_eq!(empty.status, 204);
        assert_ne!(empty.header("x-gitlab-last-update"), token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_runner_gets_nothing_but_a_token() {
    let server = TestServer::start().await;
    server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
    server.settle().await;
    let anonymous = Client::anonymous(&server.url);
    let registration = server.app().instance_registration_token().await.unwrap();
    for (paused, status) in [(true, 204), (false, 201)] {
        let body = json!({"token": registration, "run_untagged": true, "paused": paused});
        let made = anonymous.post("/runners", body).await.expect(201).json();
        let mut runner = ScriptedRunner::new(&anonymous, made["token"].as_str().unwrap());
        let answer = runner.poll().await;
        assert_eq!(answer.status, status);
        let token = answer.header("x-gitlab-last-update");
        assert_eq!(token.is_empty(), !paused, "{token}");
    }
}

/// A request that the server holds, on a connection of its own.
fn hold(server: &TestServer, body: &Value) -> std::net::TcpStream {
    let address = server.url.replace("http://", "");
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /api/v4/jobs/request HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_while_held_gets_no_job() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 60).await;
        let project = server.project("p", &[]).await;
        let mut runner = server.runner(&[]).await;
        runner.poll().await;
        let mut gone = server.runner(&[]).await;
        gone.poll().await;
        let held = hold(&server, &gone.request_body());
        drop(held);
        let woken = server
            .app()
            .db()
            .subscribe(Topic::Project(ProjectId(project)));
        server
            .commit(project, &[(".gitlab-ci.yml", "a: {script: [x]}")])
            .await;
        let jobs = format!("/projects/{project}/jobs");
        until(woken, async || {
            let jobs = server.root.get(&jobs).await.json();
            match jobs[0]["status"] == "pending" {
                true => Ok(()),
                false => Err(jobs),
            }
        })
        .await;
        assert_eq!(runner.take().await.as_deref(), Some("a"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_accepted_goes_to_another() {
    for engine in BOTH {
        let server =
            TestServer::with(engine, |config| config.runners.unacknowledged_seconds = 0).await;
        let project = server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
        server.settle().await;
        let (mut first, mut second) = (server.runner(&[]).await, server.runner(&[]).await);
        let (lost, kept) = (first.take().await.unwrap(), first.take().await.unwrap());
        let (old, accepted) = (first.job(&lost).clone(), first.job(&kept).clone());
        let running = json!({"state": "running"});
        first.update(&accepted, running.clone()).await.expect(200);
        server.app().sweep().await.unwrap();
        server.settle().await;
        assert_eq!(second.take_all().await, [lost.as_str()]);
        let again = second.job(&lost).clone();
        assert_eq!(again.id, old.id);
        assert_ne!(again.token, old.token);
        // Too late: nothing of the first runner reaches the job any more.
        assert_eq!(first.update(&old, running.clone()).await.status, 403);
        assert_eq!(first.patch_trace(&old, 0, b"x").await.status, 403);
        second.update(&again, running).await.expect(200);
        second.finish(&lost, Outcome::Success).await.expect(200);
        first.finish(&kept, Outcome::Success).await.expect(200);
        assert_eq!(server.pipeline(project).await["status"], "success");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_calls_is_not_lost_however_short_the_span() {
    let server = TestServer::with(Engine::Sqlite, |config| config.runners.silent_seconds = 0).await;
    server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    let (speaks, silent) = (runner.take().await.unwrap(), runner.take().await.unwrap());
    for name in [&speaks, &silent] {
        runner.trace(name, "begun\n").await.expect(202);
    }
    let list = async || {
        server
            .app()
            .db()
            .read(async |tx: &mut Tx<'_>| queue::list_running(tx).await)
            .await
            .unwrap()
    };
    let before = list().await;
    runner.trace(&speaks, "goes on\n").await.expect(202);
    let id = runner.job(&speaks).id;
    for (then, now) in before.iter().zip(&list().await) {
        assert_eq!(now.seen_at > then.seen_at, now.job_id.0 == id, "{now:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_a_taking_back_that_meet_do_not_both_win() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        server.project("p", &[(".gitlab-ci.yml", TWO)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        let (called, back) = (runner.take().await.unwrap(), runner.take().await.unwrap());
        let (called, back) = (runner.job(&called).id, runner.job(&back).id);
        let now = server.app().now();
        server
            .app()
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let running = queue::list_running(tx).await?;
                let find = |id: i64| running.iter().find(|it| it.job_id.0 == id).unwrap();
                // Each case as the loser finds it: what it read is not true any more.
                assert!(queue::touch_running(tx, find(called), now).await?);
                assert!(!queue::delete_unacked(tx, JobId(called)).await?);
                assert!(queue::delete_unacked(tx, JobId(back)).await?);
                assert!(!queue::touch_running(tx, find(back), now).await?);
                Ok::<_, footplate_store::Error>(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_take_turns_even_when_many_ask_at_once() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let four = "a: {script: [x]}\nb: {script: [x]}\nc: {script: [x]}\nd: {script: [x]}\n";
        let first = server.project("first", &[(".gitlab-ci.yml", four)]).await;
        let second = server.project("second", &[(".gitlab-ci.yml", four)]).await;
        server.settle().await;
        // One project runs something already, so that the other has the next turn.
        let mut alone = server.runner(&[]).await;
        assert_eq!(alone.poll().await.json()["job_info"]["project_id"], first);
        let mut asking = tokio::task::JoinSet::new();
        for machine in 0..5 {
            let mut runner = ScriptedRunner::new(&Client::anonymous(&server.url), &alone.token)
                .on_machine(&format!("s_{machine}"));
            asking
                .spawn(async move { runner.poll().await.json()["job_info"]["project_id"].clone() });
        }
        let mut taken = asking.join_all().await;
        taken.sort_by_key(Value::as_i64);
        let fair = [first, first, second, second, second].map(Value::from);
        assert_eq!(taken, fair);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_for_the_very_next_claim() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let five: String = ('a'..='f')
            .map(|name| format!("{name}: {{script: [x]}}\n"))
            .collect();
        let project = server.project("p", &[(".gitlab-ci.yml", &five)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        let path = format!("/projects/{project}/variables");
        let value = |job: &Value| {
            let list = job["variables"].as_array().unwrap().iter();
            let mut found = list.filter(|variable| variable["key"] == "LEVEL");
            found.next_back().map(|found| found["value"].clone())
        };
        assert_eq!(value(&runner.poll().await.json()), None);
        let body = json!({"key": "LEVEL", "value": "one"});
        server.root.post(&path, body).await.expect(201);
        assert_eq!(value(&runner.poll().await.json()), Some(json!("one")));
        let path = format!("{path}/LEVEL");
        server
            .root
            .put(&path, json!({"value": "two"}))
            .await
            .expect(200);
        assert_eq!(value(&runner.poll().await.json()), Some(json!("two")));
        server.root.delete(&path).await.expect(204);
        assert_eq!(value(&runner.poll().await.json()), None);
        let off = json!({"builds_access_level": "disabled"});
        server
            .root
            .put(&format!("/projects/{project}"), off)
            .await
            .expect(200);
        assert_eq!(
            runner.poll().await.status,
            204,
            "no job of a project without CI"
        );
        // A runner that is gone is not let in by what is kept of it.
        let body = json!({"token": runner.token});
        let leave =
            Client::anonymous(&server.url).request(reqwest::Method::DELETE, "/api/v4/runners");
        let left = Client::anonymous(&server.url).send(leave.json(&body)).await;
        assert_eq!(left.status, 204);
        assert_eq!(runner.poll().await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_between_two_claims_counts() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 0).await;
        let four = "a: {script: [x]}\nb: {script: [x]}\nc: {script: [x]}\nd: {script: [x]}\n";
        let project = server.project("p", &[(".gitlab-ci.yml", four)]).await;
        server.settle().await;
        let list = server
            .root
            .get(&format!("/projects/{project}/jobs"))
            .await
            .json();
        let id = |name: &str| {
            let mut jobs = list.as_array().unwrap().iter();
            jobs.find(|job| job["name"] == name).unwrap()["id"].clone()
        };
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.poll().await.json()["id"], id("a"));
        // The other jobs have been read along with the first, and their pipeline moves on after that.
        let act = async |job: &Value, what: &str| {
            let path = format!("/projects/{project}/jobs/{job}/{what}");
            server.root.post(&path, json!({})).await.expect(201).json()
        };
        act(&id("b"), "cancel").await;
        assert_eq!(runner.poll().await.json()["id"], id("c"));
        let again = act(&id("b"), "retry").await;
        assert_eq!(runner.poll().await.json()["id"], id("d"));
        assert_eq!(runner.poll().await.json()["id"], again["id"]);
        let pipeline = list[0]["pipeline"]["id"].clone();
        let path = format!("/projects/{project}/pipelines/{pipeline}");
        server
            .root
            .post(&format!("{path}/cancel"), json!({}))
            .await
            .expect(200);
        act(&id("a"), "retry").await;
        server.root.delete(&path).await.expect(204);
        assert_eq!(runner.poll().await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_that_are_erased_between_two_claims_are_missed() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 0).await;
        let config = "stages: [build, test]\n\
                      make: {stage: build, script: [x], artifacts: {paths: [a]}}\n\
                      b: {stage: test, script: [x]}\nc: {stage: test, script: [x]}\n";
        let project = server.project("p", &[(".gitlab-ci.yml", config)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.take().await.as_deref(), Some("make"));
        let uploaded = runner.upload("make", "archive", "zip", "a.zip", vec![9; 100]);
        assert_eq!(uploaded.await.status, 201);
        runner.finish("make", Outcome::Success).await;
        server.settle().await;
        assert_eq!(runner.take().await.as_deref(), Some("b"));
        // The other job has been read along with this one, and what it takes is gone after that.
        let make = runner.job("make").id;
        let path = format!("/projects/{project}/jobs");
        let erase = format!("{path}/{make}/erase");
        server.root.post(&erase, json!({})).await.expect(201);
        assert_eq!(runner.take().await, None);
        let list = server.root.get(&path).await.json();
        let mut jobs = list.as_array().unwrap().iter();
        let last = jobs.find(|job| job["name"] == "c").unwrap();
        assert_eq!(last["failure_reason"], "missing_dependency_failure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_may_ask_at_once_than_one_look_offers() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 0).await;
        let many = "a: {script: [x], parallel: 150}\n";
        server.project("p", &[(".gitlab-ci.yml", many)]).await;
        server.settle().await;
        let one = server.runner(&[]).await;
        let mut asking = tokio::task::JoinSet::new();
        for machine in 0..150 {
            let mut runner = ScriptedRunner::new(&Client::anonymous(&server.url), &one.token)
                .on_machine(&format!("s_{machine}"));
            asking.spawn(async move { runner.poll().await.status });
        }
        let answers = asking.join_all().await;
        assert_eq!(answers, vec![201; 150], "a job for each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_a_feature_gets_what_comes_later_in_the_queue() {
    for engine in BOTH {
        let server = TestServer::with(engine, |config| config.runners.hold_seconds = 0).await;
        let demanding = "a: {script: [x], allow_failure: {exit_codes: 3}}\n";
        for name in ["one", "two", "three"] {
            server.project(name, &[(".gitlab-ci.yml", demanding)]).await;
        }
        let plain = "a: {script: [x]}\nb: {script: [x]}\n";
        let last = server.project("last", &[(".gitlab-ci.yml", plain)]).await;
        server.settle().await;
        let token = server.runner(&[]).await.token;
        let client = Client::anonymous(&server.url);
        let mut asking = tokio::task::JoinSet::new();
        for machine in 0..4 {
            let body = json!({
                "token": token, "system_id": format!("s_{machine}"),
                "info": {"name": "old", "version": "10.0.0", "executor": "shell", "features": {}},
            });
            let request = client.request(reqwest::Method::POST, "/api/v4/jobs/request");
            let (client, request) = (client.clone(), request.json(&body));
            asking.spawn(async move { client.send(request).await });
        }
        let mut taken: Vec<Option<i64>> = Vec::new();
        for answer in asking.join_all().await {
            taken.push(match answer.status {
                201 => answer.json()["job_info"]["project_id"].as_i64(),
                status => {
                    assert_eq!(status, 204);
                    None
                }
            });
        }
        taken.sort_unstable();
        assert_eq!(taken, [None, None, Some(last), Some(last)]);
        // The others are still there for a runner that can.
        let mut able = server.runner(&[]).await;
        for _ in 0..3 {
            assert_eq!(able.poll().await.status, 201);
        }
        assert_eq!(able.poll().await.status, 204);
    }
}
