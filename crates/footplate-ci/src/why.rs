//! Why: what decided about a job or the whole pipeline, in a form that is small enough to keep and complete enough to be read.
//!
//! Kept with numbers of files ([`Why`]); shown with their names and the way they were included ([`shown`]).

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::{
    diagnostic::{Diagnostic, SourceFile},
    expr::Atom,
    paths::PathMatch,
    scope::Lookup,
    yaml::Span,
};

/// A why may be so large as JSON, in bytes.
pub const MAX_BYTES: usize = 2048;
/// A text in it is cut after so many characters.
const MAX_TEXT: usize = 120;
/// In place of the value of a masked variable.
pub const MASKED: &str = "[masked]";
/// In place of a value that the reader may not see.
pub const HIDDEN: &str = "[hidden]";

/// Where a variable comes from, from the weakest to the strongest (`pipeline-processing.md §14`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The server says it.
    #[default]
    Predefined,
    /// `variables` at the root of the configuration.
    Root,
    /// `workflow:rules:variables`.
    Workflow,
    /// `variables` of the job, or a value of its matrix.
    Job,
    /// `rules:variables`.
    Rule,
    /// The instance's CI variables.
    Instance,
    /// A group's.
    Group,
    /// The project's.
    Project,
    /// Given with the pipeline: by a person, a trigger, a schedule, or the upstream pipeline.
    Pipeline,
}

impl Level {
    /// Its value is only for those who may read CI variables.
    pub fn is_secret(self) -> bool {
        match self {
            Self::Instance | Self::Group | Self::Project | Self::Pipeline => true,
            Self::Predefined | Self::Root | Self::Workflow | Self::Job | Self::Rule => false,
        }
    }
}

/// A variable that a condition looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name.
    pub name: String,
    /// The value that counted; `None` = it is not defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where that value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Weaker levels that define it too, the strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<Level>,
}

/// `changes` or `exists` of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// `changes` or `exists`.
    pub kind: PathKind,
    /// Patterns as written.
    pub patterns: Vec<String>,
    /// What was found.
    #[serde(flatten)]
    pub found: PathMatch,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Changed paths.
    Changes,
    /// Paths of the repository.
    Exists,
}

/// An entry that was looked at: one rule, or one part of `only` or `except`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// `rules[0]`, `only:refs`, …
    pub entry: Cow<'static, str>,
    /// Line of the entry.
    pub line: u32,
    /// Number of its file.
    pub file: u32,
    /// It holds.
    pub matched: bool,
    /// Its condition, as written.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::shared::optional"
    )]
    pub condition: Option<Arc<str>>,
    /// Each comparison and lone variable of the condition, with its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub atoms: Vec<Atom>,
    /// What its patterns found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Paths>,
}

/// Why a job is in the pipeline or not, or why there is a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The one entry that decided: `always`, `rules[2]`, `no rule matched`, `only:refs`, `except:variables`, …
    pub decided_by: Cow<'static, str>,
    /// Line of the deciding entry.
    pub line: u32,
    /// Number of its file.
    pub file: u32,
    /// `when` of the deciding entry, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Entries that were looked at, in order; the deciding one is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<Looked>,
    /// Earlier entries that are left out here because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: usize,
    /// Variables of the conditions, and where they come from. Many jobs have the same.
    #[serde(
        default,
        skip_serializing_if = "<[Provenance]>::is_empty",
        with = "crate::shared::list"
    )]
    pub variables: Arc<[Provenance]>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Why {
    /// Decided by an entry.
    pub fn new(decided_by: impl Into<Cow<'static, str>>, span: Span) -> Self {
        Self {
            decided_by: decided_by.into(),
            line: span.line,
            file: span.file,
            when: None,
            looked_at: Vec::new(),
            omitted: 0,
            variables: Arc::default(),
        }
    }

    /// Names of the variables that its conditions mention, each once.
    fn mentioned(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let texts = self
            .looked_at
            .iter()
            .flat_map(|looked| looked.atoms.iter().map(|atom| &*atom.text));
        for text in texts {
            for name in names_in(text) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// With the variables that it mentions, cut to its size.
    #[must_use]
    pub(crate) fn told(mut self, variables: &dyn Lookup) -> Self {
        self.variables = self
            .mentioned()
            .into_iter()
            .map(|name| {
                let mut levels = variables.levels(name).into_iter();
                Provenance {
                    name: name.to_owned(),
                    value: variables.seen(name).map(|found| {
                        let mut value = if found.masked { MASKED } else { found.value }.to_owned();
                        shorten(&mut value);
                        value
                    }),
                    level: levels.next(),
                    over: levels.collect(),
                }
            })
            .collect();
        self.fitted()
    }

    /// Cut to [`MAX_BYTES`]: long texts first, then the earliest entries, then variables; what decided always stays.
    #[must_use]
    fn fitted(mut self) -> Self {
        self.looked_at.iter_mut().for_each(Looked::shorten);
        // The count is needed only where it may matter.
        while self.size_at_most() > MAX_BYTES && self.bytes() > MAX_BYTES {
            if self.looked_at.len() > 1 {
                self.looked_at.remove(0);
                self.omitted += 1;
            } else if let [fewer @ .., _] = &*self.variables {
                self.variables = fewer.into();
            } else {
                let Some(last) = self.looked_at.last_mut() else {
                    break;
                };
                if last.atoms.pop().is_none() && last.paths.pop().is_none() {
                    break;
                }
            }
        }
        self
    }

    /// Shares its variables with another one, where they are the same.
    pub(crate) fn share(&mut self, last: &mut Arc<[Provenance]>) {
        if self.variables == *last {
            self.variables = Arc::clone(last);
        } else {
            *last = Arc::clone(&self.variables);
        }
    }

    fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(0, |text| text.len())
    }

    /// More than its JSON can need.
    fn size_at_most(&self) -> usize {
        let entries = self.looked_at.iter().map(|looked| {
            let atoms = looked.atoms.iter();
            let paths = looked.paths.iter();
            160 + 6 * looked.condition.as_ref().map_or(0, |text| text.len())
                + atoms
                    .map(|atom| 40 + 6 * (atom.text.len() + atom.value.len()))
                    .sum::<usize>()
                + paths
                    .map(|paths| 160 + 6 * paths.patterns.iter().map(String::len).sum::<usize>())
                    .sum::<usize>()
        });
        let variables = self.variables.iter().map(|variable| {
            160 + 6 * (variable.name.len() + variable.value.as_ref().map_or(0, String::len))
        });
        200 + entries.sum::<usize>() + variables.sum::<usize>()
    }
}

impl Looked {
    fn shorten(&mut self) {
        self.condition.iter_mut().for_each(shorten);
        for atom in &mut self.atoms {
            shorten(&mut atom.text);
            shorten(&mut atom.value);
        }
        for paths in &mut self.paths {
            const SHOWN: usize = 5;
            if paths.patterns.len() > SHOWN {
                let more = paths.patterns.len() - SHOWN;
                paths.patterns.truncate(SHOWN);
                paths.patterns.push(format!("… and {more} more"));
            }
            paths.patterns.iter_mut().for_each(shorten);
            paths.found.first.iter_mut().for_each(shorten);
        }
    }
}

fn shorten<T: AsRef<str> + From<String>>(text: &mut T) {
    let written = text.as_ref();
    // No text has more characters than bytes.
    if written.len() <= MAX_TEXT {
        return;
    }
    if let Some((at, _)) = written.char_indices().nth(MAX_TEXT) {
        *text = format!("{}…", &written[..at]).into();
    }
}

/// `$NAME` outside of texts and patterns.
fn names_in(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut quote, mut rest) = (None, text);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '$') => {
                let end = after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len());
                if end > 0 {
                    names.push(&after[..end]);
                }
            }
            (None | Some(_), _) => {}
        }
        rest = after;
    }
    names
}

/// Everything that was decided when a pipeline was made: kept with it as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PipelineWhy {
    /// Files by number.
    pub files: Vec<SourceFile>,
    /// The workflow's decision; `None` = there is no workflow.
    pub workflow: Option<Why>,
    /// Jobs that are in the pipeline, in order.
    pub jobs: indexmap::IndexMap<String, Why>,
    /// Jobs that are not.
    pub absent: indexmap::IndexMap<String, Why>,
    /// Faults of the configuration with their places, as [`Diagnostic::shown`] has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Json>,
}

impl PipelineWhy {
    /// Of a configuration that makes no pipeline.
    pub fn of_faults(errors: &[Diagnostic], files: &[SourceFile]) -> Self {
        Self {
            files: files.to_vec(),
            diagnostics: errors.iter().map(|error| error.shown(files)).collect(),
            ..Self::default()
        }
    }

    /// As it is shown: file names in place of numbers, and how each file was included. Values of CI variables only with `secrets`.
    pub fn shown(&self, secrets: bool) -> Json {
        let list = |list: &indexmap::IndexMap<String, Why>| {
            list.iter()
                .map(|(name, why)| (name.clone(), shown(why, &self.files, secrets)))
                .collect::<JsonMap<String, Json>>()
        };
        let files: Vec<Json> = self
            .files
            .iter()
            .map(|file| {
                let mut json = json!({"name": file.name});
                if let Some(project) = &file.project {
                    json["project"] = json!(project);
                }
                if let Some(at) = file.included_at {
                    json["included_at"] = place(at.file, at.line, &self.files);
                }
                json
            })
            .collect();
        json!({
            "files": files,
            "workflow": self.workflow.as_ref().map(|why| shown(why, &self.files, secrets)),
            "jobs": list(&self.jobs),
            "absent": list(&self.absent),
            "diagnostics": self.diagnostics,
        })
    }

    /// One job as it is shown, with `"in_pipeline"`; `None` = the configuration has no such job.
    pub fn shown_job(&self, name: &str, secrets: bool) -> Option<Json> {
        let (why, present) = match self.jobs.get(name) {
            Some(why) => (why, true),
            None => (self.absent.get(name)?, false),
        };
        let mut json = json!({"job": name, "in_pipeline": present});
        if let (Some(json), Json::Object(facts)) =
            (json.as_object_mut(), shown(why, &self.files, secrets))
        {
            json.extend(facts);
        }
        Some(json)
    }
}

/// A why with the names of files, and the way in which its file was included.
pub fn shown(why: &Why, files: &[SourceFile], secrets: bool) -> Json {
    let mut json = json!({"decided_by": why.decided_by, "at": place(why.file, why.line, files)});
    if let Some(when) = &why.when {
        json["when"] = json!(when);
    }
    let chain = chain(why.file, files);
    if !chain.is_empty() {
        json["included_from"] = json!(chain);
    }
    if why.omitted > 0 {
        json["omitted"] = json!(why.omitted);
    }
    let hidden = |name: &str| {
        !secrets
            && why
                .variables
                .iter()
                .any(|known| known.name == name && known.level.is_some_and(Level::is_secret))
    };
    let looked: Vec<Json> = why
        .looked_at
        .iter()
        .map(|looked| {
            let mut entry = json!({
                "entry": looked.entry, "at": place(looked.file, looked.line, files), "matched": looked.matched,
            });
            if let Some(condition) = &looked.condition {
                entry["if"] = json!(**condition);
            }
            if !looked.atoms.is_empty() {
                let atoms = looked.atoms.iter().map(|atom| {
                    let lone = atom.text.strip_prefix('$').is_some_and(hidden);
                    let value = if lone && atom.value != "null" { HIDDEN } else { &*atom.value };
                    json!({"text": *atom.text, "value": value})
                });
                entry["atoms"] = atoms.collect();
            }
            for paths in &looked.paths {
                let found = &paths.found;
                entry[paths.kind.as_str()] = json!({
                    "patterns": paths.patterns, "matched": found.matched, "paths": found.paths, "of": found.of,
                    "first": found.first,
                });
            }
            entry
        })
        .collect();
    json["looked_at"] = json!(looked);
    let variables: Vec<Json> = why
        .variables
        .iter()
        .map(|variable| {
            let mut json = json!(variable);
            if variable.value.is_some() && hidden(&variable.name) {
                json["value"] = json!(HIDDEN);
            }
            json
        })
        .collect();
    json["variables"] = json!(variables);
    json
}

impl PathKind {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Exists => "exists",
        }
    }
}

fn place(file: u32, line: u32, files: &[SourceFile]) -> Json {
    let name = files
        .get(file as usize)
        .map_or("", |file| file.name.as_str());
    json!(format!("{name}:{line}"))
}

/// Where a file was included, and where the including file was, up to the root file.
pub fn chain(file: u32, files: &[SourceFile]) -> Vec<String> {
    let mut chain = Vec::new();
    let mut at = files.get(file as usize).and_then(|file| file.included_at);
    while let Some(span) = at
        && chain.len() < files.len()
    {
        let including = files.get(span.file as usize);
        let name = including.map_or("", |file| file.name.as_str());
        chain.push(format!("{name}:{}", span.line));
        at = including.and_then(|file| file.included_at);
    }
    chain
}
