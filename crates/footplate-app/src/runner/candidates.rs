//! Which waiting jobs a runner may take, in the order in which it is offered them (`runner-protocol.md §3.1`, `§3.2`).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use footplate_model::{JobId, NamespaceId, Runner, RunnerAccessLevel, RunnerId, RunnerType};
use footplate_store::{
    Topic, Tx,
    queue::{self, CANDIDATES, Candidate, Wanted},
};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::{App, Error, Result};

/// Candidates are offered and their rows believed for no longer, because another process may have changed the queue.
pub(super) const FRESH: Duration = Duration::from_millis(50);

/// What decides which jobs a runner is offered: runners that are alike are offered the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reach {
    from: From,
    tags: BTreeSet<String>,
    run_untagged: bool,
    protected_only: bool,
}

/// Where the projects are that a runner serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum From {
    Instance,
    Group(NamespaceId),
    Projects(RunnerId),
    Nowhere,
}

impl Reach {
    pub(super) fn of(runner: &Runner) -> Self {
        Self {
            from: match (runner.runner_type, runner.group_id) {
                (RunnerType::Instance, _) => From::Instance,
                (RunnerType::Group, Some(group)) => From::Group(group),
                (RunnerType::Group, None) => From::Nowhere,
                (RunnerType::Project, _) => From::Projects(runner.id),
            },
            tags: runner.tag_list.iter().cloned().collect(),
            run_untagged: runner.run_untagged,
            protected_only: runner.access_level == RunnerAccessLevel::RefProtected,
        }
    }

    /// Whether a job with these tags may run there.
    fn fits(&self, tags: &[String]) -> bool {
        let untagged = tags.is_empty() && !self.run_untagged;
        !untagged && tags.iter().all(|tag| self.tags.contains(tag))
    }
}

/// Candidates of one kind of runners.
pub(super) struct Offer {
    pub(super) jobs: Vec<Candidate>,
    /// The queue may have more.
    full: bool,
}

/// What the queue offers. What nobody took is offered again as long as the queue was not woken.
#[derive(Default)]
pub(super) struct Offers {
    /// How often the queue had been woken before it was read.
    woken: u64,
    read: Option<Instant>,
    lists: HashMap<Reach, Offer>,
    /// Jobs that wait, at most a thousand.
    pub(super) queue_size: i64,
}

impl Offers {
    /// Reads what is not known or may have changed; how often the queue had been woken before that.
    pub(super) async fn renew(&mut self, app: &App, reaches: &[Reach]) -> Result<u64> {
        let woken = app.db().wakes(Topic::Queue);
        let fresh = self.read.is_some_and(|read| read.elapsed() < FRESH);
        if !fresh || self.woken != woken {
            *self = Self {
                woken,
                read: Some(Instant::now()),
                ..Self::default()
            };
        }
        self.lists
            .retain(|_, offer| !offer.jobs.is_empty() || !offer.full);
        let known = |reach: &&Reach| !self.lists.contains_key(*reach);
        let unknown: Vec<Reach> = reaches.iter().filter(known).cloned().collect();
        if unknown.is_empty() {
            return Ok(woken);
        }
        let wanted = unknown.clone();
        let (lists, queue_size) = app
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let count = queue::ask_count_to_thousand(tx)?;
                let lists = candidates(tx, &wanted).await?;
                Ok::<_, Error>((lists, count.all(tx).await?))
            })
            .await?;
        self.queue_size = queue_size.into_iter().sum();
        let offers = lists.into_iter().map(|jobs| Offer {
            full: jobs.len() >= CANDIDATES,
            jobs,
        });
        self.lists.extend(unknown.into_iter().zip(offers));
        Ok(woken)
    }

    pub(super) fn jobs(&self, reach: &Reach) -> &[Candidate] {
        self.lists.get(reach).map_or(&[], |offer| &offer.jobs)
    }

    /// Whether the queue may have more for them.
    pub(super) fn full(&self, reach: &Reach) -> bool {
        self.lists.get(reach).is_some_and(|offer| offer.full)
    }

    /// Offers these to nobody any more; most of them were taken out of the queue.
    pub(super) fn forget(&mut self, gone: &HashSet<JobId>) {
        let left = self.queue_size.saturating_sub_unsigned(gone.len() as u64);
        self.queue_size = left.max(0);
        for offer in self.lists.values_mut() {
            offer.jobs.retain(|one| !gone.contains(&one.job));
        }
    }
}

/// The candidates of several kinds of runners, in the order of `reaches`.
async fn candidates(tx: &mut Tx<'_>, reaches: &[Reach]) -> Result<Vec<Vec<Candidate>>> {
    let mut waiting = Vec::new();
    for set in queue::list_tag_sets(tx).await? {
        let tags: Vec<String> = serde_json::from_str(&set).map_err(Error::internal)?;
        waiting.push((set, tags));
    }
    let mut lists = Vec::with_capacity(reaches.len());
    for reach in reaches {
        let sets: Vec<&str> = waiting
            .iter()
            .filter(|(_, tags)| reach.fits(tags))
            .map(|(set, _)| set.as_str())
            .collect();
        if sets.is_empty() {
            lists.push(Vec::new());
            continue;
        }
        let wanted = Wanted {
            tag_sets: Json::from(sets).to_string(),
            protected_only: reach.protected_only,
        };
        lists.push(match reach.from {
            From::Instance => queue::list_for_instance(tx, &wanted).await?,
            From::Group(group) => queue::list_for_group(tx, group, &wanted).await?,
            From::Projects(runner) => queue::list_for_project_runner(tx, runner, &wanted).await?,
            From::Nowhere => Vec::new(),
        });
    }
    Ok(lists)
}
