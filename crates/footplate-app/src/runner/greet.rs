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
    pub features: Arc<Map<String, Json>>,
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
        features: serde_json::to_string(&*info.features).map_err(Error::internal)?,
        labels: Json::Object(info.labels.clone()).to_string(),
        created_at: now,
        contacted_at: Some(now),
    })
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
        for (asker, known) in askers.into_iter().zip(known) {
            match recognized(known, &asker.request, now) {
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

    /// The runner of each who asks, with its machine where that is known.
    async fn recognize(&self, askers: &[Asker]) -> Result<Vec<Option<Recognized>>> {
        let names: Vec<(Vec<u8>, String)> = askers
            .iter()
            .map(|asker| {
                let system = asker.request.system_id.as_deref().unwrap_or(LEGACY);
                (token_hash(&asker.request.token), system.to_owned())
            })
            .collect();
        let mut list: Vec<Option<Recognized>> = {
            let kept = self.kept();
            let known = names.iter().map(|name| kept.runners.get(name).cloned());
            known
                .map(|known| known.map(|(runner, machine)| (runner, Some(machine))))
                .collect()
        };
        if list.iter().all(Option::is_some) {
            return Ok(list);
        }
        let (moment, asked) = (self.moment(), names.clone());
        let (runners, machines) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let mut hashes: Vec<Vec<u8>> = asked.iter().map(|(hash, _)| hash.clone()).collect();
                hashes.sort_unstable();
                hashes.dedup();
                let found = runners::list_by_tokens(tx, &hashes).await?;
                let runners: HashMap<_, _> = found
                    .into_iter()
                    .map(|(hash, runner)| (hash, Arc::new(runner)))
                    .collect();
                let named: Vec<(RunnerId, &str)> = asked
                    .iter()
                    .filter_map(|(hash, system)| Some((runners.get(hash)?.id, system.as_str())))
                    .collect();
                let machines = runners::list_managers_named(tx, &named).await?;
                let machines: HashMap<_, _> = machines
                    .into_iter()
                    .map(|one| ((one.runner_id, one.system_id.clone()), Arc::new(one)))
                    .collect();
                Ok::<_, Error>((runners, machines))
            })
            .await?;
        let found = names.iter().map(|(hash, system)| {
            let runner = Arc::clone(runners.get(hash)?);
            let machine = machines.get(&(runner.id, system.clone())).cloned();
            Some((runner, machine))
        });
        list = found.collect();
        self.keep(moment, |kept| {
            for (name, found) in names.into_iter().zip(&list) {
                if let Some((runner, Some(machine))) = found {
                    let known = (Arc::clone(runner), Arc::clone(machine));
                    kept.runners.insert(name, known);
                }
            }
        });
        Ok(list)
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

/// A runner, and its machine where that is known.
type Recognized = (Arc<Runner>, Option<Arc<RunnerManager>>);

fn recognized(
    known: Option<Recognized>,
    request: &JobRequest,
    now: Timestamp,
) -> Result<(Arc<Runner>, Seen)> {
    let (runner, before) = known
        .filter(|_| request.token.len() <= TOKEN_LIMIT)
        .filter(|(runner, _)| runner.token_expires_at.is_none_or(|end| end > now))
        .ok_or(Error::FORBIDDEN)?;
    let seen = manager(runner.id, request.system_id.as_deref(), &request.info, now)?;
    let fresh =
        |at: Option<Timestamp>| at.is_some_and(|at| now.since(at).as_secs() < CONTACT_SECONDS);
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
    Ok((runner, seen))
}
