//! `footplate lint FILE`: the compiler on a file and the folder around it (DESIGN §5).

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use footplate_ci::{
    Answer, Compiled, Compiler, Context, Diagnostic, Request, Source, Step, inputs_from_json,
    lint::{Described, refused, report},
    templates,
    yaml::Limits,
};
use footplate_model::PipelineSource;
use serde_json::Value as Json;

/// A configuration file may be so large, in bytes.
const FILE_LIMIT: u64 = 4 << 20;
/// Rounds of questions; each nested include needs one.
const ROUNDS: usize = 200;
/// Paths below the folder that are looked at.
const PATHS: usize = 200_000;

/// Options of `footplate lint`. With any of those about the pipeline, the pipeline is shown; else the whole configuration.
#[derive(Debug, Args)]
pub struct Lint {
    /// The configuration; its folder stands for the repository.
    file: PathBuf,
    /// Branch or tag [default: main].
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The ref is a tag.
    #[arg(long)]
    tag: bool,
    /// Where the pipeline comes from [default: push].
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Option<PipelineSource>,
    /// A project variable.
    #[arg(long = "variable", value_name = "K=V", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// A path that the push changed; without any, the changes are not known.
    #[arg(long = "changed", value_name = "PATH")]
    changed: Vec<String>,
    /// A path that exists beside those in the folder.
    #[arg(long = "exists", value_name = "PATH")]
    exists: Vec<String>,
    /// An input of the configuration.
    #[arg(long = "input", value_name = "K=V", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// Full path of the project [default: group/project].
    #[arg(long, value_name = "PATH")]
    project: Option<String>,
    /// It is for a child pipeline.
    #[arg(long)]
    child: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn source(word: &str) -> Result<PipelineSource, String> {
    // Those that a pipeline here can have; the others, which only GitLab has, are understood too.
    const KNOWN: [&str; 8] = [
        "push",
        "web",
        "api",
        "schedule",
        "trigger",
        "merge_request_event",
        "parent_pipeline",
        "pipeline",
    ];
    PipelineSource::parse(word).ok_or_else(|| format!("one of {}", KNOWN.join(", ")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "KEY=VALUE".to_owned())
}

/// Where the compiler's questions are answered from.
struct Folder {
    root: PathBuf,
    paths: Option<Vec<String>>,
    exists: Vec<String>,
    changed: Option<Vec<String>>,
    templates: Option<PathBuf>,
}

impl Lint {
    /// Exits 0 for a valid configuration, 1 for one with faults, 2 where it cannot be read.
    pub fn run(self) -> ExitCode {
        let text = match read(&self.file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("footplate lint: {}: {error}", self.file.display());
                return ExitCode::from(2);
            }
        };
        let context = self.context();
        let outcome = self.compile(&text, context.clone());
        let object = match &outcome {
            Ok(compiled) => report(compiled, context.as_ref()),
            Err((errors, warnings)) => refused(errors, warnings),
        };
        let valid = object["valid"] == true;
        let shown = match (&outcome, self.json) {
            (_, true) => format!("{object}\n"),
            (Ok(compiled), false) => readable(&object, compiled),
            (Err((errors, warnings)), false) => self.faults(errors, warnings),
        };
        // A reader that has seen enough is no fault of ours.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), shown.as_bytes());
        if valid {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        }
    }

    /// The pipeline that is meant; `None` without any flag about one.
    fn context(&self) -> Option<Context> {
        let asked = self.git_ref.is_some()
            || self.tag
            || self.source.is_some()
            || !self.variables.is_empty()
            || !self.changed.is_empty()
            || !self.exists.is_empty()
            || self.project.is_some()
            || self.child;
        asked.then(|| {
            Described {
                ref_name: self.git_ref.clone().unwrap_or_else(|| "main".to_owned()),
                tag: self.tag,
                source: self.source.unwrap_or(PipelineSource::Push),
                project: Some(
                    self.project
                        .clone()
                        .unwrap_or_else(|| "group/project".to_owned()),
                ),
                variables: self.variables.clone(),
            }
            .context()
        })
    }

    fn compile(
        &self,
        text: &str,
        context: Option<Context>,
    ) -> Result<Box<Compiled>, (Vec<Diagnostic>, Vec<Diagnostic>)> {
        let mut inputs: serde_json::Map<String, Json> = self
            .inputs
            .iter()
            .map(|(key, value)| (key.clone(), input(value)))
            .collect();
        loop {
            let outcome = self.compile_with(text, context.clone(), &inputs);
            let Err((errors, _)) = &outcome else {
                return outcome;
            };
            // `1` and `true` are texts where the configuration wants texts.
            let mut changed = false;
            for (key, value) in inputs.iter_mut().filter(|(_, value)| !value.is_string()) {
                let fault = format!("`{key}` input: provided value is not a string");
                if errors.iter().any(|error| error.message.contains(&fault)) {
                    let given = self.inputs.iter().rev().find(|(known, _)| known == key);
                    *value = Json::from(given.map_or("", |(_, text)| text));
                    changed = true;
                }
            }
            if !changed {
                return outcome;
            }
        }
    }

    fn compile_with(
        &self,
        text: &str,
        context: Option<Context>,
        inputs: &serde_json::Map<String, Json>,
    ) -> Result<Box<Compiled>, (Vec<Diagnostic>, Vec<Diagnostic>)> {
        let mut folder = Folder::of(self);
        let mut compiler = Compiler::new(Source {
            text: text.to_owned(),
            inputs: inputs_from_json(inputs),
            context,
            variables: Vec::new(),
            has_project: true,
            child: self.child,
            limits: Limits::default(),
        });
        for _ in 0..ROUNDS {
            match compiler.step() {
                Step::Needs(requests) => {
                    for request in requests {
                        let answer = folder.answer(&request);
                        compiler.answer(request, answer);
                    }
                }
                Step::Done(compiled) => return Ok(compiled),
                Step::Failed {
                    errors, warnings, ..
                } => return Err((errors, warnings)),
            }
        }
        let message = "Maximum of 150 nested includes are allowed!";
        Err((
            vec![Diagnostic::new(message, Default::default())],
            Vec::new(),
        ))
    }

    /// Faults with their places.
    fn faults(&self, errors: &[Diagnostic], warnings: &[Diagnostic]) -> String {
        let mut text = String::new();
        for (word, list) in [("error", errors), ("warning", warnings)] {
            for diagnostic in list {
                let place = match diagnostic.span.line {
                    0 => String::new(),
                    line if diagnostic.span.file == 0 => {
                        format!(
                            "{}:{line}:{}: ",
                            self.file.display(),
                            diagnostic.span.column
                        )
                    }
                    line => format!("included file, line {line}: "),
                };
                let _ = writeln!(text, "{place}{word}: {}", diagnostic.message);
            }
        }
        text
    }
}

/// A value as YAML would read it where it is a number, boolean or list; else text.
fn input(text: &str) -> Json {
    match serde_json::from_str::<Json>(text) {
        Ok(value @ (Json::Bool(_) | Json::Number(_) | Json::Array(_))) => value,
        Ok(_) | Err(_) => Json::from(text),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|facts| facts.is_dir()) {
        return Err("is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(format!("is larger than {FILE_LIMIT} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Folder {
    fn of(lint: &Lint) -> Self {
        let parent = lint
            .file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let root = parent.unwrap_or(Path::new("."));
        Self {
            root: root.canonicalize().unwrap_or_else(|_| root.to_path_buf()),
            paths: None,
            exists: lint.exists.clone(),
            changed: (!lint.changed.is_empty()).then(|| lint.changed.clone()),
            templates: std::env::var_os("FOOTPLATE_TEMPLATES").map(PathBuf::from),
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match request {
            Request::File { origin, path } if origin.project.is_none() => self.file(path),
            Request::File { origin, .. } => Answer::Problem(format!(
                "Project `{}` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined.",
                origin.project.as_deref().unwrap_or_default()
            )),
            Request::Template(name) => self.template(name),
            Request::Remote { url, .. } => Answer::Problem(format!(
                "Remote file `{url}` could not be fetched because of a socket error!"
            )),
            Request::Component(name) => {
                Answer::Problem(format!("Component '{name}' - content not found"))
            }
            Request::Artifact { job, .. } => Answer::Problem(format!(
                "Job `{job}` not found in parent pipeline or does not have artifacts!"
            )),
            Request::Paths(_) => Answer::Paths(self.paths().to_vec()),
            Request::Changes(_) => self.changed.clone().map_or(Answer::Unknown, Answer::Paths),
        }
    }

    /// A file below the folder; links that lead out of it are not there.
    fn file(&self, path: &str) -> Answer {
        let missing = || Answer::Problem(format!("Local file `{path}` does not exist!"));
        let Ok(place) = self.root.join(path).canonicalize() else {
            return missing();
        };
        if !place.starts_with(&self.root) {
            return missing();
        }
        match read(&place) {
            Ok(text) if text.trim().is_empty() => {
                Answer::Problem(format!("Local file `{path}` is empty!"))
            }
            Ok(text) => Answer::Text(text),
            Err(_) => missing(),
        }
    }

    fn template(&self, name: &str) -> Answer {
        let plain = name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        let own = self.templates.as_ref().filter(|_| plain);
        if let Some(text) = own.and_then(|folder| read(&folder.join(name)).ok()) {
            return Answer::Text(text);
        }
        templates::template(name).map_or_else(
            || Answer::Problem(format!("Template file `{name}` is not a valid location!")),
            |text| Answer::Text(text.to_owned()),
        )
    }

    /// Every path below the folder, without git's own.
    fn paths(&mut self) -> &[String] {
        let (root, exists) = (&self.root, &self.exists);
        self.paths.get_or_insert_with(|| {
            let walk = walkdir::WalkDir::new(root)
                .into_iter()
                .filter_entry(|entry| entry.file_name() != ".git");
            let found: BTreeSet<String> = walk
                .flatten()
                .filter(|entry| !entry.file_type().is_dir())
                .filter_map(|entry| {
                    let path = entry.path().strip_prefix(root).ok()?;
                    Some(path.to_str()?.to_owned())
                })
                .take(PATHS)
                .chain(exists.iter().cloned())
                .collect();
            found.into_iter().collect()
        })
    }
}

/// Jobs by stage with what decided, and those that are not there.
fn readable(object: &Json, compiled: &Compiled) -> String {
    let mut text = String::new();
    for kind in ["errors", "warnings"] {
        for message in object[kind].as_array().into_iter().flatten() {
            let word = kind.trim_end_matches('s');
            let _ = writeln!(text, "{word}: {}", message.as_str().unwrap_or_default());
        }
    }
    if let Some(word) = object["pipeline"].as_str() {
        let _ = writeln!(text, "pipeline: {word}");
    }
    for stage in &compiled.config.stages {
        let jobs = object["jobs"].as_object().into_iter().flatten();
        let mut here = jobs
            .filter(|(_, facts)| facts["stage"].as_str() == Some(stage))
            .peekable();
        if here.peek().is_some() {
            let _ = writeln!(text, "{stage}");
        }
        for (name, facts) in here {
            let when = facts["when"].as_str().unwrap_or_default();
            let chosen = compiled.evaluated.as_ref().and_then(|evaluated| {
                let mut jobs = evaluated.jobs.iter();
                jobs.find(|job| job.instance.name == *name)
            });
            let why = chosen.map_or_else(String::new, |job| because(&job.why, compiled));
            let line = format!("  {name:<30} {when:<12} {why}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let absent = compiled
        .evaluated
        .as_ref()
        .map_or(&[][..], |evaluated| &evaluated.absent);
    if !absent.is_empty() {
        let _ = writeln!(text, "not in the pipeline");
    }
    for (name, why) in absent {
        let _ = writeln!(text, "  {name:<43} {}", because(why, compiled));
    }
    if object["valid"] == true {
        let _ = writeln!(text, "the configuration is valid");
    }
    text
}

/// What decided, where it stands, and what its conditions saw.
fn because(why: &footplate_ci::Why, compiled: &Compiled) -> String {
    let mut text = why.decided_by.clone();
    if why.line > 0 {
        let file = compiled.files.get(why.file as usize);
        let file = file.map_or("", |file| file.name.as_str());
        let _ = write!(text, " ({file}:{})", why.line);
    }
    text
}
