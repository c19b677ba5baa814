//! Faults that show when all jobs are decided: of jobs, and of what they need (`ci-yaml.md §22`).

use std::{collections::HashSet, sync::Arc};

use super::{Chosen, Evaluated, Outcome};
use crate::{diagnostic::Diagnostic, expand::Instance, yaml::Span};

const MAX_NEEDS: usize = 50;

/// Faults of jobs, told in the order of stages.
pub(super) struct Faults<'c> {
    stages: &'c [String],
    list: Vec<(usize, Diagnostic)>,
}

impl<'c> Faults<'c> {
    pub(super) fn new(stages: &'c [String]) -> Self {
        Self {
            stages,
            list: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, instance: &Instance, fault: Diagnostic) {
        let stage = &instance.job.stage;
        let index = self.stages.iter().position(|known| known == stage);
        self.list.push((index.unwrap_or(self.stages.len()), fault));
    }

    fn in_order(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|(stage, _)| *stage);
        self.list.into_iter().map(|(_, fault)| fault).collect()
    }
}

/// Needs of the chosen jobs, and whether anything is left.
pub(super) fn finish(result: &mut Evaluated, mut faults: Faults<'_>) {
    let present: Vec<Arc<Instance>> = result
        .jobs
        .iter()
        .map(|job| Arc::clone(&job.instance))
        .collect();
    let names: HashSet<&str> = present
        .iter()
        .map(|instance| instance.name.as_str())
        .collect();
    for job in &mut result.jobs {
        let Some(needs) = &mut job.needs else {
            continue;
        };
        let own = &job.instance.name;
        if needs.len() > MAX_NEEDS {
            let count = needs.len();
            let message = format!(
                "{own}: one job can only need {MAX_NEEDS} others, but you have listed {count}. See needs keyword documentation for more details"
            );
            let fault = Diagnostic::new(message, job.instance.job.span);
            faults.add(&job.instance, fault);
            continue;
        }
        for need in needs
            .iter()
            .filter(|need| !need.optional && !names.contains(need.name.as_str()))
        {
            let other = &need.name;
            let message = format!(
                "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
                 To need a job that sometimes does not exist in the pipeline, use needs:optional."
            );
            let absent = result.absent.iter().find(|(name, _)| name == other);
            let help = absent
                .map(|(_, why)| format!("`{other}` is not in this pipeline: {}", why.decided_by));
            let written = &job.instance.job;
            let span = written.places.need(other).unwrap_or(written.span);
            let fault = Diagnostic::new(message, span).with_help(help);
            faults.add(&job.instance, fault);
        }
        needs.retain(|need| names.contains(need.name.as_str()));
    }
    result.errors = faults.in_order();
    let edges_only = |job: &Chosen| matches!(job.instance.job.stage.as_str(), ".pre" | ".post");
    if !result.errors.is_empty() {
        result.outcome = Outcome::Error;
    } else if result.jobs.iter().all(edges_only) {
        result.outcome = Outcome::Empty;
        let message = "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.";
        result
            .errors
            .push(Diagnostic::new(message, Span::default()));
    }
}
