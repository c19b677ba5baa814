//! Checks between jobs; the first fault is the only one (`ci-yaml.md §23.4`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use footplate_model::Need;

use crate::{
    diagnostic::Diagnostic,
    expand::{Instance, of_rule},
    job::MAX_NAME,
};

const MAX_NEED_NAME: usize = 255;

struct Links<'c> {
    stages: HashMap<&'c str, usize>,
    by_name: HashMap<&'c str, &'c Instance>,
}

/// The first fault between jobs.
pub fn check(stages: &[String], instances: &[Arc<Instance>]) -> Option<Diagnostic> {
    let links = Links {
        stages: stages
            .iter()
            .enumerate()
            .map(|(index, stage)| (stage.as_str(), index))
            .collect(),
        by_name: instances
            .iter()
            .map(|instance| (instance.name.as_str(), &**instance))
            .collect(),
    };
    for instance in instances {
        let fault = links
            .stage(stages, instance)
            .or_else(|| links.dependencies(instance))
            .or_else(|| links.needs_of(instance))
            .or_else(|| links.artifact_of_child(instance))
            .or_else(|| links.on_stop(instance));
        if let Some(message) = fault {
            return Some(Diagnostic::new(message, instance.job.span));
        }
    }
    let (message, culprit) = cycle(instances).or_else(|| long_name(instances))?;
    Some(Diagnostic::new(message, culprit.job.span))
}

/// A name may grow too long by `parallel`.
fn long_name(instances: &[Arc<Instance>]) -> Option<(String, &Instance)> {
    let culprit = instances
        .iter()
        .find(|instance| instance.name.chars().count() > MAX_NAME)?;
    let message = format!(
        "jobs:{} name is too long (maximum is {MAX_NAME} characters)",
        culprit.name
    );
    Some((message, culprit))
}

impl Links<'_> {
    fn stage(&self, stages: &[String], instance: &Instance) -> Option<String> {
        let stage = &instance.job.stage;
        (!self.stages.contains_key(stage.as_str())).then(|| {
            format!(
                "{} job: chosen stage {stage} does not exist; available stages are {}",
                instance.name,
                stages.join(", ")
            )
        })
    }

    /// A job that another refers to: it exists, and not in a later stage or in one that does not exist.
    fn target(&self, own: &Instance, kind: &str, name: &str, optional: bool) -> Option<String> {
        let fault = |text: String| Some(format!("{} job: {text}", own.name));
        let Some(other) = self.by_name.get(name) else {
            return if optional {
                None
            } else {
                fault(format!("undefined {kind}: {name}"))
            };
        };
        if kind == "need" && name.chars().count() > MAX_NEED_NAME {
            return fault(format!(
                "need `{name}` name is too long (maximum is {MAX_NEED_NAME} characters)"
            ));
        }
        let index = |instance: &Instance| self.stages.get(instance.job.stage.as_str());
        if index(other).is_none_or(|stage| Some(stage) > index(own)) {
            return fault(format!(
                "{kind} {name} is not defined in current or prior stages"
            ));
        }
        None
    }

    fn dependencies(&self, instance: &Instance) -> Option<String> {
        let names = instance.dependencies.iter().flatten();
        names
            .filter_map(|name| self.target(instance, "dependency", name, false))
            .next()
    }

    fn needs_of(&self, instance: &Instance) -> Option<String> {
        let own = instance.needs.as_deref().unwrap_or_default();
        self.needs(instance, own).or_else(|| {
            let rules = instance.job.rules.iter().flatten();
            rules
                .filter_map(|rule| rule.needs.as_deref())
                .find_map(|written| self.needs(instance, &of_rule(written)))
        })
    }

    fn needs(&self, instance: &Instance, needs: &[Need]) -> Option<String> {
        let wrong = needs
            .iter()
            .find_map(|need| self.target(instance, "need", &need.name, need.optional));
        wrong.or_else(|| {
            let doubled = doubled(needs);
            (!doubled.is_empty()).then(|| {
                format!(
                    "{} has the following needs duplicated: {}.",
                    instance.name,
                    doubled.join(", ")
                )
            })
        })
    }

    /// The jobs whose artifacts hold the configuration of a child pipeline; one that is not there fails the bridge, not the pipeline.
    fn artifact_of_child(&self, instance: &Instance) -> Option<String> {
        let include = instance.job.keywords.get("trigger")?.get("include")?;
        let items = include
            .as_array()
            .map_or_else(|| std::slice::from_ref(include), Vec::as_slice);
        items
            .iter()
            .filter_map(|item| item["job"].as_str())
            .find_map(|name| self.target(instance, "dependency", name, true))
    }

    fn on_stop(&self, instance: &Instance) -> Option<String> {
        let environment = instance.job.keywords.get("environment")?;
        let stop = environment["on_stop"].as_str()?;
        let fault = |text: &str| Some(format!("{} job: on_stop job {stop} {text}", instance.name));
        let Some(target) = self.by_name.get(stop) else {
            return fault("is not defined");
        };
        let Some(other) = target.job.keywords.get("environment") else {
            return fault("does not have environment defined");
        };
        if other["name"] != environment["name"] {
            return fault("have different environment name");
        }
        if other["action"] == "stop" {
            return None;
        }
        fault("needs to have action stop defined")
    }
}

/// Names that stand more than once, in the order of their first places.
fn doubled(needs: &[Need]) -> Vec<&str> {
    let (mut seen, mut again) = (HashSet::new(), HashSet::new());
    again.extend(
        needs
            .iter()
            .map(|need| need.name.as_str())
            .filter(|name| !seen.insert(*name)),
    );
    let names = needs.iter().map(|need| need.name.as_str());
    names.filter(|name| again.remove(name)).collect()
}

/// Jobs that need each other in a circle, as Ruby's `tsort` finds them: whichever its walk meets first, a job that needs itself as soon as
/// it is entered, a circle when it is complete.
fn cycle(instances: &[Arc<Instance>]) -> Option<(String, &Instance)> {
    const NEW: usize = usize::MAX;
    let index: HashMap<&str, usize> = instances
        .iter()
        .enumerate()
        .map(|(at, instance)| (instance.name.as_str(), at))
        .collect();
    let edges: Vec<Vec<usize>> = instances
        .iter()
        .map(|instance| {
            let needs = instance.needs.iter().flatten();
            needs
                .filter_map(|need| index.get(need.name.as_str()).copied())
                .collect()
        })
        .collect();
    let fault = |text: String, at: usize| {
        let message = format!("The pipeline has circular dependencies: {text}");
        Some((message, &*instances[at]))
    };
    let (mut number, mut low) = (vec![NEW; edges.len()], vec![0; edges.len()]);
    let (mut on_stack, mut stack) = (vec![false; edges.len()], Vec::new());
    for start in 0..edges.len() {
        let mut calls = Vec::new();
        if number[start] == NEW {
            calls.push((start, 0));
        }
        while let Some((node, edge)) = calls.pop() {
            if edge == 0 {
                if edges[node].contains(&node) {
                    return fault(format!("self-dependency: {}", instances[node].name), node);
                }
                number[node] = stack.len();
                low[node] = stack.len();
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(&target) = edges[node].get(edge) {
                calls.push((node, edge + 1));
                if number[target] == NEW {
                    calls.push((target, 0));
                } else if on_stack[target] {
                    low[node] = low[node].min(number[target]);
                }
                continue;
            }
            if low[node] == number[node] {
                let members = stack.split_off(number[node]);
                if let [first, _, ..] = members[..] {
                    let names: Vec<&str> = members
                        .iter()
                        .map(|at| instances[*at].name.as_str())
                        .collect();
                    return fault(format!("topological sort failed: {names:?}"), first);
                }
                on_stack[node] = false;
            }
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    None
}
