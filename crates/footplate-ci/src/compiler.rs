//! The compiler: started with a text, told what it asks for, done with a configuration or faults.

use std::sync::Arc;

use crate::{
    ask::{Answer, Answers, Request},
    check::Check,
    config::{self, Config},
    diagnostic::{Diagnostic, SourceFile},
    expand::{Instance, expand},
    extends,
    include::{IncludeContext, Includer},
    links,
    pipeline::{Context, Decisions, Evaluated, Outcome, evaluate},
    reference,
    variables::Variable,
    why::PipelineWhy,
    yaml::{Limits, Map, Node, Value},
};

/// What is to be compiled.
#[derive(Debug, Clone)]
pub struct Source {
    /// The text of the root file.
    pub text: String,
    /// Inputs given with the pipeline.
    pub inputs: Map,
    /// The pipeline; without one nothing is filtered.
    pub context: Option<Context>,
    /// Variables that includes may refer to, when there is no pipeline.
    pub variables: Vec<Variable>,
    /// There is a project whose files can be included.
    pub has_project: bool,
    /// A child pipeline.
    pub child: bool,
    /// Budgets of each file.
    pub limits: Limits,
}

/// A configuration without faults.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The configuration.
    pub config: Config,
    /// Its final list of jobs.
    pub instances: Vec<Arc<Instance>>,
    /// For the pipeline, when there is one.
    pub evaluated: Option<Evaluated>,
    /// The merged tree.
    pub merged: Node,
    /// Files by number, the root file first.
    pub files: Vec<SourceFile>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

impl Compiled {
    /// Rules that could not be evaluated for the pipeline, and needs of jobs that are not in it.
    pub fn faults(&self) -> &[Diagnostic] {
        let evaluated = self.evaluated.as_ref();
        let failed = evaluated.filter(|evaluated| evaluated.outcome == Outcome::Error);
        failed.map_or(&[], |evaluated| &evaluated.errors)
    }

    /// Everything that was decided, to be kept with the pipeline.
    pub fn why(&self) -> PipelineWhy {
        decided(self.files.clone(), self.evaluated.clone(), &self.notes())
    }

    /// The same, when nothing else is needed any more.
    pub fn into_why(self) -> PipelineWhy {
        let notes = self.notes();
        decided(self.files, self.evaluated, &notes)
    }
}

fn decided(
    files: Vec<SourceFile>,
    evaluated: Option<Evaluated>,
    notes: &[Diagnostic],
) -> PipelineWhy {
    let Some(evaluated) = evaluated else {
        return PipelineWhy {
            files,
            ..PipelineWhy::default()
        };
    };
    let told = evaluated.errors.iter().chain(notes);
    let jobs = evaluated.jobs.into_iter();
    PipelineWhy {
        workflow: evaluated.workflow,
        diagnostics: told.map(|one| one.shown(&files)).collect(),
        jobs: jobs
            .map(|chosen| (chosen.instance.name.clone(), chosen.why))
            .collect(),
        absent: evaluated.absent.into_iter().collect(),
        files,
    }
}

/// How far the compiler is.
#[derive(Debug)]
pub enum Step {
    /// It has to be told these.
    Needs(Vec<Request>),
    /// Done.
    Done(Box<Compiled>),
    /// Faults, and warnings beside them.
    Failed {
        /// GitLab's messages with their places.
        errors: Vec<Diagnostic>,
        /// Warnings.
        warnings: Vec<Diagnostic>,
        /// Files by number, as far as they were read.
        files: Vec<SourceFile>,
    },
}

/// A compilation under way.
#[derive(Debug)]
pub struct Compiler {
    source: Source,
    answers: Answers,
    files: Vec<SourceFile>,
    merged: Option<Node>,
    reading: Option<Reading>,
}

/// A configuration that was read to its end, and how far it is evaluated. More answers only add to what is known, so that
/// nothing of it has to be done again.
#[derive(Debug)]
struct Reading {
    config: Config,
    instances: Vec<Arc<Instance>>,
    merged: Node,
    warnings: Vec<Diagnostic>,
    decisions: Decisions,
}

impl Compiler {
    /// Begins.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            answers: Answers::default(),
            files: Vec::new(),
            merged: None,
            reading: None,
        }
    }

    /// The merged tree of the last step, also when its keywords had faults; `None` when it did not get so far.
    pub fn merged(&self) -> Option<&Node> {
        self.merged.as_ref()
    }

    /// Tells what was asked for.
    pub fn answer(&mut self, request: Request, answer: Answer) {
        self.answers.put(request, answer);
    }

    /// Goes as far as the answers reach. Deterministic: the same text and answers give the same step.
    pub fn step(&mut self) -> Step {
        self.answers.missing.clear();
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.read() {
                Ok(reading) => reading,
                Err(step) => return step,
            },
        };
        self.evaluated(reading)
    }

    /// Files, keywords, and jobs against each other.
    fn read(&mut self) -> Result<Reading, Step> {
        self.merged = None;
        let mut check = Check::default();
        let found = self.configuration(&mut check);
        if !self.answers.missing.is_empty() && check.errors.is_empty() {
            return Err(Step::Needs(std::mem::take(&mut self.answers.missing)));
        }
        match found {
            Some((config, instances, merged)) if check.errors.is_empty() => Ok(Reading {
                config,
                instances,
                merged,
                warnings: check.warnings,
                decisions: Decisions::default(),
            }),
            _ => Err(Step::Failed {
                errors: check.errors,
                warnings: check.warnings,
                files: std::mem::take(&mut self.files),
            }),
        }
    }

    /// The rules of the pipeline, where there is one.
    fn evaluated(&mut self, mut reading: Reading) -> Step {
        let evaluated = match &self.source.context {
            None => None,
            Some(context) => {
                let evaluated = evaluate(
                    context,
                    &reading.config,
                    &reading.instances,
                    &mut reading.decisions,
                    &mut self.answers,
                );
                if evaluated.is_none() {
                    self.reading = Some(reading);
                    return Step::Needs(std::mem::take(&mut self.answers.missing));
                }
                evaluated
            }
        };
        Step::Done(Box::new(Compiled {
            config: reading.config,
            instances: reading.instances,
            evaluated,
            merged: reading.merged,
            files: self.files.clone(),
            warnings: reading.warnings,
        }))
    }

    fn configuration(&mut self, check: &mut Check) -> Option<(Config, Vec<Arc<Instance>>, Node)> {
        if self.source.text.trim().is_empty() {
            check.error(
                crate::yaml::Span::default(),
                "Please provide content of .gitlab-ci.yml",
            );
            return None;
        }
        let variables: Vec<Variable> = match &self.source.context {
            Some(context) => context
                .predefined
                .iter()
                .chain(&context.overriding)
                .cloned()
                .collect(),
            None => self.source.variables.clone(),
        };
        let context = IncludeContext {
            variables: &variables,
            has_project: self.source.has_project,
            child: self.source.child,
            limits: self.source.limits,
        };
        let mut includer = Includer::new(context, &mut self.answers, check);
        let merged = includer.root(&self.source.text, &self.source.inputs);
        self.files = includer.files();
        let merged = merged?;
        // Nothing more is asked of files, so that their trees need not be kept beside what becomes of them.
        self.answers.forget_files();
        let merged = resolve(check, merged)?;
        self.merged = Some(merged.clone());
        let config = config::read(check, merged.as_map()?, merged.span);
        if !check.errors.is_empty() {
            return None;
        }
        let instances = expand(&config.jobs)
            .map_err(|faults| check.errors.extend(faults))
            .ok()?;
        if let Some(fault) = links::check(&config.stages, &instances) {
            check.errors.push(fault);
            return None;
        }
        Some((config, instances, merged))
    }
}

/// `extends`, then `!reference` (`ci-yaml.md §1`).
fn resolve(check: &mut Check, merged: Node) -> Option<Node> {
    let Value::Map(root) = merged.value else {
        return None;
    };
    let extended = extends::resolve(Arc::unwrap_or_clone(root))
        .map_err(|error| check.error_with_help(error.span, error.message, error.help))
        .ok()?;
    let resolved = reference::resolve(extended)
        .map_err(|error| check.error_with_help(error.span, error.message, error.help))
        .ok()?;
    Some(Node::new(Value::Map(Arc::new(resolved)), merged.span))
}
