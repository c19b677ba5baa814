//! What the seam promises: commit, roll back, retry, survive panics and callers that go away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use footplate_model::ProjectId;
use footplate_store::{Db, Error, Topic, Tx, Value, settings, sql, testing};

async fn value(db: &Db, key: &'static str) -> Option<String> {
    db.read(async move |tx: &mut Tx<'_>| settings::find(tx, key).await)
        .await
        .unwrap()
}

/// Adds a setting that nobody waits for.
fn add(tx: &mut Tx<'_>, key: &str, value: impl Into<Value>) -> Result<(), Error> {
    tx.query(sql!(
        "INSERT INTO instance_settings (key, value) VALUES ($1, $2)"
    ))
    .bind(key)
    .bind(value)
    .later()
}

/// A use case that says when it has begun and then stands still until it is let go.
struct Held {
    begun: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

fn hold(db: &Db, key: &'static str) -> Held {
    let (begin, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let (db, wait) = (db.clone(), std::sync::Mutex::new(wait));
    let task = tokio::spawn(async move {
        db.write(async move |tx: &mut Tx<'_>| {
            tx.wake(Topic::Queue);
            settings::put(tx, key, "1").await?;
            let _ = begin.send(());
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
        .await
    });
    Held { begun, go, task }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_on_ok_and_rolls_back_on_err() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "a", "1").await)
            .await
            .unwrap();
        let refused: Result<(), Error> = db
            .write(async |tx: &mut Tx<'_>| {
                settings::put(tx, "a", "2").await?;
                Err(Error::NotFound("planted"))
            })
            .await;
        assert!(matches!(refused, Err(Error::NotFound("planted"))));
        assert_eq!(value(db, "a").await.as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_use_case_passes_through() {
    #[derive(Debug)]
    enum Mine {
        Refused(u32),
        Store,
    }
    impl From<Error> for Mine {
        fn from(_: Error) -> Self {
            Self::Store
        }
    }
    for fresh in testing::both().await.unwrap() {
        let refused: Result<(), Mine> = fresh
            .db
            .write(async |_: &mut Tx<'_>| Err(Mine::Refused(7)))
            .await;
        assert!(matches!(refused, Err(Mine::Refused(7))));
        let broken: Result<u64, Mine> = fresh
            .db
            .write(async |tx: &mut Tx<'_>| Ok(tx.query(sql!("nonsense")).execute().await?))
            .await;
        assert!(matches!(broken, Err(Mine::Store)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_nothing() {
    for fresh in testing::both().await.unwrap() {
        let db = fresh.db.clone();
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "n", "0").await)
            .await
            .unwrap();
        let writers: Vec<_> = (0..16)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let done: Result<(), Error> = db
                            .write(async |tx: &mut Tx<'_>| {
                                // Lock by writing, then read and write again.
                                settings::put(tx, "lock", "x").await?;
                                let n: i64 = settings::find(tx, "n")
                                    .await?
                                    .unwrap_or_default()
                                    .parse()
                                    .unwrap_or(0);
                                settings::put(tx, "n", &(n + 1).to_string()).await
                            })
                            .await;
                        done.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(value(&db, "n").await.as_deref(), Some("320"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn use_cases_that_wait_together_share_one_commit() {
    let fresh = testing::sqlite().await.unwrap();
    let db = &fresh.db;
    let before = db.written().unwrap();
    let held = hold(db, "first");
    held.begun.recv().unwrap();
    let mut others: Vec<_> = (0..30)
        .map(|number| {
            let write = {
                let db = db.clone();
                async move {
                    db.write(async move |tx: &mut Tx<'_>| {
                        settings::put(tx, &format!("other {number}"), "1").await?;
                        // Every third fails, and only it is rolled back.
                        if number % 3 == 0 {
                            return Err(Error::NotFound("planted"));
                        }
                        Ok(())
                    })
                    .await
                }
            };
            begin(write)
        })
        .collect();
    held.go.send(()).unwrap();
    held.task.await.unwrap().unwrap();
    for (number, other) in others.iter_mut().enumerate() {
        assert_eq!(other.await.is_err(), number % 3 == 0, "{number}");
    }
    let after = db.written().unwrap();
    assert_eq!(after.use_cases - before.use_cases, 31);
    assert_eq!(after.commits - before.commits, 1);
    assert_eq!(value(db, "other 3").await, None);
    assert_eq!(value(db, "other 4").await.as_deref(), Some("1"));
}

/// Polls a future once, which hands its use case to the writer.
fn begin<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    future
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_rolls_back_and_the_writer_lives() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let result: Result<(), Error> = db
            .write(async |tx: &mut Tx<'_>| {
                settings::put(tx, "p", "1").await?;
                panic!("planted");
            })
            .await;
        assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
        let read: Result<(), Error> = db.read(async |_: &mut Tx<'_>| panic!("planted")).await;
        assert!(matches!(read, Err(Error::Panicked)), "{read:?}");
        assert_eq!(value(db, "p").await, None);
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "p", "2").await)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_who_goes_away_breaks_nothing_and_the_wake_comes() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let mut waiting = db.subscribe(Topic::Queue);
        let mut elsewhere = db.subscribe(Topic::Project(ProjectId(1)));
        let held = hold(db, "gone");
        held.begun.recv().unwrap();
        held.task.abort();
        assert!(held.task.await.unwrap_err().is_cancelled());
        assert!(!woken_now(&mut waiting).await, "woken before the commit");
        held.go.send(()).unwrap();
        waiting.woken().await;
        assert_eq!(value(db, "gone").await.as_deref(), Some("1"));
        assert!(!woken_now(&mut elsewhere).await);
    }
}

async fn woken_now(subscription: &mut footplate_store::Subscription) -> bool {
    tokio::time::timeout(Duration::ZERO, subscription.woken())
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_use_case_wakes_nobody() {
    for fresh in testing::both().await.unwrap() {
        let mut waiting = fresh.db.subscribe(Topic::Tasks);
        let refused: Result<(), Error> = fresh
            .db
            .write(async |tx: &mut Tx<'_>| {
                tx.wake(Topic::Tasks);
                Err(Error::NotFound("planted"))
            })
            .await;
        assert!(refused.is_err());
        assert!(!woken_now(&mut waiting).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deadlocked_use_cases_are_run_again() {
    let fresh = testing::postgres().await.unwrap();
    let db = &fresh.db;
    for key in ["x", "y"] {
        db.write(async move |tx: &mut Tx<'_>| settings::put(tx, key, "0").await)
            .await
            .unwrap();
    }
    let (runs, met) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(tokio::sync::Barrier::new(2)),
    );
    let crossing = |first: &'static str, second: &'static str| {
        let (db, runs, met) = (db.clone(), Arc::clone(&runs), Arc::clone(&met));
        tokio::spawn(async move {
            db.write(async move |tx: &mut Tx<'_>| {
                settings::put(tx, first, "1").await?;
                if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                    met.wait().await;
                }
                settings::put(tx, second, "1").await
            })
            .await
        })
    };
    let (one, other) = (crossing("x", "y"), crossing("y", "x"));
    one.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert!(runs.load(Ordering::SeqCst) >= 3, "no deadlock was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_refusal_is_not_committed_over() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let result: Result<(), Error> = db
            .write(async |tx: &mut Tx<'_>| {
                settings::put(tx, "s", "1").await?;
                let _ = tx.query(sql!("SELECT no_such_column")).execute().await;
                Ok(())
            })
            .await;
        assert!(matches!(result, Err(Error::Engine(_))), "{result:?}");
        assert_eq!(value(db, "s").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_cannot_write_and_sees_one_state() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let result = db
            .read(async |tx: &mut Tx<'_>| settings::put(tx, "r", "1").await)
            .await;
        assert!(matches!(result, Err(Error::ReadOnly(_))), "{result:?}");
        // Another writes between two statements of one read; the second statement does not see it.
        let (first, written) = (std::sync::Mutex::new(None), std::sync::Mutex::new(None));
        let (begin, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        *first.lock().unwrap() = Some(begin);
        *written.lock().unwrap() = Some(wait);
        let reader = tokio::spawn({
            let db = db.clone();
            async move {
                db.read(async move |tx: &mut Tx<'_>| {
                    let before = settings::find(tx, "r").await?;
                    let _ = first.lock().unwrap().take().map(|begin| begin.send(()));
                    let _ = written.lock().unwrap().take().map(|wait| wait.recv());
                    Ok::<_, Error>((before, settings::find(tx, "r").await?))
                })
                .await
            }
        });
        tokio::task::spawn_blocking(move || begun.recv())
            .await
            .unwrap()
            .unwrap();
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "r", "1").await)
            .await
            .unwrap();
        go.send(()).unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), (None, None));
        assert_eq!(value(db, "r").await.as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_key_has_the_same_name_on_both_engines() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        db.write(async |tx: &mut Tx<'_>| {
            tx.query(sql!("INSERT INTO namespaces (name, path, full_path, full_name, visibility, created_at) VALUES ('n', 'n', 'n', 'n', 'private', $1)"))
                .bind(footplate_model::Timestamp::from_micros(0))
                .execute()
                .await?;
            tx.query(sql!("INSERT INTO instance_settings (key, value) VALUES ('k', 'v')")).execute().await
        })
        .await
        .unwrap();
        let key = db
            .write(async |tx: &mut Tx<'_>| {
                tx.query(sql!(
                    "INSERT INTO instance_settings (key, value) VALUES ('k', 'v')"
                ))
                .execute()
                .await
            })
            .await;
        assert!(
            matches!(&key, Err(Error::Taken(name)) if name == "instance_settings_pkey"),
            "{key:?}"
        );
        let path = db
            .write(async |tx: &mut Tx<'_>| {
                tx.query(sql!("INSERT INTO namespaces (name, path, full_path, full_name, visibility, created_at) VALUES ('n', 'n', 'N', 'n', 'private', $1)"))
                    .bind(footplate_model::Timestamp::from_micros(0))
                    .execute()
                    .await
            })
            .await;
        assert!(
            matches!(&path, Err(Error::Taken(name)) if name == "namespaces_full_path"),
            "{path:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_stand_in_any_order() {
    for fresh in testing::both().await.unwrap() {
        let changed = fresh
            .db
            .write(async |tx: &mut Tx<'_>| {
                settings::put(tx, "k", "old").await?;
                let sql = sql!("UPDATE instance_settings SET value = $2 WHERE key = $1");
                tx.query(sql).bind("k").bind("new").execute().await
            })
            .await
            .unwrap();
        assert_eq!(changed, 1);
        assert_eq!(value(&fresh.db, "k").await.as_deref(), Some("new"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_happens_in_its_turn() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let seen = db
            .write(async move |tx: &mut Tx<'_>| {
                add(tx, "a", "1")?;
                let before = tx
                    .query(sql!("SELECT value FROM instance_settings ORDER BY key"))
                    .ask(|row| row.get::<String>(0))?;
                tx.query(sql!(
                    "UPDATE instance_settings SET value = $2 WHERE key = $1"
                ))
                .bind("a")
                .bind("2")
                .later()?;
                let after = settings::find(tx, "a").await?;
                // Goes with the commit.
                add(tx, "b", "3")?;
                Ok::<_, Error>((before.all(tx).await?, after))
            })
            .await
            .unwrap();
        assert_eq!(seen, (vec!["1".to_owned()], Some("2".to_owned())));
        assert_eq!(value(db, "a").await.as_deref(), Some("2"));
        assert_eq!(value(db, "b").await.as_deref(), Some("3"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_what_nobody_waits_for_undoes_everything() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let twice = async |tx: &mut Tx<'_>| {
            settings::put(tx, "kept", "no").await?;
            for _ in 0..2 {
                add(tx, "a", "1")?;
            }
            Ok(())
        };
        let refused: Result<(), Error> = db.write(twice).await;
        assert!(
            matches!(&refused, Err(Error::Taken(key)) if key == "instance_settings_pkey"),
            "{refused:?}"
        );
        assert_eq!(value(db, "kept").await, None);
        // The next one on the same connection is not troubled by it.
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "kept", "yes").await)
            .await
            .unwrap();
        assert_eq!(value(db, "kept").await.as_deref(), Some("yes"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_waits_for_leave_the_transaction_whole() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        for _ in 0..50 {
            db.read(async |tx: &mut Tx<'_>| {
                let asked = tx
                    .query(sql!("SELECT key FROM instance_settings"))
                    .ask(|row| row.get::<String>(0))?;
                drop(asked);
                settings::find(tx, "a").await
            })
            .await
            .unwrap();
            db.write(async |tx: &mut Tx<'_>| settings::put(tx, "a", "1").await)
                .await
                .unwrap();
        }
        assert_eq!(value(db, "a").await.as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_even_be_sent_keeps_the_commit_back() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        let refused: Result<(), Error> = db
            .write(async |tx: &mut Tx<'_>| {
                for (key, value) in [
                    ("a", Value::from("1")),
                    ("b", Value::Bytes(vec![1])),
                    ("c", Value::from("3")),
                ] {
                    add(tx, key, value)?;
                }
                Ok(())
            })
            .await;
        assert!(refused.is_err(), "{}", fresh.place);
        for key in ["a", "b", "c"] {
            assert_eq!(value(db, key).await, None, "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_has_closed_are_replaced() {
    for fresh in testing::both().await.unwrap() {
        if !fresh.db.is_postgres() {
            continue;
        }
        let (other, connection) = tokio_postgres::connect(&fresh.place, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        for round in 0..20 {
            let written = round.to_string();
            let put = async |text: String| {
                fresh
                    .db
                    .write(async move |tx: &mut Tx<'_>| settings::put(tx, "round", &text).await)
                    .await
            };
            put(written.clone()).await.unwrap();
            other.batch_execute(close).await.unwrap();
            assert_eq!(value(&fresh.db, "round").await, Some(written.clone()));
            other.batch_execute(close).await.unwrap();
            put(written).await.unwrap();
        }
    }
}
