//! Jobs are claimed for those who wait (`runner-protocol.md §3`): many with one statement. It is decided from rows that are kept in memory
//! or read beforehand, and holds only where nobody has moved the pipeline since. Where somebody has, the pipelines are locked first.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use footplate_model::{
    JobId, PipelineId, Project, Runner, RunnerManagerId, TimeoutSource, Timestamp,
};
use footplate_pipeline::Event;
use footplate_store::{Tx, pipelines, queue::Candidate};
use serde_json::{Map, Value as Json};

use super::{
    handout::{Handout, Taken},
    table::{Row, Table},
};
use crate::{
    App, Error, Result,
    definition::Definition,
    movement::{happen_to, key, load},
};

/// Rows for so many looks are worth statements of their own.
const WORTH: usize = 4;

/// One who asks for a job.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) runner: Arc<Runner>,
    pub(super) manager: RunnerManagerId,
    pub(super) features: Arc<Map<String, Json>>,
    /// Which list of candidates is offered.
    pub(super) offered: usize,
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

impl Claims {
    fn add(&mut self, more: Self) {
        self.taken.extend(more.taken);
        self.unfit.extend(more.unfit);
        self.lost |= more.lost;
        self.gone.extend(more.gone);
    }

    /// Something failed after some have got their jobs: the others look again.
    fn broken_off(&mut self, error: &Error) {
        tracing::error!(%error, "a look was broken off");
        self.lost = true;
    }
}

impl App {
    /// Gives each asker the first of its candidates that fits, as far as they reach. `ahead` = what the next looks will be offered: it is
    /// read along where something has to be read.
    pub(super) async fn claim(
        &self,
        asks: Vec<Ask>,
        offered: Vec<Vec<Candidate>>,
        mut ahead: Vec<Candidate>,
    ) -> Result<Claims> {
        let asks: Arc<[Ask]> = asks.into();
        let mut claims = Claims::default();
        let mut round = Round {
            asks: &asks,
            left: (0..asks.len()).collect(),
            offered: offered.iter().map(|list| list.iter().copied()).collect(),
        };
        loop {
            let next = round.next(&claims.gone);
            if next.is_empty() {
                break;
            }
            let along = std::mem::take(&mut ahead);
            let found = self.claim_some(&asks, &round.left, next, along).await;
            let some = match found {
                Ok(some) => some,
                // Those who have a job already get it.
                Err(error) if !claims.taken.is_empty() => {
                    claims.broken_off(&error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let has_one = |place: &usize| some.taken.iter().any(|taken| taken.place == *place);
            round.left.retain(|place| !has_one(place));
            claims.add(some);
        }
        Ok(claims)
    }

    /// The same for some candidates, as many as there are askers for them.
    async fn claim_some(
        &self,
        asks: &Arc<[Ask]>,
        left: &[usize],
        next: Vec<Next>,
        ahead: Vec<Candidate>,
    ) -> Result<Claims> {
        let (now, moment) = (self.now(), self.moment());
        let mut table = self.lay(&next, ahead, now).await?;
        let (mut claims, chosen) = choose(asks, left, &table, &next);
        let mut moved: Vec<Taken> = Vec::new();
        if !chosen.is_empty() {
            let handout = Handout::of(asks, &mut table, chosen, now)?;
            let (keys, writing) = (self.keys().clone(), handout.writing);
            let held = self
                .db()
                .write(async move |tx: &mut Tx<'_>| writing.write(tx, &keys, now).await)
                .await?;
            for beginning in handout.beginnings {
                let id = beginning.held.id;
                // What was not written is forgotten.
                let standing = table.take_standing(id).filter(|_| held.contains(&id));
                if let Some(standing) = standing {
                    table.put_standing(standing.moved(&beginning, now));
                }
            }
            (claims.taken, moved) = handout
                .taken
                .into_iter()
                .partition(|taken| held.contains(&taken.claimed.job.pipeline_id));
        }
        self.keep(moment, |kept| kept.keep_waiting(table));
        if !moved.is_empty() {
            let left: Vec<usize> = moved.iter().map(|taken| taken.place).collect();
            let jobs: HashSet<JobId> = moved.iter().map(|taken| taken.claimed.job.id).collect();
            claims.gone.retain(|job| !jobs.contains(job));
            let next = next.into_iter().filter(|next| jobs.contains(&next.of.job));
            let again = self.claim_locked(Arc::clone(asks), left, next.collect(), now);
            match again.await {
                Ok(again) => claims.add(again),
                Err(error) if !claims.taken.is_empty() => claims.broken_off(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(claims)
    }

    /// What is known of the candidates. Where something is not, it is read, and what comes after them along with it; otherwise that is read
    /// while they are claimed.
    async fn lay(&self, next: &[Next], ahead: Vec<Candidate>, now: Timestamp) -> Result<Table> {
        let mut wanted: Vec<Candidate> = next.iter().map(|next| next.of).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut table = self.kept().waiting.take(&mut wanted);
        let of_table = |of: &Candidate| table.standing(of.pipeline).is_some();
        let ahead = ahead.into_iter().filter(|of| !of_table(of));
        if wanted.is_empty() {
            self.read_ahead(ahead.collect(), next.len());
            return Ok(table);
        }
        wanted.extend(ahead);
        let mine: HashSet<PipelineId> = next.iter().map(|next| next.of.pipeline).collect();
        table.join(self.read_waiting(wanted, mine, now).await?);
        Ok(table)
    }

    /// Reads jobs that wait. Those of `mine` are given back, the others are kept.
    async fn read_waiting(
        &self,
        wanted: Vec<Candidate>,
        mine: HashSet<PipelineId>,
        now: Timestamp,
    ) -> Result<Table> {
        let (moment, app) = (self.moment(), self.clone());
        let (read, found) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| Table::read(tx, &app, &wanted, now).await)
            .await?;
        let (mine, others) = read.split(&mine);
        self.keep(moment, |kept| {
            found.keep(kept);
            kept.keep_waiting(others);
        });
        Ok(mine)
    }

    /// Reads what the next looks need, once it is worth a statement: as much as several looks of `look` jobs.
    fn read_ahead(&self, mut ahead: Vec<Candidate>, look: usize) {
        self.kept().waiting.retain_unknown(&mut ahead);
        if ahead.len() < WORTH * look {
            return;
        }
        let Some(reading) = self.desk().begin_reading() else {
            return;
        };
        let app = self.clone();
        tokio::spawn(async move {
            let _reading = reading;
            let read = app.read_waiting(ahead, HashSet::new(), app.now()).await;
            if let Err(error) = read {
                tracing::warn!(%error, "jobs that wait could not be read ahead");
            }
        });
    }

    /// Claims of pipelines that somebody moved after they had been read: now nobody moves them while they are read and written.
    async fn claim_locked(
        &self,
        asks: Arc<[Ask]>,
        left: Vec<usize>,
        next: Vec<Next>,
        now: Timestamp,
    ) -> Result<Claims> {
        let (keys, app) = (self.keys().clone(), self.clone());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let of: Vec<Candidate> = next.iter().map(|next| next.of).collect();
                let pipelines: BTreeSet<PipelineId> = of.iter().map(|of| of.pipeline).collect();
                pipelines::lock_all(tx, &pipelines)?;
                let (mut table, _) = Table::read(tx, &app, &of, now).await?;
                let (mut claims, chosen) = choose(&asks, &left, &table, &next);
                if !chosen.is_empty() {
                    let handout = Handout::of(&asks, &mut table, chosen, now)?;
                    let held = handout.writing.write(tx, &keys, now).await?;
                    if held.len() < handout.beginnings.len() {
                        return Err(Error::internal("a locked pipeline was moved"));
                    }
                    claims.taken = handout.taken;
                }
                Ok::<_, Error>(claims)
            })
            .await
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
                let (table, _) = Table::read(tx, &app, &[again], now).await?;
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
}

/// A candidate, and the list that it stands on.
#[derive(Clone, Copy)]
struct Next {
    of: Candidate,
    list: usize,
}

/// A job for an asker.
pub(super) struct Chosen {
    pub(super) asker: usize,
    pub(super) job: JobId,
    /// Jobs of its project on instance runners.
    pub(super) running: i64,
}

impl Round<'_> {
    /// The candidates to look at next: of each list as many as there are askers left for it.
    fn next(&mut self, gone: &HashSet<JobId>) -> Vec<Next> {
        let (asks, left) = (self.asks, &self.left);
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
}

/// Who gets what: each job goes to the first asker that is offered it and has the features for it.
fn choose(asks: &[Ask], left: &[usize], table: &Table, next: &[Next]) -> (Claims, Vec<Chosen>) {
    let (mut claims, mut chosen) = (Claims::default(), Vec::new());
    let mut left = left.to_vec();
    for Next { of, list } in next {
        if claims.gone.contains(&of.job) {
            continue;
        }
        let Some(row) = table.row(of.job) else {
            claims.gone.insert(of.job);
            claims.lost = true;
            continue;
        };
        if row.refusal().is_some() {
            claims.gone.insert(of.job);
            claims.unfit.push((of.job, of.pipeline));
            continue;
        }
        let demanded = row.definition.as_deref().map(demanded).unwrap_or_default();
        let fits = |asker: &usize| {
            let ask = &asks[*asker];
            let on = |name: &str| ask.features.get(name).is_some_and(|on| *on == true);
            ask.offered == *list && demanded.iter().all(|name| on(name))
        };
        if let Some(place) = left.iter().position(fits) {
            claims.gone.insert(of.job);
            chosen.push(Chosen {
                asker: left.remove(place),
                job: of.job,
                running: of.running,
            });
        }
    }
    (claims, chosen)
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
