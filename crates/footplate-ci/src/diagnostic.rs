//! What is wrong with a configuration: GitLab's message, and the place that GitLab does not tell.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::{ask::Request, yaml::Span};

/// One fault or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// GitLab's message, byte for byte.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What GitLab does not say: what was probably meant, or what to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message with its place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
        }
    }

    /// With what was probably meant, where that is known.
    #[must_use]
    pub fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// As data: message, place, the offending line, the way its file was included, and help.
    pub fn shown(&self, files: &[SourceFile]) -> Json {
        let mut json = json!({"message": self.message});
        let file = files.get(self.span.file as usize);
        if let Some(file) = file.filter(|_| self.span.line > 0) {
            json["file"] = json!(file.name);
            json["line"] = json!(self.span.line);
            json["column"] = json!(self.span.column);
            if let Some(text) = file.line(self.span.line) {
                json["text"] = json!(text);
            }
            let chain = crate::why::chain(self.span.file, files);
            if !chain.is_empty() {
                json["included_from"] = json!(chain);
            }
        }
        if let Some(help) = &self.help {
            json["help"] = json!(help);
        }
        json
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
    /// Its text, as long as the compilation is in memory.
    #[serde(skip)]
    pub text: Arc<str>,
    /// What was asked for; `None` = it is the root file. Not kept with a pipeline.
    #[serde(skip)]
    pub asked: Option<Request>,
    /// It was included by `project` and `file`, not as a local file of where it stands.
    #[serde(skip)]
    pub by_project: bool,
}

impl SourceFile {
    /// The root file, by its usual name.
    pub fn root(text: &str) -> Self {
        Self {
            name: ".gitlab-ci.yml".to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// Where a text stands for the first time from a place on; it stands in one line.
    pub fn find(&self, from: Span, wanted: &str) -> Option<Span> {
        let skipped = usize::try_from(from.line).ok()?.checked_sub(1)?;
        let before = usize::try_from(from.column).ok()?.saturating_sub(1);
        let lines = self.text.lines().skip(skipped).zip(from.line..);
        lines.into_iter().find_map(|(text, line)| {
            let skipped = if line == from.line { before } else { 0 };
            let start = text.char_indices().nth(skipped)?.0;
            let at = start + text[start..].find(wanted)?;
            let column = u32::try_from(text[..at].chars().count() + 1).ok()?;
            Some(Span {
                line,
                column,
                ..from
            })
        })
    }

    /// One of its lines, counted from 1, without the blanks at its end.
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.text.lines().nth(index).map(str::trim_end)
    }
}
