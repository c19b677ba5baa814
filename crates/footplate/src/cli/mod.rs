//! The command line.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use serve::Serve;

/// A CI/CD job server that speaks GitLab's language.
#[derive(Debug, Parser)]
#[command(name = "footplate", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Serve),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(serve) => serve.run(),
    }
}
