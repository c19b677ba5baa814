//! A file on disk compiled for a pipeline that flags describe.

use std::path::Path;

use footplate_ci::{
    Compiled, Compiler, Context, Diagnostic, Source, SourceFile, Step, inputs_from_json,
    lint::{refused, report},
    yaml::Limits,
};
use serde_json::{Map, Value as Json};

use super::{checkout::Checkout, flags::PipelineFlags};

/// Rounds of questions; each nested include needs one.
const ROUNDS: usize = 200;

/// Faults, and the files that they are in.
pub(crate) struct Faults {
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) files: Vec<SourceFile>,
}

/// A compilation with the pipeline that it was made for.
pub(crate) struct Outcome {
    pub(crate) compiled: Result<Box<Compiled>, Faults>,
    context: Option<Context>,
}

impl Outcome {
    /// As one JSON object.
    pub(crate) fn object(&self) -> Json {
        match &self.compiled {
            // Who has the file has the values that the flags gave.
            Ok(compiled) => report(compiled, self.context.as_ref(), true),
            Err(faults) => refused(&faults.errors, &faults.warnings, &faults.files),
        }
    }
}

/// Compiles a text that stands in a file.
pub(crate) fn compile(
    file: &Path,
    text: &str,
    flags: &PipelineFlags,
    context: Option<Context>,
) -> Outcome {
    let mut inputs = flags.inputs();
    loop {
        let mut compiled = once(file, text, flags, context.clone(), &inputs);
        let files = match &mut compiled {
            Ok(compiled) => &mut compiled.files,
            Err(faults) => &mut faults.files,
        };
        if let Some(root) = files.first_mut() {
            root.name = file.display().to_string();
        }
        let Err(faults) = &compiled else {
            return Outcome { compiled, context };
        };
        if !as_texts(&mut inputs, faults, flags) {
            return Outcome { compiled, context };
        }
    }
}

/// `1` and `true` are texts where the configuration wants texts; whether any input was changed.
fn as_texts(inputs: &mut Map<String, Json>, faults: &Faults, flags: &PipelineFlags) -> bool {
    let mut changed = false;
    for (key, value) in inputs.iter_mut().filter(|(_, value)| !value.is_string()) {
        let fault = format!("`{key}` input: provided value is not a string");
        let mut errors = faults.errors.iter();
        if errors.any(|error| error.message.contains(&fault)) {
            *value = Json::from(flags.input_text(key));
            changed = true;
        }
    }
    changed
}

fn once(
    file: &Path,
    text: &str,
    flags: &PipelineFlags,
    context: Option<Context>,
    inputs: &Map<String, Json>,
) -> Result<Box<Compiled>, Faults> {
    let mut checkout = Checkout::of(file, flags);
    let mut compiler = Compiler::new(Source {
        text: text.to_owned(),
        inputs: inputs_from_json(inputs),
        context,
        variables: Vec::new(),
        has_project: true,
        child: flags.child,
        limits: Limits::default(),
    });
    for _ in 0..ROUNDS {
        match compiler.step() {
            Step::Needs(requests) => {
                for request in requests {
                    let answer = checkout.answer(&request);
                    compiler.answer(request, answer);
                }
            }
            Step::Done(compiled) => return Ok(compiled),
            Step::Failed {
                errors,
                warnings,
                files,
            } => {
                return Err(Faults {
                    errors,
                    warnings,
                    files,
                });
            }
        }
    }
    let message = "Maximum of 150 nested includes are allowed!";
    Err(Faults {
        errors: vec![Diagnostic::new(message, Default::default())],
        warnings: Vec::new(),
        files: Vec::new(),
    })
}
