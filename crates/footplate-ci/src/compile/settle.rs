//! Last steps of a pipeline: needs that rules took away, and pipelines without a real job (`ci-yaml.md §13.2`, `§22`).

use std::collections::HashSet;

use crate::{CompiledJob, Diagnostic, Outcome};

/// Takes the jobs that rules left, drops optional needs on absent ones, and says what became of the pipeline.
///
/// # Errors
/// Every need on a job that is not there, and every job with more than `need_limit` needs.
pub fn settle(
    mut jobs: Vec<CompiledJob>,
    need_limit: usize,
) -> Result<(Outcome, Vec<CompiledJob>), Vec<Diagnostic>> {
    let errors = need_errors(&jobs, need_limit);
    if !errors.is_empty() {
        return Err(errors);
    }
    if jobs.iter().all(|job| is_edge(&job.stage)) {
        return Ok((Outcome::Empty, Vec::new()));
    }
    let present: HashSet<String> = jobs.iter().map(|job| job.name.clone()).collect();
    for needs in jobs.iter_mut().filter_map(|job| job.needs.as_mut()) {
        needs.retain(|need| present.contains(&need.name));
    }
    Ok((Outcome::Created, jobs))
}

fn is_edge(stage: &str) -> bool {
    matches!(stage, ".pre" | ".post")
}

fn need_errors(jobs: &[CompiledJob], limit: usize) -> Vec<Diagnostic> {
    let present: HashSet<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    jobs.iter()
        .flat_map(|job| messages(job, &present, limit))
        .collect()
}

fn messages(job: &CompiledJob, present: &HashSet<&str>, limit: usize) -> Vec<Diagnostic> {
    let needs = job.needs.as_deref().unwrap_or_default();
    let texts = if needs.len() > limit {
        vec![format!(
            "{}: one job can only need {limit} others, but you have listed {}. See needs keyword documentation for more details",
            job.name,
            needs.len()
        )]
    } else {
        needs
            .iter()
            .filter(|need| !need.optional && !present.contains(need.name.as_str()))
            .map(|need| {
                format!(
                    "'{}' job needs '{name}' job, but '{name}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. To need a job that sometimes does not exist in the pipeline, use needs:optional.",
                    job.name,
                    name = need.name
                )
            })
            .collect()
    };
    let place = |error: Diagnostic| match &job.place {
        Some(place) => error.at(place.clone()),
        None => error,
    };
    texts
        .into_iter()
        .map(Diagnostic::error)
        .map(place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::checks::tests::job;

    #[test]
    fn a_need_that_rules_took_away_fails_the_pipeline() {
        let errors = settle(vec![job("a", "test", &["b"])], 50)
            .err()
            .unwrap_or_default();
        assert_eq!(
            errors
                .iter()
                .map(|error| error.message.as_str())
                .collect::<Vec<_>>(),
            [
                "'a' job needs 'b' job, but 'b' does not exist in the pipeline. This might be because of the only, except, or rules keywords. To need a job that sometimes does not exist in the pipeline, use needs:optional."
            ]
        );
    }

    #[test]
    fn an_optional_need_is_dropped_and_leaves_an_empty_list() {
        let mut with = job("a", "test", &["b"]);
        for need in with.needs.iter_mut().flatten() {
            need.optional = true;
        }
        let settled = settle(vec![with], 50).ok();
        let needs = settled.map(|(outcome, jobs)| (outcome, jobs[0].needs.clone()));
        assert_eq!(needs, Some((Outcome::Created, Some(Vec::new()))));
    }

    #[test]
    fn edge_stages_alone_make_no_pipeline() {
        let edges = vec![job("a", ".pre", &[]), job("b", ".post", &[])];
        assert_eq!(settle(edges, 50).ok(), Some((Outcome::Empty, Vec::new())));
        assert_eq!(
            settle(Vec::new(), 50).ok(),
            Some((Outcome::Empty, Vec::new()))
        );
    }

    #[test]
    fn too_many_needs_are_counted() {
        let errors = settle(vec![job("a", "test", &["b", "c"])], 1)
            .err()
            .unwrap_or_default();
        assert_eq!(
            errors[0].message,
            "a: one job can only need 1 others, but you have listed 2. See needs keyword documentation for more details"
        );
    }
}
