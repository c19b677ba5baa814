//! `footplate runner`: the built-in runner. Its token comes by standard input, which stays open as long as the server lives.

use std::{io::BufRead as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use footplate_runner::{Config, find_shell};
use tokio_util::sync::CancellationToken;

/// The built-in runner.
#[derive(Debug, Args)]
pub struct Runner {
    /// Root of the server.
    #[arg(long)]
    url: String,
    /// Where builds, caches and state are kept.
    #[arg(long)]
    folder: PathBuf,
    /// Jobs side by side.
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
}

impl Runner {
    pub(super) fn run(self) -> ExitCode {
        super::log_to_standard_error();
        let mut token = String::new();
        if std::io::stdin().lock().read_line(&mut token).is_err() || token.trim().is_empty() {
            eprintln!("footplate: the runner's token is missing on standard input");
            return ExitCode::FAILURE;
        }
        let config = Config {
            url: self.url,
            token: token.trim().to_owned(),
            name: "built-in".to_owned(),
            folder: self.folder,
            concurrency: self.concurrency,
            shell: find_shell(),
            poll_interval: Duration::from_secs(1),
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("footplate: {error}");
                return ExitCode::FAILURE;
            }
        };
        let stop = CancellationToken::new();
        let end = stop.clone();
        // The end of standard input is the end of the server.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            end.cancel();
        });
        let outcome = runtime.block_on(footplate_runner::run(config, stop));
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("footplate: the built-in runner ended: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
