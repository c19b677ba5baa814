//! Cold start with the whole history on disk, and memory of a server that has nothing to do.

use std::time::{Duration, Instant};

use crate::{
    Result, http,
    options::Options,
    program::{Place, Running},
    report::{Better, Report, median},
};

/// Time from the start of a process to its first answer, in milliseconds.
fn first_answer(start: impl FnOnce() -> Result<Running>, path: &str) -> Result<f64> {
    let began = Instant::now();
    let running = start()?;
    let headers = [("private-token", crate::program::TOKEN)];
    http::once(&running.host, "GET", path, &headers, &[])?.expect(200)?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("start and memory");
    let file = place.file()?.display().to_string();
    let list = "/api/v4/projects/1/jobs?per_page=20";
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..options.rounds.max(3) {
        ours.push(first_answer(|| Running::program(options, place, 0), list)?);
        theirs.push(first_answer(
            || Running::yardstick(&["database", &file]),
            "/",
        )?);
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
    let ratios = ratios.collect();
    let detail = format!("{:.1} ms against {:.1} ms", median(ours), median(theirs));
    report.rounds(
        "cold start to first list ÷ minimal server",
        ratios,
        Better::Lower,
        (30.0, 10.0),
        &detail,
    );
    let program = Running::program(options, place, 0)?;
    for _ in 0..50 {
        program
            .api(
                "GET",
                "/projects/1/jobs?per_page=20",
                &serde_json::Value::Null,
            )?
            .expect(200)?;
    }
    std::thread::sleep(Duration::from_secs(3));
    let mebibytes = program.private_memory()? as f64 / f64::from(1 << 20);
    report.add(
        "idle private memory, MiB",
        mebibytes,
        Better::Lower,
        (38.0, 24.0),
        String::new(),
    );
    Ok(())
}
