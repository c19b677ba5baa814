//! The status of many jobs as one (`pipeline-processing.md §4`).

use footplate_model::Status;

/// What counts of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Its status.
    pub status: Status,
    /// A failure does not count.
    pub allow_failure: bool,
}

/// A status as it counts, one bit each.
const SUCCESS_WITH_WARNINGS: u32 = 1 << 13;
const IGNORED: u32 = 1 << 14;

const fn bit(status: Status) -> u32 {
    1 << status as u32
}

fn counted(input: Input) -> u32 {
    match input.status {
        Status::Failed | Status::Canceled if input.allow_failure => SUCCESS_WITH_WARNINGS,
        Status::Manual if input.allow_failure => IGNORED,
        status => bit(status),
    }
}

/// Whether some job failed or was canceled but was allowed to.
pub fn has_warnings(inputs: impl IntoIterator<Item = Input>) -> bool {
    inputs
        .into_iter()
        .any(|input| counted(input) == SUCCESS_WITH_WARNINGS)
}

/// Which statuses there are among some jobs: all that their composite depends on, so that it grows job by job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen(u32);

impl Seen {
    /// One job more.
    pub(crate) fn add(&mut self, input: Input) {
        self.0 |= counted(input);
    }

    /// The composite of those that were added; as [`composite`].
    pub(crate) fn composite(self, dag: bool) -> Option<Status> {
        of_set(self.0, dag)
    }
}

/// The composite; `None` for no jobs, which callers read as success. `dag` = the jobs are the needs of one job.
pub fn composite(inputs: impl IntoIterator<Item = Input>, dag: bool) -> Option<Status> {
    let mut seen = Seen::default();
    inputs.into_iter().for_each(|input| seen.add(input));
    seen.composite(dag)
}

fn of_set(set: u32, dag: bool) -> Option<Status> {
    use Status::{
        Canceled, Canceling, Created, Failed, Manual, Pending, Preparing, Running, Scheduled,
        Skipped, Success, WaitingForCallback, WaitingForResource,
    };
    let any = |bits: u32| set & bits != 0;
    let only = |bits: u32| set & !bits == 0;
    let quiet = SUCCESS_WITH_WARNINGS | IGNORED;
    let rules = [
        (dag && any(bit(Skipped) | IGNORED), Skipped),
        (only(bit(Skipped) | IGNORED), Skipped),
        (only(bit(Success) | bit(Skipped) | quiet), Success),
        (only(bit(Created) | quiet), Created),
        (only(bit(Preparing) | quiet), Preparing),
        (
            only(bit(Canceled) | bit(Success) | bit(Skipped) | quiet),
            Canceled,
        ),
        (
            only(bit(Pending) | bit(Created) | bit(Skipped) | quiet),
            Pending,
        ),
        (any(bit(Running) | bit(Pending)), Running),
        (any(bit(WaitingForResource)), WaitingForResource),
        (any(bit(WaitingForCallback)), WaitingForCallback),
        (any(bit(Manual)), Manual),
        (any(bit(Scheduled)), Scheduled),
        (any(bit(Preparing)), Preparing),
        (any(bit(Created)), Running),
        (any(bit(Canceling)), Canceling),
    ];
    (set != 0).then(|| {
        rules
            .iter()
            .find(|(hit, _)| *hit)
            .map_or(Failed, |(_, status)| *status)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules once more, by names and in words, slow and obvious.
    fn obvious(inputs: &[Input], dag: bool) -> Option<Status> {
        let names: Vec<&str> = inputs
            .iter()
            .map(|input| match (input.status.as_str(), input.allow_failure) {
                ("failed" | "canceled", true) => "sww",
                ("manual", true) => "ignored",
                (name, _) => name,
            })
            .collect();
        let only = |allowed: &[&str]| names.iter().all(|name| allowed.contains(name));
        let has = |name: &str| names.contains(&name);
        let word = if names.is_empty() {
            return None;
        } else if (dag && (has("skipped") || has("ignored"))) || only(&["skipped", "ignored"]) {
            "skipped"
        } else if only(&["success", "skipped", "sww", "ignored"]) {
            "success"
        } else if only(&["created", "sww", "ignored"]) {
            "created"
        } else if only(&["preparing", "sww", "ignored"]) {
            "preparing"
        } else if only(&["canceled", "success", "skipped", "sww", "ignored"]) {
            "canceled"
        } else if only(&["pending", "created", "skipped", "sww", "ignored"]) {
            "pending"
        } else if has("running") || has("pending") {
            "running"
        } else if has("waiting_for_resource") {
            "waiting_for_resource"
        } else if has("waiting_for_callback") {
            "waiting_for_callback"
        } else if has("manual") {
            "manual"
        } else if has("scheduled") {
            "scheduled"
        } else if has("preparing") {
            "preparing"
        } else if has("created") {
            "running"
        } else if has("canceling") {
            "canceling"
        } else {
            "failed"
        };
        Status::parse(word)
    }

    proptest! {
        #[test]
        fn agrees_with_its_obvious_twin(picks in prop::collection::vec((0..Status::ALL.len(), any::<bool>()), 0..6), dag: bool) {
            let inputs: Vec<Input> = picks.iter().map(|(n, allow_failure)| Input { status: Status::ALL[*n], allow_failure: *allow_failure }).collect();
            prop_assert_eq!(composite(inputs.clone(), dag), obvious(&inputs, dag));
        }
    }
}
