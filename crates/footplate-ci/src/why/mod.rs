//! Why: what decided about a job or the whole pipeline, in a form that is small enough to keep and complete enough to be read.
//!
//! Kept with numbers of files ([`Why`]); shown with their names and the way they were included ([`shown()`]).

mod pipeline;
mod shown;
mod size;

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

pub use pipeline::PipelineWhy;
pub use shown::{chain, shown};
use size::shorten;

use crate::{expr::Atom, paths::PathMatch, scope::Lookup, yaml::Span};

/// A why may be so large as JSON, in bytes.
pub const MAX_BYTES: usize = 2048;
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

    /// Shares its variables with another one, where they are the same.
    pub(crate) fn share(&mut self, last: &mut Arc<[Provenance]>) {
        if self.variables == *last {
            self.variables = Arc::clone(last);
        } else {
            *last = Arc::clone(&self.variables);
        }
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

impl PathKind {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Exists => "exists",
        }
    }
}
