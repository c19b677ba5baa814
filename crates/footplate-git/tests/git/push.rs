//! Pushes.

use std::time::Duration;

use footplate_git::{Rejection, Sha};
use footplate_model::PipelineId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::server::{Server, Verdict, commit, git};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_reaches_the_server_with_its_options() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    let head = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    let ran = git(
        &tree,
        &[
            "push",
            "-o",
            "ci.skip",
            "-o",
            "ci.variable=A=b c",
            "origin",
            "main",
        ],
    )
    .await;
    assert!(ran.success, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("remote: pipeline #12 http://ci/12"),
        "{}",
        ran.stderr
    );
    let seen = server.pushes.recv().await.unwrap();
    assert_eq!(seen.commands.push_options, ["ci.skip", "ci.variable=A=b c"]);
    assert_eq!(seen.commands.updates[0].name, "refs/heads/main");
    assert!(seen.commands.updates[0].is_create());
    assert_eq!(seen.outcome.moved().next().unwrap().new.as_str(), head);
    assert_eq!(
        server
            .repository
            .resolve("main")
            .await
            .unwrap()
            .unwrap()
            .as_str(),
        head
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn force_push_delete_and_several_references() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    git(&tree, &["push", "-q", "origin", "main", "main:topic/a"])
        .await
        .ok();
    assert_eq!(
        server.pushes.recv().await.unwrap().outcome.moved().count(),
        2
    );
    git(&tree, &["commit", "-q", "--amend", "-m", "Other"])
        .await
        .ok();
    assert!(!git(&tree, &["push", "-q", "origin", "main"]).await.success);
    git(&tree, &["push", "-q", "--force", "origin", "main"])
        .await
        .ok();
    let seen = server.pushes.recv().await.unwrap();
    assert!(!seen.commands.updates[0].is_create());
    git(&tree, &["push", "-q", "origin", ":topic/a"]).await.ok();
    let seen = server.pushes.recv().await.unwrap();
    assert!(seen.commands.updates[0].is_delete());
    assert_eq!(seen.outcome.moved().count(), 1);
    assert!(server.repository.branch("topic/a").await.unwrap().is_none());
    // git keeps the default branch
    let ran = git(&tree, &["push", "origin", ":main"]).await;
    assert!(!ran.success);
    assert!(
        server.pushes.recv().await.unwrap().outcome.results[0]
            .result
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_refuses() {
    let server = Server::with_policy(|commands| {
        let rejection = Rejection {
            name: "refs/heads/main".to_owned(),
            reason: "protected branch".to_owned(),
        };
        assert!(commands.impossible.is_empty());
        Verdict::Refuse(
            "You may not push to main.".to_owned(),
            "pre-receive hook declined".to_owned(),
            vec![rejection],
        )
    })
    .await;
    let tree = server.work_tree("work").await;
    std::fs::write(tree.join("big"), vec![b'x'; 3 << 20]).unwrap();
    git(&tree, &["add", "big"]).await.ok();
    git(
        &tree,
        &["-c", "core.compression=0", "commit", "-q", "-m", "Big"],
    )
    .await
    .ok();
    for post_buffer in ["http.postBuffer=1048576", "http.postBuffer=104857600"] {
        let ran = git(
            &tree,
            &["-c", post_buffer, "push", "origin", "main", "main:other"],
        )
        .await;
        assert!(!ran.success);
        assert!(
            ran.stderr.contains("remote: You may not push to main."),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("main -> main (protected branch)"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr
                .contains("main -> other (pre-receive hook declined)"),
            "{}",
            ran.stderr
        );
    }
    assert!(server.repository.is_empty().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_of_several_megabytes() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    let mut state = 1u64;
    let noise: Vec<u8> = (0..6 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        })
        .collect();
    std::fs::write(tree.join("noise"), &noise).unwrap();
    git(&tree, &["add", "noise"]).await.ok();
    git(&tree, &["commit", "-q", "-m", "Noise"]).await.ok();
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    let seen = server.pushes.recv().await.unwrap();
    let head = seen.outcome.moved().next().unwrap().new.clone();
    let blob = server
        .repository
        .blob(&head, "noise", 1 << 30)
        .await
        .unwrap()
        .unwrap();
    assert!(blob.data == noise);
    assert!(server.repository.blob(&head, "noise", 1000).await.is_err());
    git(&server.path(""), &["clone", "-q", &server.url, "clone"])
        .await
        .ok();
    assert!(std::fs::read(server.path("clone").join("noise")).unwrap() == noise);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pushes_to_one_branch_have_one_winner() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    server.pushes.recv().await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..4 {
        let name = format!("c{number}");
        git(&server.path(""), &["clone", "-q", &server.url, &name])
            .await
            .ok();
        commit(&server.path(&name), "n", &number.to_string(), "Race").await;
    }
    for number in 0..4 {
        let path = server.path(&format!("c{number}"));
        tasks.push(tokio::spawn(async move {
            git(&path, &["push", "-q", "origin", "main"]).await.success
        }));
    }
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    let mut moved = 0;
    while let Ok(seen) = server.pushes.try_recv() {
        moved += seen.outcome.moved().count();
    }
    assert_eq!(moved, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_of_the_server_cannot_be_pushed() {
    let server = Server::start().await;
    let tree = server.work_tree("work").await;
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    let main = server.repository.resolve("main").await.unwrap().unwrap();
    server
        .repository
        .write_pipeline_ref(PipelineId(7), &main)
        .await
        .unwrap();
    commit(&tree, "x", "x", "x").await;
    for spec in [
        "main:refs/pipelines/7",
        "main:refs/pipelines/8",
        "main:refs/keep-around/x",
        ":refs/pipelines/7",
    ] {
        let ran = git(&tree, &["push", "--force", "origin", spec]).await;
        assert!(!ran.success, "{spec}");
    }
    let refs = server
        .repository
        .for_each_ref("refs/pipelines/")
        .await
        .unwrap();
    assert_eq!(refs.len(), 1);
    assert_eq!(refs[0].target, main);
}

/// A request written by hand, for names that git's own client would not send.
async fn post(server: &Server, body: &[u8]) -> String {
    let address = server
        .url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /p.git/git-receive-pack HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn command(old: &str, new: &str, name: &str) -> Vec<u8> {
    let line = format!("{old} {new} {name}\0report-status side-band-64k");
    format!("{:04x}{line}0000", line.len() + 4).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_move_nothing() {
    let server = Server::start().await;
    let tree = server.work_tree("work").await;
    let head = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    let zero = Sha::zero();
    let before = server.repository.for_each_ref("refs/").await.unwrap();
    for name in [
        "refs/heads/../../x",
        "refs/heads/--upload-pack=touch",
        "refs/heads/a b",
        "refs/heads/x.lock",
        "HEAD",
        "../x",
        "refs/heads/$(id)\u{7f}",
        "/etc/passwd",
        "refs/heads/",
        "refs/pipelines/1",
        "-x",
        "",
    ] {
        let answer = post(&server, &command(zero.as_str(), &head, name)).await;
        assert!(!answer.contains("ok refs"), "{name}: {answer}");
    }
    for body in [
        &b""[..],
        b"0000",
        b"zzzz",
        b"00",
        b"0005x0000",
        &[0xff; 300],
    ] {
        post(&server, body).await;
    }
    assert_eq!(
        server.repository.for_each_ref("refs/").await.unwrap(),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_lose_the_outcome() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    git(&tree, &["push", "-q", "origin", "main", "main:gone"])
        .await
        .ok();
    server.pushes.recv().await.unwrap();
    let head = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    let body = command(&head, Sha::zero().as_str(), "refs/heads/gone");
    let address = server
        .url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /p.git/git-receive-pack HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.readable().await.unwrap();
    drop(stream);
    let seen = tokio::time::timeout(Duration::from_secs(30), server.pushes.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.outcome.moved().count(), 1);
    assert!(server.repository.branch("gone").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_cut_moves_nothing() {
    let mut server = Server::start().await;
    let tree = server.work_tree("work").await;
    let head = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    let mut body = command(Sha::zero().as_str(), &head, "refs/heads/main");
    body.extend_from_slice(b"PACK\0\0\0\x02\0\0\0\x01");
    let answer = post(&server, &body).await;
    assert!(answer.contains("ng refs/heads/main"), "{answer}");
    let seen = server.pushes.recv().await.unwrap();
    assert!(seen.outcome.results[0].result.is_err());
    assert!(server.repository.is_empty().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_pushed_branch_becomes_the_default() {
    let server = Server::start().await;
    let tree = server.work_tree("work").await;
    git(&tree, &["push", "-q", "origin", "main:trunk"])
        .await
        .ok();
    assert_eq!(server.repository.default_branch().await.unwrap(), "main");
    let adopted = server.repository.adopt_default_branch().await.unwrap();
    assert_eq!(adopted.as_deref(), Some("trunk"));
    assert_eq!(
        server.repository.adopt_default_branch().await.unwrap(),
        None
    );
    server.repository.maintain().await.unwrap();
    assert!(server.repository.size().await.unwrap() > 0);
}
