//! `footplate serve`, and the built-in runner that it starts.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use footplate_app::FirstStart;
use footplate_model::SystemClock;

use crate::{
    config::{self, Config, Flags},
    demo,
    server::{Server, StartError},
};

/// Runs the server.
#[derive(Debug, Args)]
pub struct Serve {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port; port 0 picks one.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// `sqlite:PATH` or `postgres://…`; a SQLite file in the data directory by default.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Makes a project, runs its pipeline and shows it.
    #[arg(long)]
    demo: bool,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        super::log_to_standard_error();
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let flags = Flags {
            listen: self.listen,
            data: self.data,
            database_url: self.database_url,
        };
        let mut config = match config::load(&flags, &environment, self.config.as_deref()) {
            Ok(config) => config,
            Err(error) => return fail(&error),
        };
        if self.demo
            && let Err(error) = demo::prepare(&mut config)
        {
            return fail(&error);
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error),
        };
        match runtime.block_on(serve(config, self.demo)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("footplate: {error}");
    ExitCode::FAILURE
}

async fn serve(config: Config, demo: bool) -> Result<(), StartError> {
    let server = Server::start(&config, Arc::new(SystemClock)).await?;
    println!("listening on http://{}", server.address);
    tell_first_start(&config, &server, demo);
    let _ = std::io::stdout().flush();
    if demo {
        // The built-in runner lives as long as its handle.
        let shown = tokio::select! {
            shown = demo::run(&server, &config) => Some(shown),
            () = stopped() => None,
        };
        match shown {
            Some(Ok(runner)) => {
                stopped().await;
                drop(runner);
            }
            Some(Err(error)) => {
                eprintln!("footplate: the demo could not be shown: {error}");
                stopped().await;
            }
            None => {}
        }
    } else {
        stopped().await;
    }
    server.stop().await;
    Ok(())
}

fn tell_first_start(config: &Config, server: &Server, demo: bool) {
    match &server.first {
        FirstStart::Made {
            link: Some(link), ..
        } => {
            println!(
                "set the administrator's password here, once: {}",
                server.app.url(link)
            );
        }
        FirstStart::Made { link: None, .. } => {}
        FirstStart::Known
            if !demo && (config.root_token.is_some() || config.root_password.is_some()) =>
        {
            eprintln!(
                "footplate: FOOTPLATE_ROOT_TOKEN and FOOTPLATE_ROOT_PASSWORD count only at the first start; they are ignored"
            );
        }
        FirstStart::Known => {}
    }
}

/// Waits for SIGTERM or Ctrl-C.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
