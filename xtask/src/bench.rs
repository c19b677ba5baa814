//! Builds the program and its benchmark, and runs it.

use std::{path::PathBuf, process::Command};

/// What `--small` stands for: enough to see that every measure still works, in a build for tests; figures do not count.
const SMALL: [&str; 6] = ["--jobs", "10000", "--rounds", "1", "--seconds", "1"];
/// Otherwise a figure below its floor fails the run.
const FULL: [&str; 1] = ["--enforce"];

/// Runs the benchmark with these options.
///
/// # Errors
/// When something does not build, the benchmark fails, or a figure of a full run is below its floor.
pub fn run(arguments: &[String]) -> Result<String, String> {
    let small = arguments.iter().any(|argument| argument == "--small");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--locked",
        "--quiet",
        "-p",
        "footplate",
        "-p",
        "footplate-bench",
    ]);
    if !small {
        build.arg("--release");
    }
    succeed(&mut build, "the build")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = target.join(if small { "debug" } else { "release" });
    let mut bench = Command::new(folder.join("footplate-bench"));
    bench.arg("--program").arg(folder.join("footplate"));
    bench.args(if small { &SMALL[..] } else { &FULL[..] });
    bench.args(arguments.iter().filter(|argument| *argument != "--small"));
    succeed(&mut bench, "the benchmark")?;
    Ok("bench: done".to_owned())
}

fn succeed(command: &mut Command, what: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} failed: {status}")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}
