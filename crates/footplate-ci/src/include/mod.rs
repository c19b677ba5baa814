//! `include`: files asked for, each read with its own header, and merged in order (`ci-yaml.md §4`).
//!
//! The items of one `include` become a list of wanted files ([`item`]); those are verified together and read one after the
//! other, each with its own includes ([`read`]). What a header includes goes the same way ([`header`]).

mod given;
mod header;
mod item;
mod kind;
mod location;
mod options;
mod read;
mod rules;
mod scope;
mod wildcard;

use std::sync::Arc;

pub use given::inputs_from_json;
use scope::Scope;

use crate::{
    ask::Answers,
    check::Check,
    diagnostic::{Diagnostic, SourceFile},
    inputs::HeaderError,
    variables::Variable,
    yaml::{Limits, Map, Node, Span, Value, YamlError},
};

/// What an include may refer to.
pub struct IncludeContext<'c> {
    /// Variables known before the configuration is read.
    pub variables: &'c [Variable],
    /// The pipeline's project; without one there are no local files.
    pub has_project: bool,
    /// This is a child pipeline.
    pub child: bool,
    /// Budgets of each file.
    pub limits: Limits,
}

/// Reads a text and everything that it includes.
pub struct Includer<'c> {
    context: IncludeContext<'c>,
    answers: &'c mut Answers,
    check: &'c mut Check,
    count: usize,
    size: usize,
}

/// Why reading does not go on. One fault ends it: GitLab tells no second one about files.
enum Halt {
    /// Answers are missing.
    Missing,
    /// This is wrong.
    Fault(Diagnostic),
}

type Outcome<T> = Result<T, Halt>;

/// What a masked value becomes; crosses follow it up to the value's length.
const MASK: &str = "[MASKED]";

/// What files are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Configuration.
    Configuration,
    /// Definitions of inputs, for a header.
    Inputs,
}

fn fault<T>(span: Span, message: impl Into<String>) -> Outcome<T> {
    Err(Halt::Fault(Diagnostic::new(message, span)))
}

impl<'c> Includer<'c> {
    /// Begins with the root file.
    pub fn new(
        context: IncludeContext<'c>,
        answers: &'c mut Answers,
        check: &'c mut Check,
    ) -> Self {
        Self {
            context,
            answers,
            check,
            count: 0,
            size: 0,
        }
    }

    /// The merged tree of the root file and its includes; `None` while answers are missing or after a fault.
    pub fn root(&mut self, text: &str, inputs: &Map) -> Option<Node> {
        let scope = Scope::of_pipeline(self.context.has_project);
        let outcome = self
            .root_body(text, inputs, &scope)
            .and_then(|node| self.expand(&node, &scope));
        match outcome {
            Ok(node) => Some(node),
            Err(Halt::Missing) => None,
            Err(Halt::Fault(diagnostic)) => {
                self.check.errors.push(diagnostic);
                None
            }
        }
    }

    /// Files by number, as far as they were read.
    pub fn files(&self) -> Vec<SourceFile> {
        self.answers.files.clone()
    }

    fn root_body(&mut self, text: &str, inputs: &Map, scope: &Scope) -> Outcome<Node> {
        if self.answers.files.is_empty() {
            self.answers.files.push(SourceFile::root(text));
        }
        let read = self.open_once(None, 0, text);
        match self.filled(None, &read, inputs, scope)? {
            Ok(node) => Ok(node),
            Err(error) => {
                let whole = Span {
                    file: 0,
                    line: 1,
                    column: 1,
                };
                let (span, help) = match &error {
                    HeaderError::Message(fault) => {
                        (fault.place(&self.answers.files), fault.help.clone())
                    }
                    HeaderError::Yaml(_) => (place(&error, 0), None),
                };
                let span = span.unwrap_or(whole);
                let diagnostic = Diagnostic::new(error.to_string(), span).with_help(help);
                Err(Halt::Fault(diagnostic))
            }
        }
    }

    /// The tree of a file, laid over those that it includes.
    fn expand(&mut self, node: &Node, scope: &Scope) -> Outcome<Node> {
        let Some(include) = node.as_map().and_then(|map| map.get("include")) else {
            return Ok(node.clone());
        };
        let items = include
            .as_seq()
            .unwrap_or_else(|| std::slice::from_ref(include));
        let included = self.level(items, scope, Purpose::Configuration)?;
        let merged = included
            .into_iter()
            .fold(None, |merged: Option<Node>, file| match merged {
                None => Some(file),
                Some(merged) => Some(merged.overlaid(file)),
            });
        let own = without_include(node);
        Ok(match merged {
            None => own,
            Some(merged) => merged.overlaid(own),
        })
    }

    /// Everything that a list of items includes, in order.
    fn level(&mut self, items: &[Node], scope: &Scope, purpose: Purpose) -> Outcome<Vec<Node>> {
        let mut wanted = self.wanted(items, scope, purpose)?;
        for file in &mut wanted {
            self.verify(file, scope)?;
        }
        self.read_all(&wanted, scope, purpose)
    }

    fn variables(&self, scope: &Scope) -> &'c [Variable] {
        if scope.has_variables {
            self.context.variables
        } else {
            &[]
        }
    }

    /// A text that may be shown: values of masked variables are crossed out.
    fn masked(&self, text: &str) -> String {
        self.context
            .variables
            .iter()
            .filter(|variable| variable.masked && !variable.value.is_empty())
            .fold(text.to_owned(), |text, variable| {
                let length = variable.value.chars().count();
                text.replace(&variable.value, &format!("{MASK:x<length$}"))
            })
    }
}

/// Where an error of a file is, if it says so.
fn place(error: &HeaderError, file: u32) -> Option<Span> {
    match error {
        HeaderError::Yaml(YamlError::Syntax {
            at: Some((line, column)),
            ..
        }) => Some(Span {
            file,
            line: *line,
            column: *column,
        }),
        HeaderError::Yaml(_) => None,
        HeaderError::Message(fault) => fault.span,
    }
}

fn without_include(node: &Node) -> Node {
    let Some(map) = node.as_map() else {
        return node.clone();
    };
    let mut map = map.clone();
    map.remove("include");
    Node::new(Value::Map(Arc::new(map)), node.span)
}
