//! Checks between jobs, in GitLab's order; the first error is the only one (`ci-yaml.md §23.4`).

use std::collections::{HashMap, HashSet};

use footplate_model::Need;

use super::graph::find_circle;
use crate::{CompiledJob, Diagnostic};

/// Checks all jobs after `parallel` was expanded.
///
/// # Errors
/// The first fault, at the place of its job.
pub fn check_jobs(
    stages: &[String],
    jobs: &[CompiledJob],
    need_name_limit: usize,
) -> Result<(), Diagnostic> {
    let checker = Checker {
        stages,
        stage_index: index(stages.iter().map(String::as_str)),
        jobs: jobs.iter().map(|job| (job.name.as_str(), job)).collect(),
        need_name_limit,
    };
    for job in jobs {
        checker
            .check(job)
            .map_err(|message| located(job, message))?;
    }
    let graph: Vec<(&str, Vec<&str>)> = jobs
        .iter()
        .map(|job| (job.name.as_str(), needed_names(job)))
        .collect();
    match find_circle(&graph) {
        None => Ok(()),
        Some(circle) => Err(Diagnostic::error(format!(
            "The pipeline has circular dependencies: {circle}"
        ))),
    }
}

fn located(job: &CompiledJob, message: String) -> Diagnostic {
    let error = Diagnostic::error(message);
    match &job.place {
        Some(place) => error.at(place.clone()),
        None => error,
    }
}

fn index<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    names.enumerate().map(|(at, name)| (name, at)).collect()
}

fn needed_names(job: &CompiledJob) -> Vec<&str> {
    let needs = job.needs.iter().flatten();
    needs.map(|need| need.name.as_str()).collect()
}

struct Checker<'a> {
    stages: &'a [String],
    stage_index: HashMap<&'a str, usize>,
    jobs: HashMap<&'a str, &'a CompiledJob>,
    need_name_limit: usize,
}

impl Checker<'_> {
    fn check(&self, job: &CompiledJob) -> Result<(), String> {
        self.stage(job)?;
        for dependency in job.dependencies.iter().flatten() {
            self.reachable(job, dependency, "dependency", false)?;
        }
        for needs in job.needs.iter().chain(&job.rule_needs) {
            self.needs(job, needs)?;
        }
        self.on_stop(job)
    }

    fn stage(&self, job: &CompiledJob) -> Result<(), String> {
        if self.stage_index.contains_key(job.stage.as_str()) {
            return Ok(());
        }
        Err(format!(
            "{} job: chosen stage {} does not exist; available stages are {}",
            job.name,
            job.stage,
            self.stages.join(", ")
        ))
    }

    fn reachable(
        &self,
        job: &CompiledJob,
        name: &str,
        what: &str,
        optional: bool,
    ) -> Result<(), String> {
        let Some(target) = self.jobs.get(name) else {
            return if optional {
                Ok(())
            } else {
                Err(format!("{} job: undefined {what}: {name}", job.name))
            };
        };
        let (own, other) = (
            self.stage_index.get(job.stage.as_str()),
            self.stage_index.get(target.stage.as_str()),
        );
        if other.is_some() && other <= own {
            return Ok(());
        }
        Err(format!(
            "{} job: {what} {name} is not defined in current or prior stages",
            job.name
        ))
    }

    fn needs(&self, job: &CompiledJob, needs: &[Need]) -> Result<(), String> {
        for need in needs {
            if need.name.chars().count() > self.need_name_limit {
                return Err(format!(
                    "{} job: need `{}` name is too long (maximum is {} characters)",
                    job.name, need.name, self.need_name_limit
                ));
            }
            self.reachable(job, &need.name, "need", need.optional)?;
        }
        let (mut seen, mut repeated) = (HashSet::new(), Vec::new());
        for need in needs {
            if !seen.insert(need.name.as_str()) && !repeated.contains(&need.name.as_str()) {
                repeated.push(need.name.as_str());
            }
        }
        if repeated.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} has the following needs duplicated: {}.",
            job.name,
            repeated.join(", ")
        ))
    }

    fn on_stop(&self, job: &CompiledJob) -> Result<(), String> {
        let Some(environment) = &job.options.environment else {
            return Ok(());
        };
        let Some(on_stop) = &environment.on_stop else {
            return Ok(());
        };
        let fail = |what: &str| Err(format!("{} job: on_stop job {on_stop} {what}", job.name));
        let Some(stopper) = self.jobs.get(on_stop.as_str()) else {
            return fail("is not defined");
        };
        let Some(stopped) = &stopper.options.environment else {
            return fail("does not have environment defined");
        };
        if stopped.name != environment.name {
            return fail("have different environment name");
        }
        if stopped.action.as_deref() != Some("stop") {
            return fail("needs to have action stop defined");
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use footplate_model::{JobKind, SchedulingType, When};
    use indexmap::IndexMap;

    use super::*;
    use crate::{
        JobOptions,
        compiled::{Environment, RootVariables},
    };

    /// A plain job for tests of this folder.
    pub(in crate::compile) fn job(name: &str, stage: &str, needs: &[&str]) -> CompiledJob {
        let need = |name: &&str| Need {
            name: (*name).to_owned(),
            artifacts: true,
            optional: false,
        };
        CompiledJob {
            kind: JobKind::Build,
            name: name.to_owned(),
            base_name: name.to_owned(),
            group_name: name.to_owned(),
            stage: stage.to_owned(),
            stage_idx: 0,
            when: When::OnSuccess,
            start_in: None,
            start_in_text: None,
            allow_failure: false,
            allow_failure_exit_codes: None,
            scheduling_type: SchedulingType::Stage,
            needs: (!needs.is_empty()).then(|| needs.iter().map(need).collect()),
            rule_needs: Vec::new(),
            cross_dependencies: Vec::new(),
            dependencies: None,
            tags: Vec::new(),
            interruptible: None,
            resource_group: None,
            resource_group_expanded: None,
            environment_expanded: None,
            coverage_regex: None,
            timeout: None,
            instance: None,
            variables: IndexMap::new(),
            rule_variables: IndexMap::new(),
            root_variables_inheritance: RootVariables::All(true),
            options: JobOptions::default(),
            only: None,
            except: None,
            rules: None,
            place: None,
        }
    }

    fn message(jobs: &[CompiledJob]) -> Option<String> {
        let stages = [".pre", "build", "test", "deploy", ".post"].map(str::to_owned);
        check_jobs(&stages, jobs, 255)
            .err()
            .map(|error| error.message)
    }

    #[test]
    fn a_stage_must_be_listed() {
        assert_eq!(
            message(&[job("rspec", "acceptance", &[])]).as_deref(),
            Some(
                "rspec job: chosen stage acceptance does not exist; available stages are .pre, build, test, deploy, .post"
            )
        );
    }

    #[test]
    fn needs_are_defined_earlier_and_once() {
        let build = job("build1", "build", &[]);
        let with = |needs: &[&str]| message(&[build.clone(), job("test1", "test", needs)]);
        assert_eq!(with(&["build1"]), None);
        assert_eq!(
            with(&["undefined"]).as_deref(),
            Some("test1 job: undefined need: undefined")
        );
        assert_eq!(
            with(&["build1", "build1", "build1"]).as_deref(),
            Some("test1 has the following needs duplicated: build1.")
        );
        assert_eq!(
            message(&[job("build", "build", &["test"]), job("test", "test", &[])]).as_deref(),
            Some("build job: need test is not defined in current or prior stages")
        );
    }

    #[test]
    fn an_optional_need_may_be_absent_and_a_long_one_may_not_be_written() {
        let mut test = job("test1", "test", &["absent"]);
        for need in test.needs.iter_mut().flatten() {
            need.optional = true;
        }
        assert_eq!(message(std::slice::from_ref(&test)), None);
        for need in test.needs.iter_mut().flatten() {
            need.name = "n".repeat(256);
        }
        assert!(message(&[test]).is_some_and(|text| text.ends_with("(maximum is 255 characters)")));
    }

    #[test]
    fn needs_of_rules_are_checked_too() {
        let mut test = job("test1", "test", &[]);
        test.rule_needs = job("x", "test", &["nowhere"]).needs.into_iter().collect();
        assert_eq!(
            message(&[test]).as_deref(),
            Some("test1 job: undefined need: nowhere")
        );
    }

    #[test]
    fn dependencies_come_from_earlier_stages() {
        let mut test = job("test1", "test", &[]);
        test.dependencies = Some(vec!["deploy".to_owned()]);
        assert_eq!(
            message(&[test.clone(), job("deploy", "deploy", &[])]).as_deref(),
            Some("test1 job: dependency deploy is not defined in current or prior stages")
        );
        assert_eq!(
            message(&[test]).as_deref(),
            Some("test1 job: undefined dependency: deploy")
        );
    }

    #[test]
    fn the_job_that_stops_has_the_same_environment_and_stops_it() {
        let environment = |name: &str, action: Option<&str>, on_stop: Option<&str>| {
            Some(Environment {
                name: name.to_owned(),
                action: action.map(str::to_owned),
                on_stop: on_stop.map(str::to_owned),
                ..Environment::default()
            })
        };
        let mut start = job("start", "deploy", &[]);
        start.options.environment = environment("review", None, Some("stop"));
        let mut stop = job("stop", "deploy", &[]);
        assert_eq!(
            message(std::slice::from_ref(&start)).as_deref(),
            Some("start job: on_stop job stop is not defined")
        );
        assert_eq!(
            message(&[start.clone(), stop.clone()]).as_deref(),
            Some("start job: on_stop job stop does not have environment defined")
        );
        stop.options.environment = environment("other", Some("stop"), None);
        assert_eq!(
            message(&[start.clone(), stop.clone()]).as_deref(),
            Some("start job: on_stop job stop have different environment name")
        );
        stop.options.environment = environment("review", None, None);
        assert_eq!(
            message(&[start.clone(), stop.clone()]).as_deref(),
            Some("start job: on_stop job stop needs to have action stop defined")
        );
        stop.options.environment = environment("review", Some("stop"), None);
        assert_eq!(message(&[start, stop]), None);
    }

    #[test]
    fn circles_are_found_last() {
        let jobs = [
            job("job_a", "test", &["job_c"]),
            job("job_b", "test", &["job_a"]),
            job("job_c", "test", &["job_b"]),
        ];
        assert_eq!(
            message(&jobs).as_deref(),
            Some(
                "The pipeline has circular dependencies: topological sort failed: [\"job_a\", \"job_c\", \"job_b\"]"
            )
        );
    }
}
