//! The command line.

mod lint;
mod runner;
mod serve;
mod why;

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
    /// Checks a configuration without a server, or shows the pipeline that it would make.
    Lint(lint::Lint),
    /// Tells what decided about each job: of a pipeline on a server, or of a file on disk.
    Why(Box<why::Why>),
    /// The built-in runner, as a process of its own; `serve` starts it.
    #[command(hide = true)]
    Runner(runner::Runner),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Lint(lint) => lint.run(),
        Command::Why(why) => why.run(),
        Command::Runner(runner) => runner.run(),
    }
}

fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RUST_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second call in one process (tests) finds the log there already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .try_init();
}
