//! The language by examples of our own: what a configuration means, what is refused and in which words, and why.

#[expect(dead_code, reason = "only the folder of the data is needed here")]
#[path = "../conformance/harness.rs"]
mod harness;

mod bombs;
mod expressions;
mod fuzz;
mod help;
mod includes;
mod inputs;
mod jobs;
mod jobs_links;
mod jobs_pipeline;
mod keywords;
mod keywords_files;
mod keywords_flow;
mod keywords_rest;
mod keywords_run;
mod messages;
mod properties;
mod variables;
mod why;
mod yaml;

use footplate_ci::{
    Answer, Compiled, Compiler, Context, Diagnostic, Request, Source, SourceFile, Step, facts,
    inputs_from_json, lint::Described, yaml::Limits,
};
use footplate_model::PipelineSource;
use serde_json::Value as Json;

/// A repository with a configuration, and the pipeline that it is compiled for.
#[derive(Clone)]
pub struct Case {
    /// Paths and texts; `.gitlab-ci.yml` is the root file.
    pub files: Vec<(String, String)>,
    /// Answers to anything else that is asked for.
    pub answers: Vec<(Request, Answer)>,
    /// The pipeline; without one nothing is filtered.
    pub context: Option<Context>,
    /// Changed paths, where they are known.
    pub changed: Option<Vec<String>>,
    /// Inputs.
    pub inputs: serde_json::Map<String, Json>,
    /// A child pipeline.
    pub child: bool,
    /// There is a project.
    pub has_project: bool,
    /// Budgets.
    pub limits: Limits,
}

/// Faults, with the files that their places are in.
#[derive(Debug)]
pub struct Refused {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    pub files: Vec<SourceFile>,
}

impl Case {
    /// A single file.
    pub fn new(text: &str) -> Self {
        Self {
            files: vec![(".gitlab-ci.yml".to_owned(), text.to_owned())],
            answers: Vec::new(),
            context: None,
            changed: None,
            inputs: serde_json::Map::new(),
            child: false,
            has_project: true,
            limits: Limits::default(),
        }
    }

    /// Another file of the repository.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// What is answered to a request.
    pub fn answer(mut self, request: Request, answer: Answer) -> Self {
        self.answers.push((request, answer));
        self
    }

    /// An input of the pipeline.
    pub fn input(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.inputs.insert(name.to_owned(), value.into());
        self
    }

    /// Compiled for a push to a branch, with project variables.
    pub fn push(self, branch: &str, variables: &[(&str, &str)]) -> Self {
        self.pipeline(branch, PipelineSource::Push, variables)
    }

    /// Compiled for a pipeline on a branch.
    pub fn pipeline(
        mut self,
        branch: &str,
        source: PipelineSource,
        variables: &[(&str, &str)],
    ) -> Self {
        let described = Described {
            ref_name: branch.to_owned(),
            tag: false,
            source,
            project: Some("group/project".to_owned()),
            variables: variables
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        self.context = Some(described.context());
        self
    }

    /// The paths that a push changed.
    pub fn changed(mut self, paths: &[&str]) -> Self {
        self.changed = Some(paths.iter().map(|path| (*path).to_owned()).collect());
        self
    }

    fn told(&self, request: &Request) -> Answer {
        if let Some((_, answer)) = self.answers.iter().find(|(known, _)| known == request) {
            return answer.clone();
        }
        match request {
            Request::File { path, .. } => self
                .files
                .iter()
                .find(|(name, _)| name == path)
                .map_or_else(
                    || Answer::Problem(format!("Local file `{path}` does not exist!")),
                    |(_, text)| Answer::Text(text.clone()),
                ),
            Request::Paths(_) => {
                let mut paths: Vec<String> =
                    self.files.iter().map(|(name, _)| name.clone()).collect();
                paths.sort();
                Answer::Paths(paths)
            }
            Request::Changes(_) => self.changed.clone().map_or(Answer::Unknown, Answer::Paths),
            other => Answer::Problem(format!("not told: {other:?}")),
        }
    }

    /// Compiles.
    pub fn compile(&self) -> Result<Box<Compiled>, Refused> {
        self.compile_told(&[])
    }

    /// Compiles; some of what may be asked for is told before the first step.
    pub fn compile_told(&self, before: &[Request]) -> Result<Box<Compiled>, Refused> {
        let mut compiler = Compiler::new(Source {
            text: self.files[0].1.clone(),
            inputs: inputs_from_json(&self.inputs),
            context: self.context.clone(),
            variables: Vec::new(),
            has_project: self.has_project,
            child: self.child,
            limits: self.limits,
        });
        for request in before {
            compiler.answer(request.clone(), self.told(request));
        }
        loop {
            match compiler.step() {
                Step::Needs(requests) => {
                    for request in requests {
                        let answer = self.told(&request);
                        compiler.answer(request, answer);
                    }
                }
                Step::Done(compiled) => return Ok(compiled),
                Step::Failed {
                    errors,
                    warnings,
                    files,
                } => {
                    return Err(Refused {
                        errors,
                        warnings,
                        files,
                    });
                }
            }
        }
    }

    /// The first fault: its message, the file that it is in, line and column.
    pub fn fault(&self) -> (String, String, u32, u32) {
        let refused = self.compile().expect_err("a configuration with a fault");
        let first = refused.errors.first().expect("a fault");
        let file = refused
            .files
            .get(first.span.file as usize)
            .map_or_else(|| "?".to_owned(), |file| file.name.clone());
        (
            first.message.clone(),
            file,
            first.span.line,
            first.span.column,
        )
    }

    /// The messages of a configuration that is refused; none where it is not.
    pub fn errors(&self) -> Vec<String> {
        match self.compile() {
            Ok(_) => Vec::new(),
            Err(refused) => refused
                .errors
                .into_iter()
                .map(|error| error.message)
                .collect(),
        }
    }

    /// Facts of a job, by its name.
    pub fn facts(&self, job: &str) -> Json {
        let compiled = self.compile().expect("a configuration without faults");
        facts(&compiled, self.context.as_ref())
            .into_iter()
            .find(|(name, _)| name == job)
            .map(|(_, facts)| facts)
            .unwrap_or_else(|| panic!("no job `{job}`"))
    }
}
