//! Checks between jobs; the first fault is the only one (`ci-yaml.md §23.4`).

use std::collections::{HashMap, HashSet};

use footplate_model::Need;

use crate::{
    diagnostic::Diagnostic,
    expand::{Instance, Names},
    job::Job,
};

const MAX_NEED_NAME: usize = 255;
const MAX_NEEDS: usize = 50;

struct Links<'c> {
    stages: HashMap<&'c str, usize>,
    by_name: HashMap<&'c str, &'c Instance>,
}

/// The first fault between jobs.
pub fn check(stages: &[String], jobs: &[Job], instances: &[Instance]) -> Option<Diagnostic> {
    let links = Links {
        stages: stages
            .iter()
            .enumerate()
            .map(|(index, stage)| (stage.as_str(), index))
            .collect(),
        by_name: instances
            .iter()
            .map(|instance| (instance.name.as_str(), instance))
            .collect(),
    };
    let names = Names::of(jobs);
    for instance in instances {
        let fault = links
            .stage(stages, instance)
            .or_else(|| links.dependencies(instance))
            .or_else(|| links.needs_of(instance, &names))
            .or_else(|| links.on_stop(instance, jobs));
        if let Some(message) = fault {
            return Some(Diagnostic::new(message, instance.job.span));
        }
    }
    cycle(instances).map(|message| {
        Diagnostic::new(
            message,
            instances
                .first()
                .map(|instance| instance.job.span)
                .unwrap_or_default(),
        )
    })
}

impl Links<'_> {
    fn stage(&self, stages: &[String], instance: &Instance) -> Option<String> {
        let stage = &instance.job.stage;
        (!self.stages.contains_key(stage.as_str())).then(|| {
            format!(
                "{} job: chosen stage {stage} does not exist; available stages are {}",
                instance.job.name,
                stages.join(", ")
            )
        })
    }

    fn is_later(&self, instance: &Instance, other: &Instance) -> bool {
        self.stages.get(other.job.stage.as_str()) > self.stages.get(instance.job.stage.as_str())
    }

    fn dependencies(&self, instance: &Instance) -> Option<String> {
        instance.dependencies.iter().flatten().find_map(|name| {
            match self.by_name.get(name.as_str()) {
                None => Some(format!(
                    "{} job: undefined dependency: {name}",
                    instance.name
                )),
                Some(other) if self.is_later(instance, other) => Some(format!(
                    "{} job: dependency {name} is not defined in current or prior stages",
                    instance.name
                )),
                Some(_) => None,
            }
        })
    }

    fn needs_of(&self, instance: &Instance, names: &Names) -> Option<String> {
        let rule_needs = instance
            .job
            .rules
            .iter()
            .flatten()
            .filter_map(|rule| rule.needs.as_ref());
        let all = rule_needs.map(|written| names.needs(written, &[]));
        instance
            .needs
            .iter()
            .cloned()
            .chain(all)
            .find_map(|needs| self.needs(instance, &needs))
    }

    fn needs(&self, instance: &Instance, needs: &[Need]) -> Option<String> {
        let own = &instance.name;
        for need in needs {
            let name = &need.name;
            match self.by_name.get(name.as_str()) {
                None if need.optional => {}
                None => return Some(format!("{own} job: undefined need: {name}")),
                Some(_) if name.chars().count() > MAX_NEED_NAME => {
                    return Some(format!(
                        "{own} job: need `{name}` name is too long (maximum is {MAX_NEED_NAME} characters)"
                    ));
                }
                Some(other) if self.is_later(instance, other) => {
                    return Some(format!(
                        "{own} job: need {name} is not defined in current or prior stages"
                    ));
                }
                Some(_) => {}
            }
        }
        let mut seen = HashSet::new();
        let mut doubled: Vec<&str> = needs
            .iter()
            .map(|need| need.name.as_str())
            .filter(|name| !seen.insert(*name))
            .collect();
        doubled.dedup();
        if !doubled.is_empty() {
            return Some(format!(
                "{own} has the following needs duplicated: {}.",
                doubled.join(", ")
            ));
        }
        (needs.len() > MAX_NEEDS)
            .then(|| format!("{own}: one job can only need {MAX_NEEDS} others, but you have listed {}. See needs keyword documentation for more details", needs.len()))
    }

    fn on_stop(&self, instance: &Instance, jobs: &[Job]) -> Option<String> {
        let environment = instance.job.keywords.get("environment")?;
        let stop = environment["on_stop"].as_str()?;
        let own = &instance.name;
        let Some(target) = jobs.iter().find(|job| job.name == stop) else {
            return Some(format!("{own} job: on_stop job {stop} is not defined"));
        };
        let Some(other) = target.keywords.get("environment") else {
            return Some(format!(
                "{own} job: on_stop job {stop} does not have environment defined"
            ));
        };
        if other["name"] != environment["name"] {
            return Some(format!(
                "{own} job: on_stop job {stop} have different environment name"
            ));
        }
        (other["action"] != "stop")
            .then(|| format!("{own} job: on_stop job {stop} needs to have action stop defined"))
    }
}

/// Jobs that need each other in a circle, as Ruby's `tsort` finds them.
fn cycle(instances: &[Instance]) -> Option<String> {
    let index: HashMap<&str, usize> = instances
        .iter()
        .enumerate()
        .map(|(at, instance)| (instance.name.as_str(), at))
        .collect();
    let edges: Vec<Vec<usize>> = instances
        .iter()
        .map(|instance| {
            instance
                .needs
                .iter()
                .flatten()
                .filter_map(|need| index.get(need.name.as_str()).copied())
                .collect()
        })
        .collect();
    if let Some(own) = (0..edges.len()).find(|at| edges[*at].contains(at)) {
        return Some(format!(
            "The pipeline has circular dependencies: self-dependency: {}",
            instances[own].name
        ));
    }
    let circle = crate::variables::strong_components(&edges)
        .into_iter()
        .find(|component| component.len() > 1)?;
    let names: Vec<&str> = circle
        .iter()
        .rev()
        .map(|at| instances[*at].name.as_str())
        .collect();
    Some(format!(
        "The pipeline has circular dependencies: topological sort failed: {names:?}"
    ))
}
