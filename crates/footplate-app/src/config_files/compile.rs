//! Compiles a configuration: the compiler asks, the application answers.

use std::collections::HashMap;

use footplate_ci::{
    Answer, Compiled, Compiler, Context, Diagnostic, PipelineWhy, Request, Source, SourceFile,
    Step,
    variables::Variable,
    yaml::{Limits, Map, Node},
};
use footplate_git::Sha;
use footplate_model::{PipelineId, PipelineSource, Project};
use tokio::time::Instant;

use super::{answer::Told, repository::Place};
use crate::{Actor, App, Error, Result};

/// Rounds of questions; each nested include needs one.
const ROUNDS: usize = 200;
const TOO_LATE: &str = "Request timed out when fetching configuration files.";

/// A text to compile.
pub(crate) struct Compilation {
    /// The root file.
    pub(crate) text: String,
    /// Its inputs.
    pub(crate) inputs: Map,
    /// The pipeline it is for; without one nothing is filtered.
    pub(crate) context: Option<Context>,
    /// Variables that includes may refer to, where there is no pipeline.
    pub(crate) variables: Vec<Variable>,
    /// A child pipeline's.
    pub(crate) child: bool,
}

/// Where files come from.
pub(crate) struct Files {
    /// The pipeline's project.
    pub(crate) project: Project,
    /// The pipeline's commit; an empty repository has none.
    pub(crate) sha: Option<Sha>,
    /// The head before a push.
    pub(crate) before_sha: Option<String>,
    /// The pipeline is for a tag.
    pub(crate) tag: bool,
    /// Where the pipeline comes from.
    pub(crate) source: PipelineSource,
    /// The parent of a child pipeline.
    pub(crate) parent: Option<PipelineId>,
    /// Whose permissions count in other projects.
    pub(crate) actor: Actor,
    /// What a simulation assumes.
    pub(crate) overrides: Overrides,
}

/// What a simulation assumes in place of git.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// The changed paths.
    pub(crate) changed: Option<Vec<String>>,
    /// Paths that exist beside those of the commit.
    pub(crate) exists: Vec<String>,
}

/// A compilation that ended, with what it was made of.
pub(crate) struct Reading {
    /// The configuration, or what is wrong with it.
    pub(crate) result: Result<Box<Compiled>, Faults>,
    /// Where the files that were asked for are.
    pub(crate) places: HashMap<Request, Place>,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// GitLab's messages with their places.
    pub(crate) errors: Vec<Diagnostic>,
    /// Warnings.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Files, as far as they were read.
    pub(crate) files: Vec<SourceFile>,
    /// The merged tree, where the files could be merged at all.
    pub(crate) merged: Option<Node>,
}

impl Faults {
    fn of(message: &str) -> Self {
        Self {
            errors: vec![Diagnostic::new(message, Default::default())],
            ..Self::default()
        }
    }

    /// What is kept with a pipeline that failed because of them.
    pub(crate) fn why(&self) -> PipelineWhy {
        PipelineWhy::of_faults(&self.errors, &self.files)
    }

    /// GitLab's messages alone.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }
}

impl App {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Failures of ours; those of the configuration are in the answer.
    pub(crate) async fn compile(&self, compilation: Compilation, files: &Files) -> Result<Reading> {
        let deadline = Instant::now() + self.egress().settings().time_of_all;
        let masked = masked_values(&compilation);
        let mut places = HashMap::new();
        let mut compiler = Compiler::new(Source {
            text: compilation.text,
            inputs: compilation.inputs,
            context: compilation.context,
            variables: compilation.variables,
            has_project: true,
            child: compilation.child,
            limits: Limits::default(),
        });
        for _ in 0..ROUNDS {
            // Pure, but long for large files: off the threads that answer requests.
            let (step, back) = tokio::task::spawn_blocking(move || {
                let step = compiler.step();
                (step, compiler)
            })
            .await
            .map_err(Error::internal)?;
            compiler = back;
            let result = match step {
                Step::Done(compiled) => Ok(compiled),
                Step::Failed {
                    errors,
                    warnings,
                    files,
                } => Err(Faults {
                    merged: compiler.merged().cloned(),
                    errors,
                    warnings,
                    files,
                }),
                Step::Needs(requests) => {
                    let Some(answers) = self.answers(&requests, files, deadline).await? else {
                        let result = Err(Faults::of(TOO_LATE));
                        return Ok(Reading { result, places });
                    };
                    for (request, told) in requests.into_iter().zip(answers) {
                        if let Some(place) = told.place {
                            places.insert(request.clone(), place);
                        }
                        compiler.answer(request, hidden(told.answer, &masked));
                    }
                    continue;
                }
            };
            return Ok(Reading { result, places });
        }
        Err(Error::internal("a configuration asks without end"))
    }

    /// The answers to one round of questions, fetched at the same time; `None` when it became too late.
    async fn answers(
        &self,
        requests: &[Request],
        files: &Files,
        deadline: Instant,
    ) -> Result<Option<Vec<Told>>> {
        let answers = requests.iter().map(|request| self.answer(request, files));
        let answers = futures_util::future::try_join_all(answers);
        tokio::time::timeout_at(deadline, answers)
            .await
            .ok()
            .transpose()
    }
}

fn masked_values(compilation: &Compilation) -> Vec<String> {
    let context = compilation.context.iter();
    let of_pipeline = context.flat_map(Context::variables);
    masked(of_pipeline.chain(&compilation.variables))
}

/// The values that must not be shown, the longest first.
pub(crate) fn masked<'v>(variables: impl Iterator<Item = &'v Variable>) -> Vec<String> {
    let mut values: Vec<String> = variables
        .filter(|variable| variable.masked && !variable.value.is_empty())
        .map(|variable| variable.value.clone())
        .collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    values
}

/// A text in which masked values are crossed out, as GitLab does it in names of files.
pub(crate) fn cross_out(text: &str, masked: &[String]) -> String {
    masked.iter().fold(text.to_owned(), |text, value| {
        text.replace(value, &"x".repeat(value.chars().count()))
    })
}

fn hidden(answer: Answer, masked: &[String]) -> Answer {
    match answer {
        Answer::Problem(message) => Answer::Problem(cross_out(&message, masked)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_are_crossed_out() {
        let variable = |value: &str, masked| Variable {
            key: "K".to_owned(),
            value: value.to_owned(),
            masked,
            ..Variable::default()
        };
        let variables = [
            variable("secret", true),
            variable("secretlonger", true),
            variable("plain", false),
            variable("", true),
        ];
        let values = masked(variables.iter());
        assert_eq!(values, ["secretlonger", "secret"]);
        assert_eq!(
            cross_out("a/secretlonger/secret/plain", &values),
            "a/xxxxxxxxxxxx/xxxxxx/plain"
        );
    }
}
