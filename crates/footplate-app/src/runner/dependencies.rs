//! Whose artifacts a job takes (`pipeline-processing.md §13.1`).

use footplate_model::{Job, SchedulingType};

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
