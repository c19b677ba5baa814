//! Reading commits, trees, files and differences.

use std::path::PathBuf;

use footplate_git::{ArchiveFormat, ByteStream, CommitQuery, DiffLimits, EntryKind, Error, Sha};
use futures_util::StreamExt as _;

use crate::server::{Server, commit, git};

async fn all(mut stream: ByteStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

/// main: First, Second, merge of side; tag v1 at First.
async fn history() -> (Server, PathBuf, Vec<Sha>) {
    let server = Server::start().await;
    let tree = server.work_tree("work").await;
    let first = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    git(&tree, &["tag", "v1"]).await.ok();
    let second = commit(&tree, "src/lib.rs", "fn a() {}\n", "Second\n\nbody").await;
    git(&tree, &["checkout", "-q", "-b", "side", "v1"])
        .await
        .ok();
    let side = commit(&tree, "docs/ü x.md", "text\n", "Side").await;
    git(&tree, &["checkout", "-q", "main"]).await.ok();
    git(&tree, &["merge", "-q", "--no-ff", "-m", "Merge", "side"])
        .await
        .ok();
    let merge = git(&tree, &["rev-parse", "HEAD"]).await.ok();
    git(&tree, &["push", "-q", "origin", "main", "side", "v1"])
        .await
        .ok();
    let ids = [first, second, side, merge]
        .map(|id| id.parse().unwrap())
        .to_vec();
    (server, tree, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn resolves_names_and_abbreviations() {
    let (server, tree, ids) = history().await;
    let repository = &server.repository;
    for (text, id) in [
        ("main", &ids[3]),
        ("HEAD", &ids[3]),
        ("v1", &ids[0]),
        ("refs/heads/side", &ids[2]),
        ("main~1", &ids[1]),
        (&ids[2].as_str()[..8], &ids[2]),
        (ids[1].as_str(), &ids[1]),
    ] {
        assert_eq!(
            repository.resolve(text).await.unwrap().as_ref(),
            Some(id),
            "{text}"
        );
    }
    for text in [
        "nothing",
        "",
        "main:README.md",
        ":/First",
        "main..side",
        "-x",
        "main\nmain",
        &"0".repeat(40),
    ] {
        assert_eq!(repository.resolve(text).await.unwrap(), None, "{text:?}");
    }
    git(&tree, &["push", "-q", "origin", "main:refs/tags/side"])
        .await
        .ok();
    assert!(matches!(
        repository.resolve_ref("side").await,
        Err(Error::AmbiguousRef(_))
    ));
    assert_eq!(
        repository.resolve("side").await.unwrap().as_ref(),
        Some(&ids[2])
    );
    let (found, id) = repository
        .resolve_ref("refs/tags/side")
        .await
        .unwrap()
        .unwrap();
    assert!(found.is_tag());
    assert_eq!(id, ids[3]);
    assert!(
        repository
            .resolve_ref("refs/heads/none")
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        repository
            .resolve_ref("v1")
            .await
            .unwrap()
            .unwrap()
            .0
            .is_tag()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_commits() {
    let (server, _, ids) = history().await;
    let repository = &server.repository;
    let query = CommitQuery {
        from: vec![ids[3].clone()],
        limit: 10,
        ..CommitQuery::default()
    };
    let commits = repository.commits(&query).await.unwrap();
    assert_eq!(commits.len(), 4);
    assert_eq!(commits[0].title, "Merge");
    assert_eq!(commits[0].parent_ids, [ids[1].clone(), ids[2].clone()]);
    let second = commits.iter().find(|commit| commit.id == ids[1]).unwrap();
    assert_eq!(second.message, "Second\n\nbody\n");
    assert_eq!(second.author.iso8601(), "2023-11-15T00:13:20.000+02:00");
    assert_eq!(second.committer.name, "Bob");
    let with = async |change: fn(&mut CommitQuery)| {
        let mut query = query.clone();
        change(&mut query);
        repository.commit_ids(&query).await.unwrap().len()
    };
    assert_eq!(with(|query| query.first_parent = true).await, 3);
    assert_eq!(with(|query| query.path = Some("src".into())).await, 1);
    assert_eq!(with(|query| query.author = Some("ada@".into())).await, 4);
    assert_eq!(with(|query| query.author = Some("a.a".into())).await, 0);
    assert_eq!(with(|query| query.skip = 3).await, 1);
    assert_eq!(
        with(|query| (query.all, query.from) = (true, vec![])).await,
        4
    );
    assert_eq!(with(|query| query.from = vec![]).await, 0);
    let between = CommitQuery {
        exclude: vec![ids[2].clone()],
        ..query.clone()
    };
    assert_eq!(repository.count_commits(&between).await.unwrap(), 2);
    let stats = repository.commit_stats(&ids).await.unwrap();
    assert_eq!(stats[&ids[1]].additions, 1);
    assert_eq!(stats[&ids[3]].total(), 1);
    assert!(repository.is_ancestor(&ids[0], &ids[3]).await.unwrap());
    assert!(!repository.is_ancestor(&ids[3], &ids[0]).await.unwrap());
    assert_eq!(
        repository.merge_base(&ids[1..3]).await.unwrap().as_ref(),
        Some(&ids[0])
    );
    assert_eq!(repository.refs_containing(&ids[2]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_trees_and_files() {
    let (server, tree, ids) = history().await;
    let repository = &server.repository;
    let root = repository.tree(&ids[3], "", false).await.unwrap().unwrap();
    let names: Vec<&str> = root.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["README.md", "docs", "src"]);
    assert_eq!(root[1].kind, EntryKind::Tree);
    let all_entries = repository.tree(&ids[3], "", true).await.unwrap().unwrap();
    assert_eq!(all_entries.len(), 5);
    let docs = repository
        .tree(&ids[3], "docs", false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(docs[0].path, "docs/ü x.md");
    assert_eq!(
        repository
            .tree(&ids[3], "docs", true)
            .await
            .unwrap()
            .unwrap(),
        docs
    );
    assert!(
        repository
            .tree(&ids[3], "nothing", false)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        repository
            .tree(&ids[3], "README.md", false)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(repository.list_paths(&ids[3]).await.unwrap().len(), 3);
    assert!(
        repository
            .blob(&ids[3], "docs", 100)
            .await
            .unwrap()
            .is_none()
    );
    let blob = repository
        .blob(&ids[3], "docs/ü x.md", 100)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&blob.data[..], b"text\n");
    let (info, stream) = repository
        .blob_stream(&ids[3], "README.md")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(info.size, 6);
    assert_eq!(all(stream).await, b"hello\n");
    let paths = ["README.md".into(), "docs".into(), "no".into()];
    let last = repository.last_commits_for_paths(&ids[3], &paths).await;
    assert_eq!(
        last.unwrap(),
        [Some(ids[0].clone()), Some(ids[2].clone()), None]
    );
    drop(tree);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_changed() {
    let (server, tree, ids) = history().await;
    let repository = &server.repository;
    let changed = repository
        .changed_paths(&ids[1], &ids[3])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(changed, ["docs/ü x.md"]);
    let straight = repository
        .changed_paths(&ids[1], &ids[2])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(straight.len(), 2);
    let since = repository
        .changed_paths_since(&ids[1], &ids[2])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(since, ["docs/ü x.md"]);
    assert_eq!(
        repository
            .changed_paths(&Sha::zero(), &ids[0])
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        repository
            .changed_paths(&"9".repeat(40).parse().unwrap(), &ids[0])
            .await
            .unwrap(),
        None
    );
    git(&tree, &["mv", "README.md", "READ.md"]).await.ok();
    std::fs::write(tree.join("bin"), [0, 1, 2]).unwrap();
    git(&tree, &["rm", "-q", "src/lib.rs"]).await.ok();
    git(&tree, &["add", "-A"]).await.ok();
    let last: Sha = commit(&tree, "READ.md", "hello\n", "Moved")
        .await
        .parse()
        .unwrap();
    git(&tree, &["push", "-q", "origin", "main"]).await.ok();
    let names = repository
        .changed_paths(&ids[3], &last)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names, ["READ.md", "README.md", "bin", "src/lib.rs"]);
    let diff = repository
        .commit_diff(&last, DiffLimits::default())
        .await
        .unwrap();
    let moved = diff.files.iter().find(|file| file.renamed_file).unwrap();
    assert_eq!(
        (moved.old_path.as_str(), moved.new_path.as_str()),
        ("README.md", "READ.md")
    );
    let gone = diff.files.iter().find(|file| file.deleted_file).unwrap();
    assert_eq!(gone.diff, "@@ -1 +0,0 @@\n-fn a() {}\n");
    let binary = diff.files.iter().find(|file| file.new_file).unwrap();
    assert!(binary.diff.starts_with("Binary files"));
    let from_nothing = repository
        .diff(
            None,
            &ids[0],
            DiffLimits {
                files: 0,
                ..DiffLimits::default()
            },
        )
        .await
        .unwrap();
    assert!(from_nothing.overflow);
    let small = DiffLimits {
        file_bytes: 3,
        ..DiffLimits::default()
    };
    assert!(repository.diff(None, &ids[0], small).await.unwrap().files[0].too_large);
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_archives() {
    let (server, _, ids) = history().await;
    let repository = &server.repository;
    let zip = all(repository
        .archive(&ids[3], ArchiveFormat::Zip, "p-main", None)
        .await
        .unwrap())
    .await;
    assert!(zip.starts_with(b"PK"));
    let packed = all(repository
        .archive(&ids[3], ArchiveFormat::TarGz, "p-main", Some("src"))
        .await
        .unwrap())
    .await;
    assert!(packed.starts_with(&[0x1f, 0x8b]));
    let tar = all(repository
        .archive(&ids[3], ArchiveFormat::Tar, "p-main", Some("src"))
        .await
        .unwrap())
    .await;
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("p-main/src/lib.rs") && !text.contains("README"));
    let mut missing = repository
        .archive(&ids[3], ArchiveFormat::Zip, "p", Some("no"))
        .await
        .unwrap();
    assert!(missing.next().await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_at_once() {
    let (server, _, ids) = history().await;
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let (repository, id) = (server.repository.clone(), ids[3].clone());
        tasks.push(tokio::spawn(async move {
            repository
                .tree(&id, "src", false)
                .await
                .unwrap()
                .unwrap()
                .len()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
}
