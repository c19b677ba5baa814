//! `jobs/request` that ends in 201, against the barest loop of durable claims on the same engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Result,
    http::{self, Connection},
    options::Options,
    program::{Place, Running},
    report::Report,
    seed,
};

/// Runners that ask at once.
const RUNNERS: usize = 8;
/// After its start the program looks at pipelines that were alive before: that is over when the rounds begin.
const WARM_UP: Duration = Duration::from_millis(1500);
/// Claims a second that no program here reaches.
const FASTEST: f64 = 8000.0;
/// Rows of the yardstick's queue.
const ROWS: i64 = 100_000;
/// As many connections as for lists: the yardstick keeps eight connections of the database busy, and so many requests in flight do the same.
const FLEET: usize = 32;
const POSTGRES: &str = "claim on PostgreSQL ÷ raw SKIP LOCKED loop";
const POSTGRES_LIMITS: (f64, f64) = (0.4, 0.6);
/// With few runners claims wait for each other's way and for the disk rather than for the processor.
const POSTGRES_FEW: &str = "… with 8 runners instead of 32";

/// The body of a request for work.
pub(crate) fn ask(token: &str, system_id: &str) -> Vec<u8> {
    json!({
        "token": token, "system_id": system_id,
        "info": {"name": "bench", "version": "17.0.0", "revision": "0", "platform": "linux", "architecture": "amd64", "executor": "shell",
                 "features": {"refspecs": true, "multi_build_steps": true, "return_exit_code": true, "cancelable": true}},
    })
    .to_string()
    .into_bytes()
}

/// Claims a second over HTTP.
fn claims(program: &Running, token: &str, runners: usize, span: Duration) -> Result<f64> {
    let empty = Arc::new(AtomicUsize::new(0));
    let rate = http::load(runners, span, |number| {
        let mut connection = Connection::open(&program.host)?;
        let body = ask(token, &format!("s_bench{number}"));
        let empty = empty.clone();
        Ok(move || {
            let headers = [("content-type", "application/json")];
            let answer = connection.call("POST", "/api/v4/jobs/request", &headers, &body)?;
            if answer.status == 204 {
                empty.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            answer.expect(201).map(drop)
        })
    })?;
    match empty.load(Ordering::Relaxed) {
        0 => Ok(rate),
        empty => Err(format!("{empty} requests found no job: the queue ran dry").into()),
    }
}

/// One claim per durable commit, one after the other.
fn raw_sqlite(span: Duration) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let connection = rusqlite::Connection::open(folder.path().join("raw.db"))?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE q (id INTEGER PRIMARY KEY, status TEXT NOT NULL, payload TEXT NOT NULL) STRICT; \
         CREATE INDEX q_pending ON q (id) WHERE status = 'pending'; \
         INSERT INTO q WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS}) SELECT n, 'pending', 'a job' FROM n;"
    ))?;
    let mut claim = connection.prepare(
        "UPDATE q SET status = 'running' WHERE id = (SELECT id FROM q WHERE status = 'pending' ORDER BY id LIMIT 1) RETURNING id",
    )?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < span && i64::from(count) < ROWS {
        let _: i64 = claim.query_row([], |row| row.get(0))?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// The same on PostgreSQL, on eight connections.
fn raw_postgres(url: &str, span: Duration) -> Result<f64> {
    seed::postgres(url, &[
        "DROP TABLE IF EXISTS bench_queue".to_owned(),
        "CREATE TABLE bench_queue (id BIGINT PRIMARY KEY, status TEXT NOT NULL, payload TEXT NOT NULL)".to_owned(),
        format!("INSERT INTO bench_queue SELECT n, 'pending', 'a job' FROM generate_series(1, {ROWS}) n"),
        "CREATE INDEX bench_queue_pending ON bench_queue (id) WHERE status = 'pending'".to_owned(),
        "ANALYZE bench_queue".to_owned(),
    ])?;
    let rate = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let began = Instant::now();
            let mut workers = tokio::task::JoinSet::new();
            for _ in 0..RUNNERS {
                let url = url.to_owned();
                workers.spawn(async move {
                    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
                    tokio::spawn(connection);
                    let claim = client.prepare(
                        "UPDATE bench_queue SET status = 'running' WHERE id = (SELECT id FROM bench_queue WHERE status = 'pending' ORDER BY id \
                         FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING id",
                    ).await?;
                    let mut count = 0_u64;
                    while began.elapsed() < span {
                        client.query_one(&claim, &[]).await?;
                        count += 1;
                    }
                    Ok::<_, tokio_postgres::Error>(count)
                });
            }
            let mut sum = 0;
            while let Some(done) = workers.join_next().await {
                sum += done??;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sum as f64 / began.elapsed().as_secs_f64())
        })?;
    seed::postgres(url, &["DROP TABLE bench_queue".to_owned()])?;
    Ok(rate)
}

/// Rounds end before the queue is empty: all of them together, those that are not counted as well.
fn span(options: &Options) -> Duration {
    let rounds = 2.0 * options.rounds as f64 + 1.0;
    let lasts = seed::waiting_jobs(options) as f64 / FASTEST / rounds;
    options.span.min(Duration::from_secs_f64(lasts))
}

pub(crate) fn on_sqlite(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("claims on SQLite");
    let program = Running::program(options, place, 0)?;
    let token = program.runner()?;
    let mut pairs = Vec::new();
    claims(&program, &token, RUNNERS, WARM_UP.min(span(options)))?;
    for _ in 0..options.rounds {
        pairs.push((
            claims(&program, &token, RUNNERS, span(options))?,
            raw_sqlite(span(options))?,
        ));
    }
    report.pairs(
        "claim on SQLite ÷ raw durable loop",
        &pairs,
        (0.6, 1.0),
        "claims/s",
    );
    Ok(())
}

pub(crate) fn on_postgres(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("claims on PostgreSQL");
    let url = place.postgres.clone().ok_or("not PostgreSQL")?;
    let program = Running::program(options, place, 0)?;
    let token = program.runner()?;
    let (mut fleet, mut few) = (Vec::new(), Vec::new());
    claims(&program, &token, RUNNERS, WARM_UP.min(span(options)))?;
    for _ in 0..options.rounds {
        for (runners, pairs) in [(FLEET, &mut fleet), (RUNNERS, &mut few)] {
            pairs.push((
                claims(&program, &token, runners, span(options))?,
                raw_postgres(&url, span(options))?,
            ));
        }
    }
    report.pairs(POSTGRES, &fleet, POSTGRES_LIMITS, "claims/s");
    report.pairs_to_know(POSTGRES_FEW, &few, "claims/s");
    Ok(())
}

/// Says that a row is missing.
pub(crate) fn without_postgres(report: &mut Report) {
    let why = "FOOTPLATE_TEST_POSTGRES_URL is not set (scripts/postgres sets it)";
    report.missing(POSTGRES, POSTGRES_LIMITS, why);
}
