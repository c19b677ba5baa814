//! Which waiting jobs a runner may take, in the order in which it is offered them (`runner-protocol.md §3.1`, `§3.2`).

use std::collections::BTreeSet;

use footplate_model::{
    JobId, NamespaceId, PipelineId, Runner, RunnerAccessLevel, RunnerId, RunnerType,
};
use footplate_store::{
    Tx,
    queue::{self, Wanted},
};
use serde_json::Value as Json;

use crate::{Error, Result};

/// Candidates that one look brings.
pub(super) const CANDIDATES: i64 = 45;

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

/// The candidates of several kinds of runners, in the order of `reaches`.
pub(super) async fn candidates(
    tx: &mut Tx<'_>,
    reaches: &[Reach],
) -> Result<Vec<Vec<(JobId, PipelineId)>>> {
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
            limit: CANDIDATES,
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
