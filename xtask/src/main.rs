//! Checks of the workspace that no compiler makes: the dependency law, sizes of files.
//!
//! `cargo xtask layers` · `cargo xtask sizes`

mod layers;
mod sizes;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("layers") => layers::check(),
        Some("sizes") => sizes::check(),
        _ => Err("usage: cargo xtask layers | sizes".to_owned()),
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
