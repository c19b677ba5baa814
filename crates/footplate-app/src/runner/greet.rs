//! Who asks for work: runners by their tokens, their machines, and the contact that is written down (`runner-protocol.md §1.5`, `§1.6`).

use std::{collections::HashMap, sync::Arc};

use footplate_model::{Runner, RunnerId, RunnerManager, RunnerManagerId, Timestamp};
use footplate_store::{Tx, runners, token_hash};
use serde_json::{Map, Value as Json};

use super::{TOKEN_LIMIT, desk::Asker};
use crate::{App, Error, Result};

/// Contact of a polling runner is written at most this often, in seconds.
const CONTACT_SECONDS: u64 = 30;
/// The machine of a runner that does not name one.
const LEGACY: &str = "<legacy>";

/// What a runner says of itself (`runner-protocol.md §1.5`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunnerInfo {
    /// Name.
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Revision.
    pub revision: Option<String>,
    /// Operating system.
    pub platform: Option<String>,
    /// Processor.
    pub architecture: Option<String>,
    /// Executor.
    pub executor: Option<String>,
    /// Address of the caller.
    pub ip_address: Option<String>,
    /// Features.
    pub features: Map<String, Json>,
    /// Labels.
    pub labels: Map<String, Json>,
}

/// A request for work.
#[derive(Debug, Clone)]
pub struct JobRequest {
    /// Runner token.
    pub token: String,
    /// The machine.
    pub system_id: Option<String>,
    /// The queue token of the last answer.
    pub last_update: Option<String>,
    /// What the runner says of itself.
    pub info: RunnerInfo,
}

/// A machine of a runner as it shows itself.
pub(super) fn manager(
    runner: RunnerId,
    system_id: Option<&str>,
    info: &RunnerInfo,
    now: Timestamp,
) -> Result<RunnerManager> {
    let system_id = system_id.unwrap_or(LEGACY);
    if system_id.chars().count() > 64 {
        return Err(Error::Parameter(
            "system_id is too long (maximum is 64 characters)".to_owned(),
        ));
    }
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(255).collect());
    Ok(RunnerManager {
        id: RunnerManagerId(0),
        runner_id: runner,
        system_id: system_id.to_owned(),
        name: cut(&info.name),
        version: cut(&info.version),
        revision: cut(&info.revision),
        platform: cut(&info.platform),
        architecture: cut(&info.architecture),
        executor: cut(&info.executor),
        ip_address: cut(&info.ip_address),
        features: Json::Object(info.features.clone()).to_string(),
        labels: Json::Object(info.labels.clone()).to_string(),
        created_at: now,
        contacted_at: Some(now),
    })
}

/// Runners and machines as they are stored, for those who ask.
struct Known {
    /// By the hash of the token.
    runners: HashMap<Vec<u8>, Arc<Runner>>,
    managers: HashMap<(RunnerId, String), RunnerManager>,
}

/// Somebody who asks and may ask.
pub(super) struct Greeted {
    pub(super) asker: Asker,
    pub(super) runner: Arc<Runner>,
    pub(super) manager: RunnerManagerId,
}

impl App {
    /// Finds the runners of all who ask and writes down that they were here. Who may not ask gets its refusal.
    pub(super) async fn greet(&self, askers: Vec<Asker>) -> Vec<Greeted> {
        let now = self.now();
        let known = match self.recognize(&askers).await {
            Ok(known) => known,
            Err(error) => {
                refuse_all(askers, &error);
                return Vec::new();
            }
        };
        let mut list = Vec::with_capacity(askers.len());
        let mut unseen: Vec<(Asker, Arc<Runner>, RunnerManager)> = Vec::new();
        for asker in askers {
            match recognized(&known, &asker.request, now) {
                Err(error) => asker.refuse(error),
                Ok((runner, Seen::Lately(manager))) => list.push(Greeted {
                    asker,
                    runner,
                    manager,
                }),
                Ok((runner, Seen::Now(machine))) => unseen.push((asker, runner, *machine)),
            }
        }
        list.extend(self.note(unseen, now).await);
        list
    }

    async fn recognize(&self, askers: &[Asker]) -> Result<Known> {
        let names: Vec<(Vec<u8>, String)> = askers
            .iter()
            .filter(|asker| asker.request.token.len() <= TOKEN_LIMIT)
            .map(|asker| {
                let system = asker.request.system_id.as_deref().unwrap_or(LEGACY);
                (token_hash(&asker.request.token), system.to_owned())
            })
            .collect();
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let mut hashes: Vec<Vec<u8>> = names.iter().map(|(hash, _)| hash.clone()).collect();
                hashes.sort_unstable();
                hashes.dedup();
                let found = runners::list_by_tokens(tx, &hashes).await?;
                let runners: HashMap<_, _> = found
                    .into_iter()
                    .map(|(hash, runner)| (hash, Arc::new(runner)))
                    .collect();
                let named: Vec<(RunnerId, &str)> = names
                    .iter()
                    .filter_map(|(hash, system)| Some((runners.get(hash)?.id, system.as_str())))
                    .collect();
                let managers = runners::list_managers_named(tx, &named).await?;
                let managers = managers
                    .into_iter()
                    .map(|manager| ((manager.runner_id, manager.system_id.clone()), manager))
                    .collect();
                Ok::<_, Error>(Known { runners, managers })
            })
            .await
    }

    /// Writes the contact of those whose last one was some time ago, or who are new.
    async fn note(
        &self,
        unseen: Vec<(Asker, Arc<Runner>, RunnerManager)>,
        now: Timestamp,
    ) -> Vec<Greeted> {
        if unseen.is_empty() {
            return Vec::new();
        }
        let machines: Vec<RunnerManager> = unseen.iter().map(|(_, _, seen)| seen.clone()).collect();
        let written = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let mut ids = Vec::with_capacity(machines.len());
                for seen in &machines {
                    runners::touch(tx, seen.runner_id, true, now).await?;
                    ids.push(runners::upsert_manager(tx, seen, now).await?.id);
                }
                Ok::<_, Error>(ids)
            })
            .await;
        let askers = unseen.into_iter().map(|(asker, runner, _)| (asker, runner));
        match written {
            Ok(ids) => askers
                .zip(ids)
                .map(|((asker, runner), manager)| Greeted {
                    asker,
                    runner,
                    manager,
                })
                .collect(),
            Err(error) => {
                refuse_all(askers.map(|(asker, _)| asker).collect(), &error);
                Vec::new()
            }
        }
    }
}

/// What fails for all of them is told to each.
pub(super) fn refuse_all(askers: Vec<Asker>, error: &Error) {
    for asker in askers {
        asker.refuse(Error::internal(error));
    }
}

/// When a machine was heard of.
enum Seen {
    /// A moment ago, and it is as it was.
    Lately(RunnerManagerId),
    /// Now, to be written down.
    Now(Box<RunnerManager>),
}

fn recognized(known: &Known, request: &JobRequest, now: Timestamp) -> Result<(Arc<Runner>, Seen)> {
    let found = (request.token.len() <= TOKEN_LIMIT)
        .then(|| known.runners.get(&token_hash(&request.token)[..]))
        .flatten();
    let runner = found
        .filter(|runner| runner.token_expires_at.is_none_or(|end| end > now))
        .ok_or(Error::FORBIDDEN)?;
    let seen = manager(runner.id, request.system_id.as_deref(), &request.info, now)?;
    let fresh =
        |at: Option<Timestamp>| at.is_some_and(|at| now.since(at).as_secs() < CONTACT_SECONDS);
    let before = known.managers.get(&(runner.id, seen.system_id.clone()));
    let lately = before.filter(|before| {
        (seen.version.is_none() || before.version == seen.version)
            && before.features == seen.features
            && fresh(before.contacted_at)
            && fresh(runner.contacted_at)
            && runner.polled
    });
    let seen = match lately {
        Some(before) => Seen::Lately(before.id),
        None => Seen::Now(Box::new(seen)),
    };
    Ok((Arc::clone(runner), seen))
}
