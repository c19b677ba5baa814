//! `footplate lint FILE`: the compiler on a file and the folder around it (DESIGN §5).

mod checkout;
mod compile;
mod flags;
mod show;

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser};
use footplate_ci::lint::compare;
use serde_json::json;

pub(crate) use checkout::read;
pub(crate) use compile::compile;
pub(crate) use flags::PipelineFlags;
pub(crate) use show::{faults, why};

/// Options of `footplate lint`. With any of those about the pipeline, the pipeline is shown; else the whole configuration.
#[derive(Debug, Args)]
pub struct Lint {
    /// The configuration; its folder stands for the repository.
    file: PathBuf,
    #[command(flatten)]
    pipeline: PipelineFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Compare with a second pipeline, described by the flags behind this one, which comes last.
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_name = "FLAGS")]
    against: Option<Vec<String>>,
}

/// The flags behind `--against`.
#[derive(Debug, Parser)]
#[command(name = "--against", no_binary_name = true, disable_help_flag = true)]
struct Second {
    #[command(flatten)]
    pipeline: PipelineFlags,
}

impl Lint {
    /// Exits 0 for a valid configuration, 1 for one with faults, 2 where it cannot be read.
    pub fn run(self) -> ExitCode {
        let text = match read(&self.file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("footplate lint: {}: {error}", self.file.display());
                return ExitCode::from(2);
            }
        };
        let Some(flags) = &self.against else {
            return self.one(&text);
        };
        match Second::try_parse_from(flags) {
            Ok(second) => self.two(&text, &second.pipeline),
            Err(error) => {
                eprint!("{error}");
                ExitCode::from(2)
            }
        }
    }

    fn one(&self, text: &str) -> ExitCode {
        let outcome = compile(&self.file, text, &self.pipeline, self.pipeline.context());
        let object = outcome.object();
        print(&match (&outcome.compiled, self.json) {
            (_, true) => format!("{object}\n"),
            (Ok(compiled), false) => {
                let told = faults(
                    compiled.faults(),
                    &compiled.warnings,
                    &compiled.files,
                    colours(),
                );
                told + &show::pipeline(&object)
            }
            (Err(found), false) => faults(&found.errors, &found.warnings, &found.files, colours()),
        });
        exit(object["valid"] == true)
    }

    fn two(&self, text: &str, second: &PipelineFlags) -> ExitCode {
        let object = |flags: &PipelineFlags| {
            compile(&self.file, text, flags, Some(flags.described())).object()
        };
        let (a, b) = (object(&self.pipeline), object(second));
        let differences = compare(&a, &b);
        let valid = a["valid"] == true && b["valid"] == true;
        print(&if self.json {
            format!("{}\n", json!({"a": a, "b": b, "differences": differences}))
        } else {
            show::side_by_side(&a, &b, &differences)
        });
        exit(valid)
    }
}

fn exit(valid: bool) -> ExitCode {
    if valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Colours only for people.
pub(super) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A reader that has seen enough is no fault of ours.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
