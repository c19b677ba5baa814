//! What the seam promises: commit, roll back, retry, survive panics and callers that go away.

use footplate_store::{Db, Error, Topic, Tx, settings};

use crate::engines;

async fn value(db: &Db, key: &'static str) -> Option<String> {
    db.read(async move |tx: &mut Tx<'_>| settings::find(tx, key).await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_on_ok_and_rolls_back_on_err() {
    for fresh in engines::both().await {
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
async fn many_writers_lose_nothing() {
    for fresh in engines::both().await {
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
async fn a_panic_rolls_back_and_the_writer_lives() {
    for fresh in engines::both().await {
        let db = &fresh.db;
        let result: Result<(), Error> = db
            .write(async |tx: &mut Tx<'_>| {
                settings::put(tx, "p", "1").await?;
                panic!("planted");
            })
            .await;
        assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
        assert_eq!(value(db, "p").await, None);
        db.write(async |tx: &mut Tx<'_>| settings::put(tx, "p", "2").await)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_breaks_nothing_and_the_wake_comes() {
    for fresh in engines::both().await {
        let db = fresh.db.clone();
        let mut waiting = db.subscribe(Topic::Queue);
        let caller = tokio::spawn({
            let db = db.clone();
            async move {
                let _: Result<(), Error> = db
                    .write(async |tx: &mut Tx<'_>| {
                        tx.wake(Topic::Queue);
                        for n in 0..50 {
                            settings::put(tx, "gone", &n.to_string()).await?;
                        }
                        Ok(())
                    })
                    .await;
            }
        });
        tokio::task::yield_now().await;
        caller.abort();
        // Either the task was aborted before it began, or the transaction went on to its end and woke us.
        if caller.await.is_ok() || value(&db, "gone").await.is_some() {
            waiting.woken().await;
            assert_eq!(value(&db, "gone").await.as_deref(), Some("49"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_key_says_so() {
    for fresh in engines::both().await {
        let insert = async |tx: &mut Tx<'_>| {
            tx.query(footplate_store::sql!(
                "INSERT INTO instance_settings (key, value) VALUES ('k', 'v')"
            ))
            .execute()
            .await
        };
        fresh.db.write(insert).await.unwrap();
        assert!(matches!(fresh.db.write(insert).await, Err(Error::Taken(_))));
    }
}
