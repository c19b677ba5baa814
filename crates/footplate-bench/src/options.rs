//! What is asked of a run.

use std::{path::PathBuf, time::Duration};

use crate::Result;

/// How much is measured.
#[derive(Debug)]
pub(crate) struct Options {
    /// The program under test.
    pub(crate) program: PathBuf,
    /// Jobs in the database.
    pub(crate) jobs: i64,
    /// How often each pair is measured.
    pub(crate) rounds: usize,
    /// How long each lasts.
    pub(crate) span: Duration,
    /// Only the measures of these names; empty = all.
    pub(crate) only: Vec<String>,
    /// A figure below its floor fails the run.
    pub(crate) enforce: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            program: PathBuf::new(),
            jobs: 1_000_000,
            rounds: 5,
            span: Duration::from_secs(3),
            only: Vec::new(),
            enforce: false,
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if name == "--enforce" {
                options.enforce = true;
                continue;
            }
            let value = rest.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--program" => options.program = PathBuf::from(value),
                "--jobs" => options.jobs = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                "--seconds" => options.span = Duration::from_secs_f64(value.parse()?),
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        if options.jobs < 1000 || options.rounds == 0 {
            return Err("at least 1000 jobs and one round".into());
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}
