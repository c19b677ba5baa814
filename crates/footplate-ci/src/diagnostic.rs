//! What is wrong with a configuration: GitLab's message, and the place that GitLab does not tell.

use crate::yaml::Span;

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
