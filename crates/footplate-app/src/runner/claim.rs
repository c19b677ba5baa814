//! Jobs are claimed for those who wait: one transaction for many (`runner-protocol.md §3`).

use std::{collections::HashSet, sync::Arc};

use footplate_model::{
    Job, JobId, Pipeline, PipelineId, Project, Runner, RunnerManagerId, RunnerType, TimeoutSource,
    Timestamp, User,
};
use footplate_pipeline::Event;
use footplate_store::{
    Keys, Tx, id_list,
    queue::{self, Candidate, Handed},
};
use serde_json::{Map, Value as Json};

use super::table::{Found, Row, Table};
use crate::{
    App, Error, Result,
    definition::Definition,
    movement::{begin, happen_to, key, load},
    variables::material::Sealed,
};

/// So many jobs on instance runners are told of; more are shown as `5+`.
const INSTANCE_JOBS: i64 = 6;

/// One who asks for a job.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) runner: Arc<Runner>,
    pub(super) manager: RunnerManagerId,
    pub(super) features: Arc<Map<String, Json>>,
    /// Which list of candidates is offered.
    pub(super) offered: usize,
}

/// A job that was taken.
pub(super) struct Claimed {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) job: Job,
    /// Jobs whose artifacts or variables it takes.
    pub(super) sources: Vec<Job>,
    pub(super) definition: Arc<Definition>,
    pub(super) project: Arc<Project>,
    pub(super) user: Option<Arc<User>>,
    pub(super) token: String,
    /// Jobs of the project that run on instance runners, at most six; `None` where that does not matter.
    pub(super) instance_jobs: Option<i64>,
}

/// A job that was taken for somebody.
pub(super) struct Taken {
    /// The place of its asker.
    pub(super) place: usize,
    pub(super) claimed: Claimed,
    /// What is stored of its variables; an error spoils the job.
    pub(super) sealed: Result<Sealed>,
}

/// What became of a look at the queue.
#[derive(Default)]
pub(super) struct Claims {
    /// Jobs that were taken.
    pub(super) taken: Vec<Taken>,
    /// Jobs that must fail instead of running.
    pub(super) unfit: Vec<(JobId, PipelineId)>,
    /// Some were gone before they could be taken.
    pub(super) lost: bool,
    /// Taken, unfit or lost: nobody needs to look at them again.
    pub(super) gone: HashSet<JobId>,
}

impl App {
    /// Gives each asker the first of its candidates that fits, as far as they reach. All that is written is written at once.
    pub(super) async fn claim(
        &self,
        asks: Vec<Ask>,
        offered: Vec<Vec<Candidate>>,
    ) -> Result<Claims> {
        let (now, keys, app) = (self.now(), self.keys().clone(), self.clone());
        let moment = self.moment();
        let (claims, found) = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let mut round = Round {
                    asks: &asks,
                    left: (0..asks.len()).collect(),
                    offered: offered.iter().map(|list| list.iter().copied()).collect(),
                    claims: Claims::default(),
                };
                let mut found: Vec<Found> = Vec::new();
                loop {
                    let next = round.next();
                    if next.is_empty() {
                        break;
                    }
                    let of: Vec<Candidate> = next.iter().map(|next| next.of).collect();
                    let mut table = Table::read(tx, &app, &of, now).await?;
                    let chosen = round.choose(&table, &next);
                    round.hand_out(tx, &keys, &mut table, chosen, now).await?;
                    found.push(table.found);
                }
                Ok::<_, Error>((round.claims, found))
            })
            .await?;
        // The next claims find it in memory.
        self.keep(moment, |kept| {
            found.iter().for_each(|found| found.keep(kept));
        });
        Ok(claims)
    }

    /// Lets a job that may not run fail, if it still waits and still may not.
    pub(super) async fn fail_unfit(&self, job: JobId, pipeline: PipelineId) -> Result<()> {
        let (now, app) = (self.now(), self.clone());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let Some(loaded) = load(tx, pipeline).await? else {
                    return Ok(());
                };
                let again = Candidate {
                    job,
                    pipeline,
                    project: loaded.pipeline.project_id,
                    running: 0,
                };
                let table = Table::read(tx, &app, &[again], now).await?;
                if let Some(reason) = table.row(job).and_then(Row::refusal) {
                    let event = Event::Drop {
                        job: key(job),
                        reason,
                        exit_code: None,
                    };
                    happen_to(tx, &loaded, event, now).await?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// Askers and candidates of one look, as they become fewer.
struct Round<'r> {
    asks: &'r [Ask],
    /// Places of those who have nothing yet.
    left: Vec<usize>,
    offered: Vec<std::iter::Copied<std::slice::Iter<'r, Candidate>>>,
    claims: Claims,
}

/// A candidate, and the list that it stands on.
#[derive(Clone, Copy)]
struct Next {
    of: Candidate,
    list: usize,
}

/// A job for an asker.
struct Chosen {
    asker: usize,
    job: JobId,
    /// Jobs of its project on instance runners.
    running: i64,
}

impl Round<'_> {
    /// The candidates to look at next: of each list as many as there are askers left for it.
    fn next(&mut self) -> Vec<Next> {
        let (asks, left, gone) = (self.asks, &self.left, &self.claims.gone);
        let mut next = Vec::new();
        for (list, offered) in self.offered.iter_mut().enumerate() {
            let wanted = left
                .iter()
                .filter(|asker| asks[**asker].offered == list)
                .count();
            let fresh = offered
                .filter(|of| !gone.contains(&of.job))
                .map(|of| Next { of, list });
            next.extend(fresh.take(wanted));
        }
        next
    }

    /// Who gets what: each job goes to the first asker that is offered it and has the features for it.
    fn choose(&mut self, table: &Table, next: &[Next]) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        for Next { of, list } in next {
            if self.claims.gone.contains(&of.job) {
                continue;
            }
            let Some(row) = table.row(of.job) else {
                self.claims.gone.insert(of.job);
                self.claims.lost = true;
                continue;
            };
            if row.refusal().is_some() {
                self.claims.gone.insert(of.job);
                self.claims.unfit.push((of.job, of.pipeline));
                continue;
            }
            let demanded = row.definition.as_deref().map(demanded).unwrap_or_default();
            let fits = |asker: &usize| {
                let ask = &self.asks[*asker];
                let on = |name: &str| ask.features.get(name).is_some_and(|on| *on == true);
                ask.offered == *list && demanded.iter().all(|name| on(name))
            };
            if let Some(place) = self.left.iter().position(fits) {
                let asker = self.left.remove(place);
                self.claims.gone.insert(of.job);
                chosen.push(Chosen {
                    asker,
                    job: of.job,
                    running: of.running,
                });
            }
        }
        chosen
    }

    /// Takes the chosen jobs out of the queue and lets them run.
    async fn hand_out(
        &mut self,
        tx: &mut Tx<'_>,
        keys: &Keys,
        table: &mut Table,
        chosen: Vec<Chosen>,
        now: Timestamp,
    ) -> Result<()> {
        if chosen.is_empty() {
            return Ok(());
        }
        queue::take(tx, &id_list(chosen.iter().map(|chosen| chosen.job.0)))?;
        let taken: Vec<Taken> = chosen
            .iter()
            .filter_map(|chosen| {
                let ask = &self.asks[chosen.asker];
                let mut claimed = table.claimed(chosen.job, ask, now)?;
                let on_instance = ask.runner.runner_type == RunnerType::Instance;
                let running = (chosen.running + 1).min(INSTANCE_JOBS);
                claimed.instance_jobs = on_instance.then_some(running);
                Some(Taken {
                    place: chosen.asker,
                    sealed: table.sealed(chosen.job)?,
                    claimed,
                })
            })
            .collect();
        let assigned: Vec<&Job> = taken.iter().map(|taken| &taken.claimed.job).collect();
        begin(tx, &table.narrowed(&assigned), &assigned, now).await?;
        let handed: Vec<Handed<'_>> = taken
            .iter()
            .map(|Taken { place, claimed, .. }| {
                let runner = &self.asks[*place].runner;
                Handed {
                    job_id: claimed.job.id,
                    project_id: claimed.project.id,
                    runner_id: runner.id,
                    instance_runner: runner.runner_type == RunnerType::Instance,
                    token: &claimed.token,
                    timeout: claimed.job.timeout.unwrap_or_default(),
                }
            })
            .collect();
        queue::insert_running(tx, keys, &handed, now)?;
        self.claims.taken.extend(taken);
        Ok(())
    }
}

/// Features that a job asks for (`runner-protocol.md §3.4`).
pub(super) fn demanded(definition: &Definition) -> Vec<&'static str> {
    let artifacts = definition.keyword("artifacts");
    let exit_codes =
        definition.engine.exit_codes.is_some() || !definition.engine.retry.exit_codes.is_empty();
    let fallback = definition
        .keyword("cache")
        .as_array()
        .is_some_and(|caches| {
            caches.iter().any(|cache| {
                cache["fallback_keys"]
                    .as_array()
                    .is_some_and(|keys| !keys.is_empty())
            })
        });
    [
        ("upload_multiple_artifacts", !artifacts["reports"].is_null()),
        ("artifacts_exclude", !artifacts["exclude"].is_null()),
        (
            "multi_build_steps",
            !definition.keyword("release").is_null(),
        ),
        ("return_exit_code", exit_codes),
        ("fallback_cache_keys", fallback),
        (
            "native_steps_integration",
            !definition.keyword("run").is_null(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, asked)| asked.then_some(name))
    .collect()
}

/// `runner-protocol.md §3.5`
pub(super) fn timeout(
    definition: &Definition,
    project: &Project,
    runner: &Runner,
) -> (i64, TimeoutSource) {
    let written = definition.keyword("timeout");
    let own = written
        .as_i64()
        .or_else(|| written.as_str().and_then(crate::create_pipeline::seconds));
    let (seconds, source) = match own {
        Some(seconds) => (seconds, TimeoutSource::Job),
        None => (project.settings.build_timeout, TimeoutSource::Project),
    };
    match runner.maximum_timeout {
        Some(most) if most < seconds => (most, TimeoutSource::Runner),
        Some(_) | None => (seconds, source),
    }
}
