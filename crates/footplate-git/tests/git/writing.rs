//! Commits, branches and tags made by the server.

use bytes::Bytes;
use footplate_git::{Action, Change, CommitFiles, Error, Person, Repository, Sha, Signature};
use footplate_model::{ProjectId, Timestamp};

use crate::server::{PROJECT, Server, git};

fn change(path: &str, action: Action) -> Change {
    Change {
        path: path.to_owned(),
        action,
        executable: None,
        last_commit: None,
    }
}

fn create(path: &str, content: &'static str) -> Change {
    change(path, Action::Create(Bytes::from_static(content.as_bytes())))
}

fn files(branch: &str, changes: Vec<Change>) -> CommitFiles {
    let person = Person {
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
    };
    CommitFiles {
        branch: branch.to_owned(),
        start: None,
        message: "Änderung".to_owned(),
        author: person.clone(),
        committer: person,
        time: Timestamp::from_seconds(1_700_000_000),
        changes,
    }
}

async fn text(repository: &Repository, revision: &str, path: &str) -> Option<String> {
    let commit = repository.resolve(revision).await.unwrap()?;
    let blob = repository.blob(&commit, path, 1 << 20).await.unwrap()?;
    Some(String::from_utf8(blob.data.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_on_an_empty_repository_and_further() {
    let server = Server::start().await;
    let repository = &server.repository;
    let first = files(
        "main",
        vec![
            create("a.txt", "one"),
            create("dir/b.txt", "two"),
            create("run", "#!"),
        ],
    );
    let update = repository.create_commit(&first).await.unwrap();
    assert!(update.is_create());
    let mut chmod = change("run", Action::Chmod);
    chmod.executable = Some(true);
    let second = files(
        "main",
        vec![
            change("a.txt", Action::Update(Bytes::from_static(b"uno"))),
            change(
                "c/d.txt",
                Action::Move {
                    from: "dir/b.txt".to_owned(),
                    content: None,
                },
            ),
            chmod,
            create("line\nbreak", "odd"),
        ],
    );
    let update = repository.create_commit(&second).await.unwrap();
    let commit = repository.commit(&update.new).await.unwrap().unwrap();
    assert_eq!(commit.parent_ids, std::slice::from_ref(&update.old));
    assert_eq!(commit.message, "Änderung");
    assert_eq!(text(repository, "main", "a.txt").await.unwrap(), "uno");
    assert_eq!(text(repository, "main", "c/d.txt").await.unwrap(), "two");
    assert_eq!(
        text(repository, "main", "line\nbreak").await.unwrap(),
        "odd"
    );
    assert!(text(repository, "main", "dir/b.txt").await.is_none());
    assert!(
        repository
            .file_info(&update.new, "run")
            .await
            .unwrap()
            .unwrap()
            .executable
    );
    git(repository.path(), &["fsck", "--strict"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_does_not_fit() {
    let server = Server::start().await;
    let repository = &server.repository;
    let base = files("main", vec![create("a", "x"), create("dir/b", "x")]);
    repository.create_commit(&base).await.unwrap();
    let refused = async |change: Change| {
        repository
            .create_commit(&files("main", vec![change]))
            .await
            .unwrap_err()
    };
    assert!(matches!(
        refused(create("a", "y")).await,
        Error::FileExists(_)
    ));
    assert!(matches!(
        refused(create("a/b", "y")).await,
        Error::FileExists(_)
    ));
    assert!(matches!(
        refused(create("dir", "y")).await,
        Error::DirectoryExists(_)
    ));
    assert!(matches!(
        refused(change("none", Action::Delete)).await,
        Error::NoFile(_)
    ));
    assert!(matches!(
        refused(create("../a", "y")).await,
        Error::InvalidPath(_)
    ));
    assert!(matches!(
        refused(create(".git/config", "y")).await,
        Error::InvalidPath(_)
    ));
    let missing = repository
        .create_commit(&files("other", vec![create("z", "z")]))
        .await
        .unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)));
    let nothing = repository
        .create_commit(&files("main", vec![]))
        .await
        .unwrap_err();
    assert!(matches!(nothing, Error::NothingToCommit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_become_a_file_and_back() {
    let server = Server::start().await;
    let repository = &server.repository;
    repository
        .create_commit(&files("main", vec![create("x/y", "1")]))
        .await
        .unwrap();
    let swap = files(
        "main",
        vec![change("x/y", Action::Delete), create("x", "2")],
    );
    repository.create_commit(&swap).await.unwrap();
    assert_eq!(text(repository, "main", "x").await.unwrap(), "2");
    let back = files(
        "main",
        vec![change("x", Action::Delete), create("x/y", "3")],
    );
    repository.create_commit(&back).await.unwrap();
    assert_eq!(text(repository, "main", "x/y").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_writers_lose() {
    let server = Server::start().await;
    let repository = &server.repository;
    let first = repository
        .create_commit(&files("main", vec![create("a", "1")]))
        .await
        .unwrap();
    let late = repository
        .prepare_commit(&files("main", vec![create("b", "1")]))
        .await
        .unwrap();
    let update = files(
        "main",
        vec![change("a", Action::Update(Bytes::from_static(b"2")))],
    );
    repository.create_commit(&update).await.unwrap();
    assert!(matches!(
        repository.update_ref(&late).await,
        Err(Error::RefChanged(_))
    ));
    let mut stale = change("a", Action::Update(Bytes::from_static(b"3")));
    stale.last_commit = Some(first.new);
    let refused = repository.create_commit(&files("main", vec![stale])).await;
    assert!(matches!(refused, Err(Error::FileChanged(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_branches_start_where_they_are_told() {
    let server = Server::start().await;
    let repository = &server.repository;
    let first = repository
        .create_commit(&files("main", vec![create("a", "1")]))
        .await
        .unwrap();
    repository
        .create_commit(&files("main", vec![create("b", "1")]))
        .await
        .unwrap();
    let mut topic = files("topic", vec![create("c", "1")]);
    topic.start = Some(first.new.to_string());
    let update = repository.create_commit(&topic).await.unwrap();
    assert!(update.is_create());
    assert!(text(repository, "topic", "b").await.is_none());
    assert!(matches!(
        repository.create_commit(&topic).await,
        Err(Error::RefExists(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_and_tags_come_and_go() {
    let server = Server::start().await;
    let repository = &server.repository;
    let first = repository
        .create_commit(&files("main", vec![create("a", "1")]))
        .await
        .unwrap();
    repository.create_branch("x/y", "main").await.unwrap();
    assert!(matches!(
        repository.create_branch("x/y", "main").await,
        Err(Error::RefExists(_))
    ));
    assert!(repository.create_branch("x", "main").await.is_err());
    assert!(matches!(
        repository.create_branch("a b", "main").await,
        Err(Error::InvalidRef(_))
    ));
    assert!(matches!(
        repository.create_branch("z", "nowhere").await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(
        repository.merged_branches(&first.new).await.unwrap().len(),
        2
    );
    repository.delete_branch("x/y").await.unwrap();
    assert!(matches!(
        repository.delete_branch("x/y").await,
        Err(Error::NotFound(_))
    ));
    let tagger = Signature {
        name: "T".to_owned(),
        email: "t@example.org".to_owned(),
        time: Timestamp::from_seconds(5),
        offset_minutes: 90,
    };
    repository.create_tag("v1", "main", None).await.unwrap();
    repository
        .create_tag("v2", "main", Some(("Second\n\nlong", &tagger)))
        .await
        .unwrap();
    let (tags, total) = repository.tags(|_| true, 0, 10).await.unwrap();
    assert_eq!((tags.len(), total), (2, 2));
    assert_eq!(tags[0].target, first.new);
    assert_eq!(tags[0].message, None);
    assert_eq!(tags[1].message.as_deref(), Some("Second\n\nlong"));
    assert_eq!(tags[1].tagger, Some(tagger));
    assert_eq!(tags[1].commit.as_ref().unwrap().id, first.new);
    assert_eq!(repository.tag("v2").await.unwrap().unwrap(), tags[1]);
    assert_eq!(repository.resolve("v2").await.unwrap(), Some(first.new));
    repository.delete_tag("v2").await.unwrap();
    assert!(repository.tag("v2").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_come_and_go_whole() {
    let server = Server::start().await;
    assert!(matches!(
        server.repositories.create(PROJECT, "main").await,
        Err(Error::RepositoryExists(_))
    ));
    let other = server
        .repositories
        .create(ProjectId(516), "trunk")
        .await
        .unwrap();
    assert_eq!(other.default_branch().await.unwrap(), "trunk");
    assert!(other.is_empty().await.unwrap());
    other.set_default_branch("develop").await.unwrap();
    assert_eq!(other.default_branch().await.unwrap(), "develop");
    assert!(server.repositories.delete(ProjectId(516)).await.unwrap());
    assert!(!server.repositories.delete(ProjectId(516)).await.unwrap());
    assert!(!other.exists().await);
    assert!(matches!(
        other.resolve("main").await,
        Err(Error::NoRepository(_))
    ));
    assert!(matches!(
        server.repositories.create(ProjectId(9), "a..b").await,
        Err(Error::InvalidRef(_))
    ));
    let update = footplate_git::RefUpdate {
        name: "refs/heads/x".to_owned(),
        old: Sha::zero(),
        new: "1".repeat(40).parse().unwrap(),
    };
    let nothing = server.repository.update_ref(&update).await;
    assert!(matches!(nothing, Err(Error::NotFound(_))));
}
