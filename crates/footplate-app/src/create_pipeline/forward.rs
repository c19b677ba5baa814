//! What a bridge knows, and the variables that it gives to its downstream pipeline (`pipeline-processing.md §12.5`).

use std::collections::HashSet;

use footplate_ci::variables::{DirectOptions, Variable, expand_existing};
use footplate_model::{GivenVariable, Project, VariableType};
use footplate_store::Tx;

use super::{author_login, child::Start, context::compiler_variables, rows::fill};
use crate::{
    App, Error, Result,
    variables::{
        facts::CommitFacts,
        job::{JobContext, job_variables_of},
        material::{Subject, material},
        secrets::Protected,
    },
};

impl App {
    /// Everything that a bridge knows, and what of it a value for `target` may tell (`pipeline-processing.md §12.5`).
    /// What is protected in this project is not told to another.
    pub(super) async fn known(&self, start: &Start, target: Option<&Project>) -> Result<Known> {
        let sha = footplate_git::Sha::parse(&start.pipeline.sha)?;
        let commit = self
            .commit_of_project(start.project.id, &sha)
            .await?
            .ok_or_else(|| Error::internal("the commit of a pipeline is gone"))?;
        let tag = start.pipeline.tag.then_some(&*start.pipeline.ref_name);
        let before = &start.pipeline.before_sha;
        let facts = self
            .commit_facts(start.project.id, &commit, before, tag)
            .await?;
        let (keys, server) = (self.keys().clone(), self.settings().server.clone());
        let (from, on) = (&start.project, start.bridge.protected);
        let protected = match target {
            Some(target) => Protected::towards(on, from, target),
            None => Protected::on(on),
        };
        let (start, email) = (start.clone(), commit.author.email.clone());
        let all = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let facts = CommitFacts {
                    author_login: author_login(tx, &email).await?,
                    ..facts.clone()
                };
                let subject = Subject {
                    project: &start.project,
                    pipeline: &start.pipeline,
                    job: &start.bridge,
                    dotenv_from: &start.sources,
                    protected,
                };
                let material = material(tx, &keys, &subject).await?;
                let context = JobContext {
                    server: &server,
                    project: &start.project,
                    pipeline: &start.pipeline,
                    job: &start.bridge,
                    definition: &start.definition,
                    user: Some(&start.user),
                    commit: &facts,
                    runner: None,
                    token: None,
                };
                Ok::<_, Error>(job_variables_of(&context, material))
            })
            .await?;
        Ok(Known(compiler_variables(&all)))
    }
}

/// The variables of a bridge.
pub(super) struct Known(Vec<Variable>);

impl Known {
    /// A name or ref; unknown variables vanish.
    pub(super) fn fill(&self, text: &str) -> String {
        fill(text, &self.0)
    }

    /// A value on its way downstream; unknown variables stay text.
    fn value(&self, value: &str) -> String {
        expand_existing(value, &self.0, DirectOptions::default())
            .unwrap_or_else(|_| value.to_owned())
    }

    /// What goes downstream; of one name only what wins.
    pub(super) fn forwarded(&self, start: &Start) -> Vec<GivenVariable> {
        let forward = &start.definition.keyword("trigger")["forward"];
        let mut list: Vec<GivenVariable> = Vec::new();
        if forward["yaml_variables"].as_bool().unwrap_or(true) {
            let own = start.definition.job.variables.iter();
            list.extend(own.map(|variable| GivenVariable {
                key: variable.key.clone(),
                value: variable.value.clone(),
                variable_type: VariableType::EnvVar,
                raw: variable.raw,
            }));
        }
        if forward["pipeline_variables"].as_bool().unwrap_or(false) {
            list.extend(start.dotenv.iter().chain(&start.given).cloned());
        }
        for variable in &mut list {
            if !variable.raw && variable.variable_type == VariableType::EnvVar {
                variable.value = self.value(&variable.value);
            }
        }
        let mut names = HashSet::new();
        list.reverse();
        list.retain(|variable| names.insert(variable.key.clone()));
        list.reverse();
        list
    }
}
