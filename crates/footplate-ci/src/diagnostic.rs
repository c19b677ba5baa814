//! What is wrong with a configuration: GitLab's message, and the place that GitLab does not tell.

use crate::{ask::Request, yaml::Span};

/// One fault or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// GitLab's message, byte for byte.
    pub message: String,
    /// Where it is.
    pub span: Span,
}

impl Diagnostic {
    /// A message with its place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self {
            message: message.into(),
            span,
        }
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// A file that a configuration was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// Path, address or name, as it was included.
    pub name: String,
    /// Full path of the project that it comes from; `None` = the pipeline's own, or none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Where it was included; `None` = it is the root file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_at: Option<Span>,
    /// What was asked for; `None` = it is the root file. Not kept with a pipeline.
    #[serde(skip)]
    pub asked: Option<Request>,
    /// It was included by `project` and `file`, not as a local file of where it stands.
    #[serde(skip)]
    pub by_project: bool,
}

impl SourceFile {
    /// The root file, by its usual name.
    pub fn root() -> Self {
        Self {
            name: ".gitlab-ci.yml".to_owned(),
            ..Self::default()
        }
    }
}
