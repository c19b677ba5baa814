//! Rows that seldom change and that every claim asks for again, kept for a moment (DESIGN §4: users and projects that do not change); and
//! jobs that wait with their pipelines, for a shorter one: what is decided from these is guarded where it is written (ADR 8).
//!
//! What is kept is forgotten when such a row is changed by this process, before whoever changed it is answered
//! ([`Topic::Facts`]), and after a second in any case, for what another process changes.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use footplate_model::{Project, ProjectId, Runner, RunnerManager, User, UserId};
use footplate_store::{Topic, Tx, id_list, projects, users};

use crate::{App, Result, runner::Table, variables::secrets::Around};

/// Nothing is kept for longer.
const MOMENT: Duration = Duration::from_secs(1);
/// Rows of one kind, at most.
const MANY: usize = 10_000;

/// The place where they are kept.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Kept>);

/// When something was read: what was read before a change is not kept after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moment(u64);

/// A runner and one of its machines.
pub(crate) type Known = (Arc<Runner>, Arc<RunnerManager>);

/// What is kept.
#[derive(Default)]
pub(crate) struct Kept {
    moment: Moment,
    since: Option<Instant>,
    /// By the hash of the token and the name of the machine.
    pub(crate) runners: HashMap<(Vec<u8>, String), Known>,
    pub(crate) users: HashMap<UserId, Arc<User>>,
    pub(crate) projects: HashMap<ProjectId, Arc<Project>>,
    /// The variables around projects.
    pub(crate) around: HashMap<ProjectId, Arc<Around>>,
    /// Logins by e-mail address; `None` where nobody has it.
    pub(crate) logins: HashMap<String, Option<String>>,
    /// Jobs that wait for runners.
    pub(crate) waiting: Table,
}

impl Kept {
    pub(crate) fn keep_users(&mut self, users: &HashMap<UserId, Arc<User>>) {
        add(&mut self.users, users);
    }

    pub(crate) fn keep_projects(&mut self, projects: &HashMap<ProjectId, Arc<Project>>) {
        add(&mut self.projects, projects);
    }

    pub(crate) fn keep_around(&mut self, around: &HashMap<ProjectId, Arc<Around>>) {
        add(&mut self.around, around);
    }

    fn largest(&self) -> usize {
        self.runners
            .len()
            .max(self.users.len())
            .max(self.projects.len())
            .max(self.around.len())
            .max(self.logins.len())
            .max(self.waiting.len())
    }
}

/// Users by their ids, from memory where they are kept.
pub(crate) async fn users_of(
    tx: &mut Tx<'_>,
    app: &App,
    mut ids: BTreeSet<UserId>,
) -> Result<HashMap<UserId, Arc<User>>> {
    let mut all = known(&app.kept().users, &mut ids);
    if !ids.is_empty() {
        let list = users::list_by_ids(tx, &id_list(ids.iter().map(|id| id.0))).await?;
        all.extend(list.into_iter().map(|one| (one.id, Arc::new(one))));
    }
    Ok(all)
}

/// Projects by their ids, from memory where they are kept.
pub(crate) async fn projects_of(
    tx: &mut Tx<'_>,
    app: &App,
    mut ids: BTreeSet<ProjectId>,
) -> Result<HashMap<ProjectId, Arc<Project>>> {
    let mut all = known(&app.kept().projects, &mut ids);
    if !ids.is_empty() {
        let list = projects::list_by_ids(tx, &id_list(ids.iter().map(|id| id.0))).await?;
        all.extend(list.into_iter().map(|one| (one.id, Arc::new(one))));
    }
    Ok(all)
}

fn add<K: Copy + Eq + Hash, T>(kept: &mut HashMap<K, Arc<T>>, found: &HashMap<K, Arc<T>>) {
    for (id, one) in found {
        kept.entry(*id).or_insert_with(|| Arc::clone(one));
    }
}

/// Those that are kept; their ids are taken away.
pub(crate) fn known<K: Copy + Ord + Hash, T>(
    kept: &HashMap<K, Arc<T>>,
    ids: &mut BTreeSet<K>,
) -> HashMap<K, Arc<T>> {
    let found = ids
        .iter()
        .filter_map(|id| Some((*id, Arc::clone(kept.get(id)?))));
    let found: HashMap<K, Arc<T>> = found.collect();
    ids.retain(|id| !found.contains_key(id));
    found
}

impl App {
    /// What is kept and still holds.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        let moment = self.moment();
        let mut kept = self
            .memory()
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let over = kept.since.is_none_or(|since| since.elapsed() >= MOMENT);
        if over || kept.moment != moment || kept.largest() >= MANY {
            *kept = Kept {
                moment,
                since: Some(Instant::now()),
                ..Kept::default()
            };
        }
        kept
    }

    /// To be asked for before the rows are read, outside of any transaction that writes.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.db().wakes(Topic::Facts))
    }

    /// Keeps what was read since then, unless something has changed.
    pub(crate) fn keep(&self, read: Moment, keep: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept();
        if kept.moment == read {
            keep(&mut kept);
        }
    }
}
