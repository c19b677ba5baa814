//! A database with history: one real pipeline, multiplied by SQL.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::{
    Result,
    options::Options,
    program::{Place, Running},
};

/// Jobs of each stage of the pipeline that is multiplied.
const WIDTH: i64 = 10;
/// Its jobs.
pub(crate) const JOBS: i64 = 2 * WIDTH;
/// Pipelines whose first stage waits for a runner, at most.
const WAITING: i64 = 6000;

/// Jobs that wait for a runner.
pub(crate) fn waiting_jobs(options: &Options) -> i64 {
    waiting(options) * WIDTH
}

/// Pipelines whose first stage waits.
fn waiting(options: &Options) -> i64 {
    WAITING.min((options.jobs / JOBS - 1) / 2)
}

/// The configuration of every pipeline.
fn configuration() -> String {
    let mut text = String::from("stages: [build, test]\nvariables: {LEVEL: \"2\"}\n");
    for number in 0..WIDTH {
        let _ = write!(
            text,
            "build {number}: {{stage: build, script: [make part{number}], variables: {{PART: \"{number}\"}}}}\n\
             test {number}: {{stage: test, script: [make check{number}], needs: [\"build {number}\"]}}\n"
        );
    }
    text
}

/// Runs statements on PostgreSQL.
pub(crate) fn postgres(url: &str, statements: &[String]) -> Result<()> {
    on_postgres(
        async |client| {
            for statement in statements {
                client.batch_execute(statement).await?;
            }
            Ok(())
        },
        url,
    )
}

fn on_postgres<T>(
    work: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<T>,
    url: &str,
) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            work(&client).await
        })
}

/// The names of a table's columns.
fn columns(place: &Place, table: &str) -> Result<Vec<String>> {
    match &place.postgres {
        None => {
            let connection = Connection::open(place.file()?)?;
            let statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
            Ok(statement.column_names().map(str::to_owned).collect())
        }
        Some(url) => on_postgres(
            async |client| {
                let text = format!("SELECT * FROM {table} LIMIT 0");
                let statement = client.prepare(&text).await?;
                Ok(statement
                    .columns()
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect())
            },
            url,
        ),
    }
}

/// `INSERT … SELECT` of rows of pipeline 1, once for each `n`, with some columns computed.
fn multiply(
    place: &Place,
    table: &str,
    range: (i64, i64),
    key: &str,
    computed: &[(&str, &str)],
) -> Result<String> {
    let names = columns(place, table)?;
    let values: Vec<&str> = names
        .iter()
        .map(|name| {
            let found = computed.iter().find(|(column, _)| column == name);
            found.map_or(name.as_str(), |(_, value)| *value)
        })
        .collect();
    Ok(format!(
        "WITH RECURSIVE n(n) AS (SELECT CAST({} AS BIGINT) UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
         INSERT INTO {table} ({}) SELECT {} FROM n CROSS JOIN {table} t WHERE t.{key} = 1 ORDER BY n, t.{}",
        range.0,
        range.1,
        names.join(", "),
        values.join(", "),
        if names.iter().any(|name| name == "id") {
            "id"
        } else {
            key
        },
    ))
}

/// Fills a place so that it has `options.jobs` jobs.
pub(crate) fn fill(options: &Options, place: &Place) -> Result<()> {
    let began = Instant::now();
    let program = Running::program(options, place, 0)?;
    program
        .api("POST", "/projects", &json!({"path": "bench"}))?
        .expect(201)?;
    let commit = json!({"branch": "main", "commit_message": "all of it", "actions": [
        {"action": "create", "file_path": ".gitlab-ci.yml", "content": configuration()}]});
    program
        .api("POST", "/projects/1/repository/commits", &commit)?
        .expect(201)?;
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let list = program
            .api(
                "GET",
                "/projects/1/pipelines/1/jobs?per_page=100",
                &Json::Null,
            )?
            .json()?;
        let ready = list.as_array().is_some_and(|list| {
            list.len() as i64 == JOBS && list.iter().any(|job| job["status"] == "pending")
        });
        if ready {
            break;
        }
        if Instant::now() > end {
            return Err(format!("the pipeline does not come: {list}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(program);
    let statements = statements(options, place)?;
    match &place.postgres {
        None => {
            let connection = Connection::open(place.file()?)?;
            connection
                .execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=-262144; BEGIN;")?;
            for statement in &statements {
                connection
                    .execute_batch(statement)
                    .map_err(|error| format!("{statement}: {error}"))?;
            }
            connection.execute_batch("COMMIT; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);")?;
        }
        Some(url) => {
            postgres(url, &statements)?;
            postgres(url, &["VACUUM ANALYZE".to_owned(), "CHECKPOINT".to_owned()])?;
        }
    }
    eprintln!(
        "{} jobs in {:.0} s on {}",
        options.jobs,
        began.elapsed().as_secs_f64(),
        if place.postgres.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
    );
    Ok(())
}

/// Finished pipelines, then those that wait: newest, as in life.
fn statements(options: &Options, place: &Place) -> Result<Vec<String>> {
    let pipelines = options.jobs / JOBS - 1;
    let waiting = waiting(options);
    let mut list = Vec::new();
    for (range, finished) in [
        ((1, pipelines - waiting), true),
        ((pipelines - waiting + 1, pipelines), false),
    ] {
        let mut pipeline = vec![
            ("id", "id + n"),
            ("iid", "iid + n"),
            ("push_intent_key", "NULL"),
        ];
        let moved = format!("id + n * {JOBS}");
        let definition = format!("definition_id + n * {JOBS}");
        let mut job = vec![
            ("id", moved.as_str()),
            ("pipeline_id", "1 + n"),
            ("definition_id", definition.as_str()),
        ];
        let stage_id = "id + n * 2";
        let mut stage = vec![("id", stage_id), ("pipeline_id", "1 + n")];
        if finished {
            pipeline.extend([
                ("status", "'success'"),
                ("started_at", "created_at"),
                ("finished_at", "created_at"),
                ("duration", "0"),
            ]);
            job.extend([
                ("status", "'success'"),
                ("processed", "TRUE"),
                ("queued_at", "created_at"),
                ("started_at", "created_at"),
                ("finished_at", "created_at"),
            ]);
            stage.push(("status", "'success'"));
        }
        list.push(multiply(place, "pipelines", range, "id", &pipeline)?);
        list.push(multiply(
            place,
            "pipeline_facts",
            range,
            "pipeline_id",
            &[("pipeline_id", "1 + n")],
        )?);
        let of_pipeline = [("pipeline_id", "1 + n")];
        list.push(multiply(
            place,
            "pipeline_events",
            range,
            "pipeline_id",
            &of_pipeline,
        )?);
        list.push(multiply(place, "stages", range, "pipeline_id", &stage)?);
        let definitions = [("id", moved.as_str()), ("pipeline_id", "1 + n")];
        list.push(multiply(
            place,
            "job_definitions",
            range,
            "pipeline_id",
            &definitions,
        )?);
        list.push(multiply(place, "jobs", range, "pipeline_id", &job)?);
        if !finished {
            let moved = format!("job_id + n * {JOBS}");
            let queue = [("job_id", moved.as_str()), ("pipeline_id", "1 + n")];
            list.push(multiply(place, "job_queue", range, "pipeline_id", &queue)?);
        }
    }
    list.push("DELETE FROM job_counts".to_owned());
    list.push("DELETE FROM job_sums".to_owned());
    list.push(
        "INSERT INTO job_sums (project_id, bucket, jobs) SELECT 1, id / 16384, COUNT(*) FROM jobs WHERE kind = 'build' GROUP BY id / 16384"
            .to_owned(),
    );
    list.push(
        "INSERT INTO job_counts (project_id, bucket, jobs) SELECT 1, id / 256, COUNT(*) FROM jobs WHERE kind = 'build' GROUP BY id / 256"
            .to_owned(),
    );
    list.push(format!(
        "UPDATE projects SET pipeline_iid = {}",
        pipelines + 1
    ));
    if place.postgres.is_some() {
        for table in ["pipelines", "stages", "jobs", "job_definitions"] {
            list.push(format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"
            ));
        }
    }
    Ok(list)
}
