//! The loop that asks for work.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    client::{Client, Offer},
    job::Execution,
    leftovers,
};

/// Refusals in a row after which the token counts as dead (`runner-protocol.md §1.6`).
const REFUSALS: u32 = 3;
/// A request that took so long was held by the server.
const HELD: Duration = Duration::from_millis(500);
/// The longest pause after trouble.
const LONGEST: Duration = Duration::from_secs(30);

/// The name of this machine, the same after a restart.
fn system_id(folder: &Path) -> Result<String, Error> {
    let path = folder.join(".runner_system_id");
    if let Ok(known) = std::fs::read_to_string(&path)
        && known.trim().len() == 14
    {
        return Ok(known.trim().to_owned());
    }
    let random: u64 = rand::random();
    let id = format!("r_{:012x}", random & 0xffff_ffff_ffff);
    std::fs::write(&path, &id)?;
    Ok(id)
}

/// Asks for jobs and runs them until it is told to stop; jobs that run then are ended and reported.
///
/// # Errors
/// When the server does not take the token, or the folder cannot be used.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    crate::install_crypto_provider();
    std::fs::create_dir_all(&config.folder)?;
    let client = Client::new(&config, system_id(&config.folder)?)?;
    leftovers::clean(&config.folder.join("state"), &client).await;
    let config = Arc::new(config);
    // The queue token is one for all slots: it says what the server's queue looked like.
    let last_update: Arc<Mutex<Option<String>>> = Arc::default();
    let mut slots = tokio::task::JoinSet::new();
    for slot in 0..config.concurrency.max(1) {
        slots.spawn(work(
            config.clone(),
            client.clone(),
            slot,
            last_update.clone(),
            stop.clone(),
        ));
    }
    let mut outcome = Ok(());
    while let Some(ended) = slots.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => outcome = Err(error),
            Err(error) => outcome = Err(Error::Job(error.to_string())),
        }
    }
    outcome
}

async fn work(
    config: Arc<Config>,
    client: Client,
    slot: usize,
    last_update: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (mut refusals, mut trouble) = (0, 0u32);
    while !stop.is_cancelled() {
        let token = last_update.lock().await.clone();
        let asked = tokio::time::Instant::now();
        let offer = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            offer = client.request_job(token.as_deref()) => offer,
        };
        let pause = match offer {
            Offer::Job(job) => {
                (refusals, trouble) = (0, 0);
                let id = job.id;
                let execution = Execution {
                    config: &config,
                    client: client.clone(),
                    job: *job,
                    slot,
                    stop: stop.clone(),
                };
                if let Err(error) = execution.run().await {
                    tracing::error!(%error, job = id, "a job could not be reported");
                }
                continue;
            }
            Offer::Nothing(fresh) => {
                (refusals, trouble) = (0, 0);
                // The server held the request: it can be asked again at once.
                let held = asked.elapsed() >= HELD;
                let first = token.is_none();
                *last_update.lock().await = fresh;
                if held || first {
                    continue;
                }
                config.poll_interval
            }
            Offer::Refused => {
                refusals += 1;
                if refusals >= REFUSALS {
                    return Err(Error::Refused);
                }
                config.poll_interval
            }
            Offer::Trouble => {
                trouble += 1;
                config
                    .poll_interval
                    .saturating_mul(1 << trouble.min(5))
                    .min(LONGEST)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}
