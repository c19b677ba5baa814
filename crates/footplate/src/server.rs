//! A server out of its parts: data directory, database, keys, repositories, blobs, traces, application, HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use footplate_api::router;
use footplate_app::{
    App, FirstStart, Parts, Settings, Setup, egress::Egress, variables::facts::ServerFacts,
};
use footplate_blob::{BlobStore, Traces};
use footplate_git::{Repositories, RepositoryOptions};
use footplate_model::Clock;
use footplate_store::{Db, Keys, Tx};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    data_directory::{DataDirectory, DataDirectoryError},
};

/// The version that clients of GitLab see; they choose features by it.
const VERSION: &str = "18.6.0";
/// The program's own version, where GitLab has its revision.
const REVISION: &str = concat!("footplate-", env!("CARGO_PKG_VERSION"));

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("{0}")]
    Data(#[from] DataDirectoryError),
    /// The database or the key file.
    #[error("{0}")]
    Store(#[from] footplate_store::Error),
    /// Repositories.
    #[error("{0}")]
    Git(#[from] footplate_git::Error),
    /// Blobs or traces.
    #[error("{0}")]
    Blob(#[from] footplate_blob::Error),
    /// The application.
    #[error("{0}")]
    App(#[from] footplate_app::Error),
    /// The allow-list of fetches.
    #[error("egress.allow: {0}")]
    Egress(String),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As configured.
        address: String,
        /// Why.
        source: io::Error,
    },
}

/// A server that runs.
pub struct Server {
    /// The application.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// What the first start found.
    pub first: FirstStart,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    data: DataDirectory,
}

impl Server {
    /// Opens everything and begins to serve.
    ///
    /// # Errors
    /// In plain words, what is in the way.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let data = DataDirectory::open(&config.data)?;
        let db = match &config.database_url {
            Some(url) => Db::open(url).await?,
            None => Db::open_sqlite(&data.database()).await?,
        };
        let keys = Keys::open(&data.key_file())?;
        let checked = keys.clone();
        db.write(async move |tx: &mut Tx<'_>| checked.verify(tx).await)
            .await?;
        let listen = |source| StartError::Listen {
            address: config.listen.clone(),
            source,
        };
        let listener = TcpListener::bind(&config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let parts = Parts {
            db,
            keys,
            clock,
            repositories: Repositories::open(data.repositories(), RepositoryOptions::default())
                .await?,
            blobs: BlobStore::open(data.blobs()).await?,
            traces: Traces::open(data.path().join("traces")).await?,
            egress: Egress::new(config.egress.settings().map_err(StartError::Egress)?),
        };
        let app = App::new(parts, settings(config, address));
        let setup = Setup {
            token: config.root_token.clone(),
            password: config.root_password.clone(),
        };
        let first = app.first_start(setup).await?;
        app.take_up().await?;
        let stop = CancellationToken::new();
        let tasks = begin(&app, listener, &stop);
        Ok(Self {
            app,
            address,
            first,
            stop,
            tasks,
            data,
        })
    }

    /// Its data directory.
    pub fn data(&self) -> &DataDirectory {
        &self.data
    }

    /// Lets running requests end, then background work, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

fn begin(app: &App, listener: TcpListener, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let router = router(app.clone(), footplate_web::pages());
    let (serving, working, sweeping) = (stop.clone(), stop.clone(), stop.clone());
    let (worker, sweeper) = (app.clone(), app.clone());
    vec![
        tokio::spawn(async move {
            if let Err(error) = footplate_api::serve(listener, router, serving).await {
                tracing::error!(%error, "the server cannot accept connections");
            }
        }),
        tokio::spawn(async move { worker.work(working).await }),
        tokio::spawn(async move { sweeper.sweep_regularly(sweeping).await }),
    ]
}

fn settings(config: &Config, address: SocketAddr) -> Settings {
    let url = config
        .external_url
        .clone()
        .unwrap_or_else(|| format!("http://{address}"));
    let runners = &config.runners;
    Settings {
        server: ServerFacts {
            url: url.trim_end_matches('/').to_owned(),
            version: VERSION.to_owned(),
            revision: REVISION.to_owned(),
        },
        templates: config.templates.clone(),
        hold: Duration::from_secs(runners.hold_seconds),
        unacknowledged: Duration::from_secs(runners.unacknowledged_seconds),
        silent: Duration::from_secs(runners.silent_seconds),
        canceling: Duration::from_secs(runners.canceling_seconds),
        tick: Duration::from_secs(config.tick_seconds),
        trace_limit: config.limits.trace_bytes,
        push_limit: config.limits.push_bytes,
        artifact_limit: config.limits.artifact_bytes,
    }
}
