//! What the compiler has to be told, and what it was told.

use std::{collections::HashMap, sync::Arc};

use crate::{
    diagnostic::SourceFile,
    inputs::{HeaderError, Opened},
    yaml::{Node, Span},
};

/// Whose files are meant: the pipeline's own project at its commit, or another project at a ref.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Origin {
    /// Full path of another project; `None` = the pipeline's own.
    pub project: Option<String>,
    /// Ref there; `None` = HEAD of the default branch.
    pub git_ref: Option<String>,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// A file of a repository.
    File {
        /// Where.
        origin: Origin,
        /// Path from the repository's root.
        path: String,
    },
    /// A template by its name.
    Template(String),
    /// A file at a URL.
    Remote {
        /// The address.
        url: String,
        /// For so many seconds an older copy will do (`include:cache`); `None` = only a fresh one.
        cache_seconds: Option<u64>,
    },
    /// A component by its full reference.
    Component(String),
    /// A file in the artifacts of a job of the parent pipeline.
    Artifact {
        /// The job.
        job: String,
        /// Path in its archive.
        path: String,
    },
    /// Every path of a repository, sorted.
    Paths(Origin),
    /// The changed paths; against a ref where one is named.
    Changes(Option<String>),
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The text of a file.
    Text(String),
    /// A component.
    Component(Box<ComponentFile>),
    /// Paths, sorted.
    Paths(Vec<String>),
    /// The changed paths are not known.
    Unknown,
    /// There is no such thing; GitLab's message.
    Problem(String),
}

/// The file of a component, and what `$[[ component.… ]]` says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFile {
    /// Its text.
    pub text: String,
    /// The repository and commit that it comes from: its own local includes are looked up there.
    pub origin: Origin,
    /// Name: the last part of its path.
    pub name: String,
    /// Full sha of the commit.
    pub sha: String,
    /// The version that was meant, such as `1.2.0`; where a branch or sha was named, that.
    pub version: String,
    /// What was written behind the `@`.
    pub reference: String,
}

/// Answers so far, and what is still missing.
#[derive(Debug, Default)]
pub struct Answers {
    known: HashMap<Request, Arc<Answer>>,
    pub(crate) missing: Vec<Request>,
    /// Files that were read, so that no round parses them again: by request and the place of the include, the root file by nothing.
    pub(crate) read: HashMap<Option<(Request, Span)>, Arc<Read>>,
    /// Those files by number.
    pub(crate) files: Vec<SourceFile>,
}

/// A file as far as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// Its number.
    pub number: u32,
    /// Header and body.
    pub opened: Result<Opened, HeaderError>,
    /// The body with every block replaced.
    pub filled: Option<Result<Node, HeaderError>>,
}

impl Answers {
    /// Takes an answer.
    pub fn put(&mut self, request: Request, answer: Answer) {
        self.known.insert(request, Arc::new(answer));
    }

    /// Forgets what was read of files, once they are all there.
    pub(crate) fn forget_files(&mut self) {
        self.read.clear();
        self.files.clear();
    }

    /// The answer, or a note that it is missing.
    pub(crate) fn get(&mut self, request: Request) -> Option<Arc<Answer>> {
        let known = self.known.get(&request).cloned();
        if known.is_none() && !self.missing.contains(&request) {
            self.missing.push(request);
        }
        known
    }
}
