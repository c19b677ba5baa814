//! Wanted files are verified, asked for, read once, and expanded (`ci-yaml.md §4.4`, `§4.5`).

use std::sync::Arc;

use super::{
    Halt, Includer, Outcome, Purpose, fault,
    header::only_inputs,
    item::Wanted,
    kind::Kind,
    location::{absent, empty, is_address, is_yaml},
    options::is_intact,
    place,
    scope::Scope,
};
use crate::{
    ask::{Answer, Read, Request},
    diagnostic::{Diagnostic, SourceFile},
    inputs::{HeaderError, open},
    yaml::{Map, Node, Span, YamlError},
};

const MAX_INCLUDES: usize = 150;
const TEMPLATE: &str = ".gitlab-ci.yml";

/// What was told of a file.
struct Told {
    text: Arc<Answer>,
    /// What the file itself may refer to.
    scope: Scope,
}

impl Told {
    fn text(&self) -> &str {
        match &*self.text {
            Answer::Text(text) => text,
            Answer::Component(file) => &file.text,
            Answer::Paths(_) | Answer::Unknown | Answer::Problem(_) => "",
        }
    }
}

impl Includer<'_> {
    /// Counts a file and looks at its location and at where it is included.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn verify(&mut self, file: &mut Wanted<'_>, scope: &Scope) -> Outcome<()> {
        self.count += 1;
        if self.count > MAX_INCLUDES {
            let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
            return fault(file.item.span, message);
        }
        if file.fault.is_none() {
            file.fault = self
                .wrong_location(file)
                .or_else(|| self.wrong_place(file, scope));
        }
        Ok(())
    }

    fn wrong_location(&self, file: &Wanted<'_>) -> Option<String> {
        let location = self.masked(&file.location);
        if file.kind != Kind::Component && !is_yaml(&file.location) {
            return Some(format!(
                "Included file `{location}` does not have YAML extension!"
            ));
        }
        match file.kind {
            Kind::Remote if !is_address(&file.location) => Some(format!(
                "Remote file `{location}` does not have a valid address!"
            )),
            Kind::Template if !file.location.ends_with(TEMPLATE) => Some(format!(
                "Template file `{location}` is not a valid location!"
            )),
            Kind::Local
            | Kind::Project
            | Kind::Remote
            | Kind::Template
            | Kind::Artifact
            | Kind::Component => None,
        }
    }

    fn wrong_place(&self, file: &Wanted<'_>, scope: &Scope) -> Option<String> {
        match &file.request {
            _ if file.kind == Kind::Local && !scope.has_project => Some(format!(
                "Local file `{}` does not have project!",
                self.masked(&file.location)
            )),
            Request::Component(_) if !scope.has_project => {
                Some("Unable to use components outside of a project context".to_owned())
            }
            Request::Artifact { .. } if !self.context.child => Some(
                "Including configs from artifacts is only allowed when triggering child pipelines"
                    .to_owned(),
            ),
            Request::Artifact { job, .. } if job.trim().is_empty() => {
                Some("Job must be provided when including configs from artifacts".to_owned())
            }
            _ => None,
        }
    }

    /// Reads files in order, each with its own includes; then the first fault of a file itself is told.
    pub(super) fn read_all(
        &mut self,
        wanted: &[Wanted<'_>],
        scope: &Scope,
        purpose: Purpose,
    ) -> Outcome<Vec<Node>> {
        let (mut nodes, mut own, mut missing) = (Vec::new(), None, false);
        for file in wanted {
            match self.read(file, scope, purpose) {
                Ok(Ok(node)) => nodes.push(node),
                Ok(Err(diagnostic)) => own = own.or(Some(diagnostic)),
                Err(Halt::Missing) => missing = true,
                // A fault beneath a file ends everything, but one before it may still be unknown.
                Err(halt) if !missing => return Err(halt),
                Err(_) => {}
            }
        }
        match own {
            _ if missing => Err(Halt::Missing),
            Some(diagnostic) => Err(Halt::Fault(diagnostic)),
            None => Ok(nodes),
        }
    }

    /// One file; the inner error is its own.
    fn read(
        &mut self,
        file: &Wanted<'_>,
        scope: &Scope,
        purpose: Purpose,
    ) -> Outcome<Result<Node, Diagnostic>> {
        let own = |message: String| Ok(Err(Diagnostic::new(message, file.item.span)));
        if let Some(message) = &file.fault {
            return own(message.clone());
        }
        let told = match self.told(file, scope)? {
            Ok(told) => told,
            Err(message) => return own(message),
        };
        let key = (file.request.clone(), file.item.span);
        let number = self.number(&key, file, &told);
        let read = self.open_once(Some(key.clone()), number, told.text());
        let empty = Map::default();
        let inputs = file.inputs.unwrap_or(&empty);
        let node = match self.filled(Some(key), &read, inputs, &told.scope)? {
            Ok(node) => node,
            Err(error) => return Ok(Err(self.unreadable(file, number, &error))),
        };
        let node = match purpose {
            Purpose::Configuration => self.expand(&node, &told.scope)?,
            Purpose::Inputs => {
                if let Err(fault) = only_inputs(&node, &self.masked(&file.location)) {
                    let span = fault.span.unwrap_or(file.item.span);
                    return Ok(Err(
                        Diagnostic::new(fault.message, span).with_help(fault.help)
                    ));
                }
                node
            }
        };
        self.size = self.size.saturating_add(told.text().len());
        if self.size > self.context.limits.total {
            return fault(
                file.item.span,
                "Total size of combined CI/CD configuration is too big",
            );
        }
        Ok(Ok(node))
    }

    /// The text of a file; the inner error is the message that there is none.
    fn told(&mut self, file: &Wanted<'_>, scope: &Scope) -> Outcome<Result<Told, String>> {
        let answer = self
            .answers
            .get(file.request.clone())
            .ok_or(Halt::Missing)?;
        let location = self.masked(&file.location);
        let nested = match (&*answer, &file.request) {
            (Answer::Problem(message), _) => return Ok(Err(self.problem(file, message))),
            (Answer::Paths(_) | Answer::Unknown, _) => return Ok(Err(absent(file, &location))),
            (Answer::Component(component), _) => scope.in_component(component),
            (Answer::Text(_), Request::File { origin, .. }) => scope.in_project(origin.clone()),
            (Answer::Text(_), Request::Remote { .. } | Request::Template(_)) => scope.outside(),
            (Answer::Text(_), _) => scope.clone(),
        };
        let told = Told {
            text: answer,
            scope: nested,
        };
        if file
            .integrity
            .is_some_and(|integrity| !is_intact(integrity, told.text()))
        {
            return Ok(Err(format!(
                "Remote file `{location}` failed integrity check!"
            )));
        }
        if told.text().trim().is_empty() {
            return Ok(Err(empty(file, &location)));
        }
        Ok(Ok(told))
    }

    /// The number of a file. One that is included again, or from another place, is another file.
    fn number(&mut self, key: &(Request, Span), file: &Wanted<'_>, told: &Told) -> u32 {
        if let Some(read) = self.answers.read.get(&Some(key.clone())) {
            return read.number;
        }
        let number = u32::try_from(self.answers.files.len()).unwrap_or(u32::MAX);
        self.answers.files.push(SourceFile {
            name: self.masked(&file.location),
            project: told.scope.origin.project.clone(),
            included_at: Some(file.item.span),
            text: told.text().into(),
            asked: Some(file.request.clone()),
            by_project: file.kind == Kind::Project,
        });
        number
    }

    /// The YAML of a file: parsed once, however often the compiler begins anew.
    pub(super) fn open_once(
        &mut self,
        key: Option<(Request, Span)>,
        number: u32,
        text: &str,
    ) -> Arc<Read> {
        let limits = self.context.limits;
        let read = Arc::clone(self.answers.read.entry(key).or_insert_with(|| {
            Arc::new(Read {
                number,
                opened: open(text, number, limits),
                filled: None,
            })
        }));
        for (key, first) in read.opened.iter().flat_map(|opened| &opened.duplicates) {
            self.check.warnings.push(Diagnostic::new(
                format!(
                    "duplicate key `{}`: this value replaces the one of line {}",
                    crate::inputs::shown(key),
                    first.line
                ),
                key.span,
            ));
        }
        read
    }

    /// The configuration of a file, its blocks replaced; kept like its YAML.
    pub(super) fn filled(
        &mut self,
        key: Option<(Request, Span)>,
        read: &Arc<Read>,
        inputs: &Map,
        scope: &Scope,
    ) -> Outcome<Result<Node, HeaderError>> {
        if let Some(filled) = &read.filled {
            return Ok(filled.clone());
        }
        let filled = match &read.opened {
            Ok(opened) => self.configuration(opened, inputs, scope)?,
            Err(error) => Err(error.clone()),
        };
        let kept = Read {
            filled: Some(filled.clone()),
            ..Read::clone(read)
        };
        self.answers.read.insert(key, Arc::new(kept));
        Ok(filled)
    }

    fn unreadable(&self, file: &Wanted<'_>, number: u32, error: &HeaderError) -> Diagnostic {
        let location = self.masked(&file.location);
        let whole = Span {
            file: number,
            line: 1,
            column: 1,
        };
        match error {
            HeaderError::Yaml(YamlError::Syntax { at: Some(_), .. }) => Diagnostic::new(
                format!("Included file `{location}` does not have valid YAML syntax!"),
                place(error, number).unwrap_or(whole),
            ),
            HeaderError::Yaml(error) => Diagnostic::new(format!("`{location}`: {error}"), whole),
            HeaderError::Message(fault) => Diagnostic::new(
                format!("`{location}`: {}", self.masked(&fault.message)),
                fault.place(&self.answers.files).unwrap_or(file.item.span),
            )
            .with_help(fault.help.clone()),
        }
    }
}
