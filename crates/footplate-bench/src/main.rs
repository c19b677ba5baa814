//! What the program costs, as ratios to yardsticks that run in the same minute (DESIGN §11).
//!
//! `cargo xtask bench [--jobs N] [--rounds N] [--seconds S] [--only WORD,…]` builds the program and runs this. Every measure is
//! interleaved with its yardstick and the median of the rounds counts; each row has its floor, its target and its verdict, and a
//! row below its floor makes the run fail (not with `--small`). The process that measures, the yardstick and the program share
//! the machine. nginx and wrk must be installed; PostgreSQL is that of `FOOTPLATE_TEST_POSTGRES_URL`.

mod claim;
mod compile;
mod configurations;
mod create;
mod files;
mod http;
mod lists;
mod options;
mod processor;
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

/// Compilation is measured in this process: as in the program (ADR 7).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    if options.only == ["compile"] {
        return report.finish(options);
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
            Err(_) => claim::without_postgres(&mut report),
        }
    }
    // Last: claims out of its large pipelines would be another measure.
    if options.wants("create") {
        create::measure(options, &sqlite, &mut report)?;
    }
    report.finish(options)
}
