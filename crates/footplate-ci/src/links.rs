//! Checks between jobs; the first fault is the only one (`ci-yaml.md §23.4`).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use footplate_model::Need;

use crate::{
    diagnostic::Diagnostic,
    expand::{Instance, of_rule},
    job::MAX_NAME,
    suggest::did_you_mean,
    yaml::Span,
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
        if fault.is_some() {
            return fault;
        }
    }
    let (message, culprit) = cycle(instances).or_else(|| long_name(instances))?;
    Some(Diagnostic::new(message, culprit.job.span))
}

/// A fault of a job, where it says what is wrong, or where it stands itself.
fn told(instance: &Instance, place: Option<Span>, message: String) -> Diagnostic {
    Diagnostic::new(message, place.unwrap_or(instance.job.span))
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
    fn stage(&self, stages: &[String], instance: &Instance) -> Option<Diagnostic> {
        let stage = instance.job.stage.as_str();
        if self.stages.contains_key(stage) {
            return None;
        }
        let message = format!(
            "{} job: chosen stage {stage} does not exist; available stages are {}",
            instance.name,
            stages.join(", ")
        );
        let help = did_you_mean(stage, stages.iter().map(String::as_str));
        Some(told(instance, instance.job.places.stage, message).with_help(help))
    }

    /// What a job was probably called: not the one that speaks of it.
    fn meant(&self, own: &Instance, name: &str) -> Option<String> {
        let jobs = self.by_name.values().map(|other| other.job.name.as_str());
        // Of two that are equally near the same is told every time.
        let jobs: BTreeSet<&str> = jobs.filter(|job| *job != own.job.name).collect();
        did_you_mean(name, jobs)
    }

    /// A job that another refers to: it exists, and not in a later stage or in one that does not exist.
    fn target(&self, own: &Instance, kind: &str, name: &str, optional: bool) -> Option<Diagnostic> {
        let places = &own.job.places;
        let place = match kind {
            "need" => places.need(name),
            _ => places.dependency(name),
        };
        let fault = |text: String| Some(told(own, place, format!("{} job: {text}", own.name)));
        let Some(other) = self.by_name.get(name) else {
            if optional {
                return None;
            }
            let fault = fault(format!("undefined {kind}: {name}"))?;
            return Some(fault.with_help(self.meant(own, name)));
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

    fn dependencies(&self, instance: &Instance) -> Option<Diagnostic> {
        let names = instance.dependencies.iter().flatten();
        names
            .filter_map(|name| self.target(instance, "dependency", name, false))
            .next()
    }

    fn needs_of(&self, instance: &Instance) -> Option<Diagnostic> {
        let own = instance.needs.as_deref().unwrap_or_default();
        self.needs(instance, own).or_else(|| {
            let rules = instance.job.rules.iter().flatten();
            rules
                .filter_map(|rule| Some((rule, rule.needs.as_deref()?)))
                .find_map(|(rule, written)| {
                    let fault = self.needs(instance, &of_rule(written))?;
                    let span = rule.span;
                    Some(Diagnostic { span, ..fault })
                })
        })
    }

    fn needs(&self, instance: &Instance, needs: &[Need]) -> Option<Diagnostic> {
        let wrong = needs
            .iter()
            .find_map(|need| self.target(instance, "need", &need.name, need.optional));
        wrong.or_else(|| {
            let doubled = doubled(needs);
            let first = doubled.first()?;
            let message = format!(
                "{} has the following needs duplicated: {}.",
                instance.name,
                doubled.join(", ")
            );
            Some(told(
                instance,
                instance.job.places.need_again(first),
                message,
            ))
        })
    }

    /// The jobs whose artifacts hold the configuration of a child pipeline; one that is not there fails the bridge, not the pipeline.
    fn artifact_of_child(&self, instance: &Instance) -> Option<Diagnostic> {
        let include = instance.job.keywords.get("trigger")?.get("include")?;
        let items = include
            .as_array()
            .map_or_else(|| std::slice::from_ref(include), Vec::as_slice);
        items
            .iter()
            .filter_map(|item| item["job"].as_str())
            .find_map(|name| self.target(instance, "dependency", name, true))
    }

    fn on_stop(&self, instance: &Instance) -> Option<Diagnostic> {
        let environment = instance.job.keywords.get("environment")?;
        let stop = environment["on_stop"].as_str()?;
        let fault = |text: &str| {
            let message = format!("{} job: on_stop job {stop} {text}", instance.name);
            Some(told(instance, instance.job.places.on_stop, message))
        };
        let Some(target) = self.by_name.get(stop) else {
            let help = self.meant(instance, stop);
            return fault("is not defined").map(|fault| fault.with_help(help));
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
