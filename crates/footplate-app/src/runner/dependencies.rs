//! Whose artifacts a job takes (`pipeline-processing.md §13.1`).

use std::collections::BTreeSet;

use footplate_model::{Job, SchedulingType};
use serde_json::Value as Json;

use crate::definition::Definition;

/// Jobs of the same pipeline whose artifacts the job takes, in the order of their ids.
pub(crate) fn artifact_sources<'j>(
    jobs: &'j [Job],
    job: &Job,
    definition: &Definition,
) -> Vec<&'j Job> {
    let named = definition.job.dependencies.as_deref();
    let latest = jobs
        .iter()
        .filter(|other| !other.retried && other.id != job.id);
    latest
        .filter(|other| match job.scheduling_type {
            SchedulingType::Dag => job
                .needs
                .iter()
                .any(|need| need.artifacts && need.name == other.name),
            SchedulingType::Stage => other.stage_idx < job.stage_idx,
        })
        .filter(|other| named.is_none_or(|names| names.contains(&other.name)))
        .collect()
}

/// Which jobs of a pipeline [`artifact_sources`] of some of its jobs can be among.
#[derive(Debug, Default)]
pub(super) struct Giving {
    /// All stages before this one.
    before: i64,
    /// Jobs by their names.
    names: BTreeSet<String>,
}

impl Giving {
    /// Those for one more job; `first` = the pipeline's first stage.
    pub(super) fn add(&mut self, job: &Job, definition: &Definition, first: Option<i64>) {
        if definition
            .job
            .dependencies
            .as_ref()
            .is_some_and(Vec::is_empty)
        {
            return;
        }
        match job.scheduling_type {
            SchedulingType::Dag => {
                let taken = job.needs.iter().filter(|need| need.artifacts);
                self.names.extend(taken.map(|need| need.name.clone()));
            }
            SchedulingType::Stage if first.is_some_and(|first| first < job.stage_idx) => {
                self.before = self.before.max(job.stage_idx);
            }
            SchedulingType::Stage => {}
        }
    }

    /// The stage and the names as a JSON list; `None` where nobody gives anything.
    pub(super) fn asked(&self) -> Option<(i64, String)> {
        let something = self.before > 0 || !self.names.is_empty();
        something.then(|| {
            (
                self.before,
                Json::from_iter(self.names.iter().cloned()).to_string(),
            )
        })
    }
}
