//! Checks of the workspace that no compiler makes: the dependency law, sizes of files; and the benchmark's start.
//!
//! `cargo xtask layers` · `cargo xtask sizes` · `cargo xtask bench`

mod bench;
mod layers;
mod sizes;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("layers") => layers::check(),
        Some("sizes") => sizes::check(),
        Some("bench") => bench::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        _ => Err("usage: cargo xtask layers | sizes | bench [--small] [OPTION …]".to_owned()),
    };
    match result {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::FAILURE
        }
    }
}
