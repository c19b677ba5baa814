//! `PATCH …/trace` against a server that does nothing but append.

use crate::{
    Result,
    claim::ask,
    http::{self, Connection},
    options::Options,
    program::{Place, Running},
    report::Report,
};

/// Jobs that write at once.
const JOBS: usize = 8;

/// A running job.
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// Takes a job.
pub(crate) fn take(program: &Running, runner: &str) -> Result<Job> {
    let headers = [("content-type", "application/json")];
    let body = ask(runner, "s_bench");
    let job = http::once(
        &program.host,
        "POST",
        "/api/v4/jobs/request",
        &headers,
        &body,
    )?
    .expect(201)?
    .json()?;
    Ok(Job {
        id: job["id"].as_i64().ok_or("no id")?,
        token: job["token"].as_str().ok_or("no token")?.to_owned(),
    })
}

/// Lines of text, as logs are.
fn chunk(size: usize) -> Vec<u8> {
    let line = b"\x1b[32m   Compiling\x1b[0m widget v0.1.0 (/builds/root/bench)\n";
    line.iter().copied().cycle().take(size).collect()
}

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("trace appends");
    let program = Running::program(options, place, 0)?;
    let runner = program.runner()?;
    for (size, name) in [
        (1 << 10, "trace append 1 KiB ÷ bare append server"),
        (16 << 10, "trace append 16 KiB ÷ bare append server"),
    ] {
        let mut pairs = Vec::new();
        for _ in 0..options.rounds {
            let ours = http::load(JOBS, options.span, |_| {
                let (job, bytes) = (take(&program, &runner)?, chunk(size));
                let mut connection = Connection::open(&program.host)?;
                let (path, mut sent) = (format!("/api/v4/jobs/{}/trace", job.id), 0);
                Ok(move || {
                    let range = format!("{sent}-{}", sent + size - 1);
                    let headers = [
                        ("job-token", job.token.as_str()),
                        ("content-type", "text/plain"),
                        ("content-range", range.as_str()),
                    ];
                    connection
                        .call("PATCH", &path, &headers, &bytes)?
                        .expect(202)?;
                    sent += size;
                    Ok(())
                })
            })?;
            let folder = tempfile::tempdir()?;
            let bare = Running::yardstick(&["append", &folder.path().display().to_string()])?;
            let theirs = http::load(JOBS, options.span, |number| {
                let bytes = chunk(size);
                let mut connection = Connection::open(&bare.host)?;
                let path = format!("/{number}");
                Ok(move || {
                    connection
                        .call("PATCH", &path, &[], &bytes)?
                        .expect(202)
                        .map(drop)
                })
            })?;
            pairs.push((ours, theirs));
        }
        report.pairs(name, &pairs, (0.35, 0.6), "appends/s");
    }
    Ok(())
}
