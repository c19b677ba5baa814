//! Where reads of SQLite should run (`docs/adr/0001-reads-of-sqlite-on-the-callers-thread.md`).

use std::{sync::Arc, time::Instant};

use footplate_model::JobId;
use footplate_store::{Db, Error, SqliteReads, Tx, jobs};

use crate::{Result, options::Options, program::Place, report::Report};

/// Callers at once.
const CALLERS: i64 = 32;

/// Reads of one job a second.
async fn rate(options: &Options, place: &Place, reads: SqliteReads) -> Result<f64> {
    let db = Arc::new(Db::open_sqlite_with(&place.file()?, reads).await?);
    let (began, span, newest) = (Instant::now(), options.span, options.jobs);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let db = db.clone();
        callers.spawn(async move {
            let mut count = 0_i64;
            while began.elapsed() < span {
                let id = JobId(1 + (caller * 7919 + count * 104_729) % newest);
                db.read(async move |tx: &mut Tx<'_>| jobs::find(tx, id).await)
                    .await?;
                count += 1;
            }
            Ok::<_, Error>(count)
        });
    }
    let mut sum = 0;
    while let Some(done) = callers.join_next().await {
        sum += done??;
    }
    Ok(sum as f64 / began.elapsed().as_secs_f64())
}

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("reads of SQLite");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut pairs = Vec::new();
    for _ in 0..options.rounds {
        pairs.push((
            runtime.block_on(rate(options, place, SqliteReads::CallersThread))?,
            runtime.block_on(rate(options, place, SqliteReads::OwnThreads))?,
        ));
    }
    report.pairs(
        "reads on the caller's thread ÷ own threads",
        &pairs,
        (1.0, 1.0),
        "reads/s",
    );
    Ok(())
}
