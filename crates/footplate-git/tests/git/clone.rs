//! Clone and fetch.

use footplate_model::PipelineId;

use crate::server::{Server, commit, git};

async fn server_with_history() -> (Server, Vec<String>) {
    let server = Server::start().await;
    let tree = server.work_tree("work").await;
    let mut ids = vec![git(&tree, &["rev-parse", "HEAD"]).await.ok()];
    for number in 0..5 {
        ids.push(commit(&tree, "n.txt", &number.to_string(), "More").await);
    }
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    (server, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_by_every_protocol_version() {
    let (server, ids) = server_with_history().await;
    for version in ["0", "1", "2"] {
        let name = format!("clone{version}");
        let setting = format!("protocol.version={version}");
        git(
            &server.path(""),
            &["-c", &setting, "clone", "-q", &server.url, &name],
        )
        .await
        .ok();
        let head = git(&server.path(&name), &["rev-parse", "HEAD"]).await.ok();
        assert_eq!(&head, ids.last().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_an_empty_repository() {
    let server = Server::start().await;
    git(&server.path(""), &["clone", "-q", &server.url, "empty"])
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn shallow_and_partial_clones() {
    let (server, ids) = server_with_history().await;
    git(
        &server.path(""),
        &["clone", "-q", "--depth", "2", &server.url, "shallow"],
    )
    .await
    .ok();
    let count = git(&server.path("shallow"), &["rev-list", "--count", "HEAD"])
        .await
        .ok();
    assert_eq!(count, "2");
    git(&server.path("shallow"), &["fetch", "-q", "--unshallow"])
        .await
        .ok();
    let count = git(&server.path("shallow"), &["rev-list", "--count", "HEAD"])
        .await
        .ok();
    assert_eq!(count, ids.len().to_string());
    git(
        &server.path(""),
        &["clone", "-q", "--filter=blob:none", &server.url, "partial"],
    )
    .await
    .ok();
    let old = git(
        &server.path("partial"),
        &["show", &format!("{}:n.txt", ids[2])],
    )
    .await
    .ok();
    assert_eq!(old, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_fetches_the_pipeline_ref() {
    let (server, ids) = server_with_history().await;
    let sha = ids[3].parse().unwrap();
    server
        .repository
        .write_pipeline_ref(PipelineId(7), &sha)
        .await
        .unwrap();
    for version in ["0", "2"] {
        let name = format!("job{version}");
        git(&server.path(""), &["init", "-q", &name]).await.ok();
        let folder = server.path(&name);
        let setting = format!("protocol.version={version}");
        let fetch = [
            "-c",
            &setting,
            "fetch",
            &server.url,
            "+refs/pipelines/7:refs/pipelines/7",
            "--depth",
            "20",
            "--prune",
            "--quiet",
        ];
        git(&folder, &fetch).await.ok();
        git(&folder, &["checkout", "-f", "-q", &ids[3]]).await.ok();
        // a commit by its id, as native clones of the runner ask for it
        git(
            &folder,
            &["-c", &setting, "fetch", "-q", &server.url, &ids[2]],
        )
        .await
        .ok();
    }
    server
        .repository
        .delete_pipeline_refs(&[PipelineId(7), PipelineId(8)])
        .await
        .unwrap();
    let left = server
        .repository
        .for_each_ref("refs/pipelines/")
        .await
        .unwrap();
    assert!(left.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_negotiation_comes_compressed() {
    let (server, _) = server_with_history().await;
    let tree = server.path("work");
    git(&server.path(""), &["clone", "-q", &server.url, "other"])
        .await
        .ok();
    let other = server.path("other");
    let new = commit(&other, "x", "x", "Theirs").await;
    git(&other, &["push", "-q", "origin", "main"]).await.ok();
    for number in 0..80 {
        commit(&tree, "n.txt", &format!("local {number}"), "Ours").await;
    }
    for version in ["0", "2"] {
        // without it the client knows at once what both have
        git(&tree, &["update-ref", "-d", "refs/remotes/origin/main"])
            .await
            .ok();
        let setting = format!("protocol.version={version}");
        git(&tree, &["-c", &setting, "fetch", "-q", "origin", "main"])
            .await
            .ok();
        let got = git(&tree, &["rev-parse", "FETCH_HEAD"]).await.ok();
        assert_eq!(got, new);
    }
    assert!(server.gzip_seen.load(std::sync::atomic::Ordering::Relaxed) > 0);
}
