//! Which candidates a look is offered beside another one that has some of their pipelines for itself.

use std::collections::{HashMap, HashSet, VecDeque};

use footplate_model::{PipelineId, ProjectId};
use footplate_store::queue::Candidate;

/// Candidates for one kind of runners, and how many of these ask.
pub(super) struct Wanting<'c> {
    pub(super) candidates: &'c [Candidate],
    pub(super) seekers: usize,
}

/// What of the candidates for one kind of runners is offered in a look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// Others of them are of pipelines that another look has for itself.
    pub(super) locked: bool,
    /// Others of them are of pipelines that this look need not lock.
    pub(super) cut: bool,
}

/// What a look locks and is offered.
pub(super) struct Division {
    pub(super) pipelines: HashSet<PipelineId>,
    /// By the lists.
    pub(super) offered: Vec<Vec<Candidate>>,
    /// By the lists.
    pub(super) shares: Vec<Share>,
}

/// Offers those whose turn it is, as many as ask, and what else is of the same pipelines; everything that is not `busy`, if `all`.
pub(super) fn divide(lists: &[Wanting<'_>], busy: &HashSet<PipelineId>, all: bool) -> Division {
    let turns = lists.iter().map(|list| in_turn(list.candidates, busy));
    let turns: Vec<Vec<Candidate>> = turns.collect();
    let mut pipelines: HashSet<PipelineId> = HashSet::new();
    for (list, turns) in lists.iter().zip(&turns) {
        let wanted = if all { usize::MAX } else { list.seekers };
        pipelines.extend(turns.iter().take(wanted).map(|of| of.pipeline));
    }
    let (mut offered, mut shares) = (Vec::new(), Vec::new());
    for (list, turns) in lists.iter().zip(&turns) {
        let mine = turns.iter().filter(|of| pipelines.contains(&of.pipeline));
        let mine: Vec<Candidate> = mine.copied().collect();
        shares.push(Share {
            locked: turns.len() < list.candidates.len(),
            cut: mine.len() < turns.len(),
        });
        offered.push(mine);
    }
    Division {
        pipelines,
        offered,
        shares,
    }
}

/// The candidates that are not locked, as it is the turn of their projects. A project whose turn it is and that has nothing else
/// keeps those behind it waiting, so that no other project gets ahead of it.
fn in_turn(candidates: &[Candidate], busy: &HashSet<PipelineId>) -> Vec<Candidate> {
    let mut free: HashMap<ProjectId, VecDeque<Candidate>> = HashMap::new();
    for of in candidates {
        if !busy.contains(&of.pipeline) {
            free.entry(of.project).or_default().push_back(*of);
        }
    }
    candidates
        .iter()
        .map_while(|turn| free.get_mut(&turn.project)?.pop_front())
        .collect()
}

#[cfg(test)]
mod tests {
    use footplate_model::JobId;

    use super::*;

    /// Candidates by project and pipeline.
    fn list(of: &[(i64, i64)]) -> Vec<Candidate> {
        let one = |(job, (project, pipeline)): (i64, &(i64, i64))| Candidate {
            job: JobId(job),
            pipeline: PipelineId(*pipeline),
            project: ProjectId(*project),
            running: 0,
        };
        (0..).zip(of).map(one).collect()
    }

    fn order(candidates: &[Candidate], busy: &[i64]) -> Vec<i64> {
        let busy = busy.iter().copied().map(PipelineId).collect();
        in_turn(candidates, &busy)
            .iter()
            .map(|of| of.job.0)
            .collect()
    }

    #[test]
    fn no_project_gets_ahead_because_another_is_locked() {
        let two = list(&[(1, 10), (2, 20), (1, 11), (2, 20), (1, 11)]);
        assert_eq!(order(&two, &[]), [0, 1, 2, 3, 4]);
        // The second project has nothing but what is locked: its turn is waited for.
        assert_eq!(order(&two, &[20]), [0]);
        // The first one has something else for its turns, but not for all of them.
        assert_eq!(order(&two, &[10]), [2, 1, 4, 3]);
        assert_eq!(order(&two, &[10, 11]), [0; 0]);
    }
}
