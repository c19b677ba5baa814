//! What the program costs, as ratios to yardsticks that run in the same minute (DESIGN §11).
//!
//! `cargo xtask bench [--jobs N] [--rounds N] [--seconds S] [--only WORD]` builds the program and runs this. Every measure is
//! interleaved with its yardstick and the median of the rounds counts. The process that measures, the yardstick and the program
//! share the machine. nginx and wrk must be installed; PostgreSQL is that of `FOOTPLATE_TEST_POSTGRES_URL`.

mod claim;
mod compile;
mod files;
mod http;
mod lists;
mod options;
mod program;
mod reads;
mod report;
mod seed;
mod start;
mod trace;
mod wake;
mod wrk;
mod yardsticks;

use std::process::ExitCode;

use options::Options;
use report::Report;

/// Whatever went wrong, in words.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("yardstick") => yardsticks::serve(&arguments[1..]),
        _ => Options::parse(&arguments).and_then(|options| measure(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let mut report = Report::default();
    if options.wants("compile") {
        compile::measure(options, &mut report)?;
    }
    let sqlite = program::Place::sqlite()?;
    seed::fill(options, &sqlite)?;
    if options.wants("start") {
        start::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("reads") {
        reads::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("list") {
        lists::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("trace") {
        trace::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("files") {
        files::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("wake") {
        wake::measure(options, &sqlite, &mut report)?;
    }
    if options.wants("claim") {
        claim::on_sqlite(options, &sqlite, &mut report)?;
        match std::env::var("FOOTPLATE_TEST_POSTGRES_URL") {
            Ok(url) => {
                let postgres = program::Place::postgres(&url)?;
                seed::fill(options, &postgres)?;
                claim::on_postgres(options, &postgres, &mut report)?;
            }
            Err(_) => eprintln!(
                "bench: PostgreSQL is NOT measured: FOOTPLATE_TEST_POSTGRES_URL is not set (scripts/postgres sets it)"
            ),
        }
    }
    report.finish(options)
}
