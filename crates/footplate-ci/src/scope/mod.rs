//! Which variables each place of a configuration sees: layers that are looked up, never copied (`pipeline-processing.md §14`, `§19`,
//! `ci-yaml.md §9.2`).
//!
//! Includes see what exists before the pipeline does; workflow rules see the pipeline too; a job's rules see the job, its
//! environment, and the variables that belong to that environment.

mod circles;
mod job;
mod lookup;
mod own;
mod pipeline;
mod texts;

pub use job::JobScope;
pub use lookup::{Lookup, Seen};
pub use pipeline::PipelineScope;
use texts::refers;
pub use texts::{fill, filled, reachable};

use crate::variables::Variable;

/// A variable that belongs to some environments only.
#[derive(Debug, Clone)]
pub struct ScopedVariable {
    /// Pattern of the names of its environments.
    pub scope: String,
    /// How many of [`Context::overriding`](crate::Context::overriding) stand below it.
    pub place: usize,
    /// The variable.
    pub variable: Variable,
}

/// Variables that are not there yet for includes, or only there for some jobs.
#[derive(Debug, Clone, Default)]
pub struct Later {
    /// Below the configuration's own, from the moment the configuration is read: `CI_PIPELINE_IID`.
    pub predefined: Vec<Variable>,
    /// Above the configuration's own and below [`Context::overriding`](crate::Context::overriding): the user.
    pub user: Vec<Variable>,
    /// Among [`Context::overriding`](crate::Context::overriding), for jobs with a fitting environment; of equal places later ones win.
    pub scoped: Vec<ScopedVariable>,
}

#[cfg(test)]
mod tests {
    use footplate_model::{JobKind, PipelineSource};
    use serde_json::json;

    use super::*;
    use crate::{config::Config, job::Job, pipeline::Context};

    fn plain(key: &str, value: &str) -> Variable {
        Variable {
            key: key.to_owned(),
            value: value.to_owned(),
            ..Variable::default()
        }
    }

    fn context() -> Context {
        Context {
            ref_name: "main".to_owned(),
            tag: false,
            source: PipelineSource::Push,
            project: None,
            predefined: vec![plain("P", "1")],
            overriding: vec![plain("GROUP", "all"), plain("GIVEN", "yes")],
            later: Later {
                predefined: vec![plain("CI_PIPELINE_IID", "7")],
                user: vec![plain("GITLAB_USER_LOGIN", "ann")],
                scoped: ["review/*", "review/a"]
                    .map(|scope| ScopedVariable {
                        scope: scope.to_owned(),
                        place: 1,
                        variable: plain("GROUP", scope),
                    })
                    .to_vec(),
            },
        }
    }

    /// What a job of an environment sees, without what is predefined of the job itself.
    fn seen_in(environment: &str) -> String {
        let mut job = Job::new("job", crate::yaml::Span::default(), JobKind::Build);
        let keyword = json!({"name": environment});
        job.keywords.insert("environment", keyword);
        let instance = crate::expand::expand(&[std::sync::Arc::new(job)])
            .expect("a job without parallel")
            .remove(0);
        let (context, config) = (context(), Config::default());
        let pipeline = PipelineScope::new(&context, &config, &[]);
        let scope = JobScope::new(&pipeline, &instance, &[]);
        for variable in scope.list() {
            let newest = scope.list().into_iter().rev();
            let counts = newest.into_iter().find(|other| other.key == variable.key);
            let counts = counts.map(|counts| counts.value);
            let seen = scope.seen(&variable.key).map(|seen| seen.value.to_owned());
            assert_eq!(seen, counts, "{}", variable.key);
        }
        let own = |variable: &Variable| {
            !variable.key.starts_with("CI_JOB")
                && !variable.key.starts_with("CI_NODE")
                && !variable.key.starts_with("CI_ENVIRONMENT")
        };
        let list = scope.list().into_iter().filter(own);
        let list: Vec<String> = list
            .map(|variable| format!("{}={}", variable.key, variable.value))
            .collect();
        list.join(" ")
    }

    #[test]
    fn layers_stand_in_their_order() {
        assert_eq!(
            seen_in("review/a"),
            "P=1 CI_PIPELINE_IID=7 GITLAB_USER_LOGIN=ann GROUP=all GROUP=review/* GROUP=review/a GIVEN=yes"
        );
        assert_eq!(
            seen_in("production"),
            "P=1 CI_PIPELINE_IID=7 GITLAB_USER_LOGIN=ann GROUP=all GIVEN=yes"
        );
    }
}
