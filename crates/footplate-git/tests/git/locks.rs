//! Locks of references that a killed git has left.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use footplate_git::{Action, Change, CommitFiles, Error, GitRef, Person, RefUpdate, Sha};
use footplate_model::{PipelineId, Timestamp};

use crate::server::Server;

async fn commit(server: &Server) -> Sha {
    let person = Person {
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
    };
    let files = CommitFiles {
        branch: "main".to_owned(),
        start: None,
        message: "first".to_owned(),
        author: person.clone(),
        committer: person,
        time: Timestamp::from_seconds(1_700_000_000),
        changes: vec![Change {
            path: "a".to_owned(),
            action: Action::Create(bytes::Bytes::from_static(b"x")),
            executable: None,
            last_commit: None,
        }],
    };
    server.repository.create_commit(&files).await.unwrap().new
}

fn lock(server: &Server, name: &str, age: Duration) {
    let path = server.repository.path().join(format!("{name}.lock"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_lock_is_taken_away_and_a_young_one_respected() {
    let server = Server::start().await;
    let repository = &server.repository;
    let sha = commit(&server).await;
    let hour = Duration::from_secs(3600);
    for (name, age, free) in [
        ("refs/pipelines/1", hour, true),
        ("refs/pipelines/2", Duration::ZERO, false),
    ] {
        lock(&server, name, age);
        let id = PipelineId(if free { 1 } else { 2 });
        let written = repository.write_pipeline_ref(id, &sha).await;
        assert_eq!(written.is_ok(), free, "{name}: {written:?}");
        let found = repository.find_ref(&GitRef::parse(name).unwrap()).await;
        assert_eq!(found.unwrap().is_some(), free);
    }
    let update = |name: &str| RefUpdate {
        name: name.to_owned(),
        old: Sha::parse(&"0".repeat(40)).unwrap(),
        new: sha.clone(),
    };
    lock(&server, "refs/heads/old", hour);
    repository
        .update_ref(&update("refs/heads/old"))
        .await
        .unwrap();
    lock(&server, "refs/heads/young", Duration::ZERO);
    let refused = repository.update_ref(&update("refs/heads/young")).await;
    assert!(matches!(refused, Err(Error::RefChanged(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_moves_a_reference_to_the_end_when_its_caller_goes_away() {
    let server = Server::start().await;
    let repository = &server.repository;
    let sha = commit(&server).await;
    for number in 1..=20 {
        let moving = repository.write_pipeline_ref(PipelineId(number), &sha);
        // Sometimes before git has started, sometimes while it holds the lock.
        let pause = Duration::from_millis(number as u64 / 2);
        let _ = tokio::time::timeout(pause, moving).await;
    }
    for number in 1..=20 {
        let name = GitRef::parse(&format!("refs/pipelines/{number}")).unwrap();
        while repository.find_ref(&name).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    }
}
