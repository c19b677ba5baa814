//! What is wrong with a header, an input or a block.

use crate::{
    diagnostic::SourceFile,
    yaml::{Span, YamlError},
};

/// Messages of one file that are reported together.
const MAX_REPORTED: usize = 3;

/// GitLab's message, and the place of what it is about where that is not the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The message.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What was probably meant.
    pub help: Option<String>,
    /// The block that it is about: it stands somewhere behind the place.
    pub block: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, span: Option<Span>) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
            block: None,
        }
    }

    /// The exact place, among the files that it may be in.
    pub(crate) fn place(&self, files: &[SourceFile]) -> Option<Span> {
        let span = self.span?;
        let file = files.get(span.file as usize);
        let block = self.block.as_deref();
        let exact = file.and_then(|file| file.find(span, block?));
        Some(exact.unwrap_or(span))
    }

    /// With what was probably meant, where that is known.
    pub(crate) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }

    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(message, Some(span))
    }

    /// Several as one: at most three messages, and the first place and help that are known.
    pub(crate) fn joined(faults: Vec<Self>) -> Self {
        let span = faults.iter().find_map(|fault| fault.span);
        let help = faults.iter().find_map(|fault| fault.help.clone());
        let messages: Vec<String> = faults
            .into_iter()
            .take(MAX_REPORTED)
            .map(|fault| fault.message)
            .collect();
        Self::new(messages.join(", "), span).with_help(help)
    }
}

/// Why a file gives no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not YAML, or too big.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// GitLab's message about header, inputs or body.
    #[error("{}", .0.message)]
    Message(Fault),
}

impl From<Vec<Fault>> for HeaderError {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Message(Fault::joined(faults))
    }
}
