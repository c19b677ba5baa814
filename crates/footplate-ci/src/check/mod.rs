//! Checks that keywords share. Messages are `LOCATION ATTRIBUTE MESSAGE` (`ci-yaml.md §23`).

mod nodes;

use std::{collections::HashMap, sync::Arc};

use serde_json::Value as Json;

pub use nodes::{flat, flatten, given, json, string_list, text};

use crate::{
    diagnostic::Diagnostic,
    durations,
    expr::{Condition, ExprError},
    keywords::plain,
    suggest::did_you_mean,
    yaml::{Map, Node, Span, Value},
};

/// Collects what is wrong while a configuration is read.
#[derive(Debug, Default)]
pub struct Check {
    /// Faults.
    pub errors: Vec<Diagnostic>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// The tree of keywords is being read.
    keywords: bool,
    /// Conditions that were read, by their texts: many jobs have the same.
    conditions: HashMap<Arc<str>, Arc<Condition>>,
    /// The last value of each keyword without a fault, and what it became: jobs that extend the same one share its values.
    last: Vec<(&'static str, Node, Arc<Json>)>,
}

impl Check {
    /// From here on faults are those of keywords.
    pub fn begin_keywords(&mut self) {
        self.keywords = true;
    }

    /// Reports a fault. GitLab's validator writes those of keywords in lower case, names and values of the user included.
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.error_with_help(span, message, None);
    }

    /// Reports a fault, with what was probably meant where that is known.
    pub fn error_with_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let message = message.into();
        let message = if self.keywords {
            message.to_lowercase()
        } else {
            message
        };
        self.errors
            .push(Diagnostic::new(message, span).with_help(help));
    }

    /// One for faults that are told later, if at all: [`Self::take`] takes them. Until then it has what is known of conditions.
    pub(crate) fn inner(&mut self) -> Self {
        Self {
            errors: Vec::new(),
            warnings: Vec::new(),
            keywords: self.keywords,
            conditions: std::mem::take(&mut self.conditions),
            last: std::mem::take(&mut self.last),
        }
    }

    /// What an inner one knows, with its faults only where they are `told`.
    pub(crate) fn take(&mut self, inner: Self, told: bool) {
        self.conditions = inner.conditions;
        self.last = inner.last;
        if told {
            self.errors.extend(inner.errors);
            self.warnings.extend(inner.warnings);
        }
    }

    /// Reads a plain keyword; a value that the last one of its name shares with this one only once.
    pub(crate) fn keyword(
        &mut self,
        name: &'static str,
        at: &str,
        node: &Node,
    ) -> Option<Arc<Json>> {
        let place = self.last.iter().position(|(known, ..)| *known == name);
        if let Some((_, last, json)) = place.map(|place| &self.last[place])
            && last.is_same(node)
        {
            return Some(Arc::clone(json));
        }
        let told = (self.errors.len(), self.warnings.len());
        let json = Arc::new(plain(name)?(self, at, node)?);
        if told == (self.errors.len(), self.warnings.len()) {
            let new = (name, node.clone(), Arc::clone(&json));
            match place {
                Some(place) => self.last[place] = new,
                None => self.last.push(new),
            }
        }
        Some(json)
    }

    /// Reads a condition, each text once.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Arc<Condition>, ExprError> {
        if let Some(known) = self.conditions.get(text) {
            return Ok(Arc::clone(known));
        }
        let condition = Arc::new(Condition::parse(text)?);
        let key = Arc::clone(condition.text());
        self.conditions.insert(key, Arc::clone(&condition));
        Ok(condition)
    }

    /// Reports a fault whose words do not come from the validator: they keep their case.
    pub fn verbatim(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(message, span));
    }

    /// How many faults there are. A keyword with faults of its own is not looked into: see [`Self::sound_since`].
    pub fn faults(&self) -> usize {
        self.errors.len()
    }

    /// Whether nothing was reported since there were so many faults.
    pub fn sound_since(&self, faults: usize) -> bool {
        self.errors.len() == faults
    }

    /// Reports keys outside the allowed ones.
    pub fn unknown_keys(&mut self, at: &str, map: &Map, allowed: &[&str]) {
        let unknown: Vec<_> = map
            .iter()
            .filter(|entry| !entry.key.as_str().is_some_and(|key| allowed.contains(&key)))
            .collect();
        if let Some(first) = unknown.first() {
            let names: Vec<String> = unknown.iter().map(|entry| text(&entry.key)).collect();
            let message = format!("{at} config contains unknown keys: {}", names.join(", "));
            let help = names
                .iter()
                .find_map(|name| did_you_mean(name, allowed.iter().copied()));
            self.error_with_help(first.key.span, message, help);
        }
    }

    /// A mapping, or the fault `config should be a hash`.
    pub fn map<'n>(&mut self, at: &str, node: &'n Node) -> Option<&'n Map> {
        if node.as_map().is_none() {
            self.error(node.span, format!("{at} config should be a hash"));
        }
        node.as_map()
    }

    /// Text, or the fault `ATTRIBUTE should be a string`.
    pub fn string(&mut self, at: &str, attribute: &str, node: &Node) -> Option<String> {
        let found = node.as_str().map(str::to_owned);
        if found.is_none() {
            self.error(node.span, format!("{at} {attribute} should be a string"));
        }
        found
    }

    /// A boolean, or the fault `ATTRIBUTE should be a boolean value`.
    pub fn boolean(&mut self, at: &str, attribute: &str, node: &Node) -> Option<bool> {
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        self.error(
            node.span,
            format!("{at} {attribute} should be a boolean value"),
        );
        None
    }

    /// A list of texts, or the fault `ATTRIBUTE should be an array of strings`.
    pub fn strings(&mut self, at: &str, attribute: &str, node: &Node) -> Option<Vec<String>> {
        let found = string_list(node);
        if found.is_none() {
            self.error(
                node.span,
                format!("{at} {attribute} should be an array of strings"),
            );
        }
        found
    }

    /// One text or a list of texts, always given back as a list.
    pub fn string_or_strings(
        &mut self,
        at: &str,
        attribute: &str,
        node: &Node,
    ) -> Option<Vec<String>> {
        let found = node
            .as_str()
            .map(|one| vec![one.to_owned()])
            .or_else(|| string_list(node));
        if found.is_none() {
            self.error(
                node.span,
                format!("{at} {attribute} should be an array of strings or a string"),
            );
        }
        found
    }

    /// One integer or a list of integers, always given back as a list.
    pub fn integers(&mut self, at: &str, attribute: &str, node: &Node) -> Option<Vec<i64>> {
        let one = |node: &Node| {
            if let Value::Int(number) = node.value {
                i64::try_from(number.get()).ok()
            } else {
                None
            }
        };
        let found = one(node)
            .map(|number| vec![number])
            .or_else(|| node.as_seq()?.iter().map(one).collect());
        if found.is_none() {
            self.error(
                node.span,
                format!("{at} {attribute} should be an array of integers or an integer"),
            );
        }
        found
    }

    /// A word out of a list.
    pub fn one_of(
        &mut self,
        at: &str,
        attribute: &str,
        node: &Node,
        words: &[&str],
    ) -> Option<String> {
        if let Some(word) = node.as_str().filter(|word| words.contains(word)) {
            return Some(word.to_owned());
        }
        let message = format!("should be one of: {}", words.join(", "));
        self.word(at, attribute, node, words, &message)
    }

    /// Texts in lists within lists, flattened (`ci-yaml.md §8.1`).
    pub fn script(&mut self, at: &str, node: &Node) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        let fits = match node.as_str() {
            Some(line) => {
                lines.push(line.to_owned());
                true
            }
            None => node
                .as_seq()
                .is_some_and(|items| flatten(items, 1, &mut lines)),
        };
        if !fits {
            self.error(node.span, format!("{at} config should be a string or a nested array of strings up to 10 levels deep"));
        }
        fits.then_some(lines)
    }

    /// A duration up to a limit, in seconds.
    pub fn duration(
        &mut self,
        at: &str,
        attribute: &str,
        node: &Node,
        limit: Option<f64>,
    ) -> Option<f64> {
        let seconds = node
            .as_str()
            .and_then(|text| durations::parse(text).ok().flatten());
        if seconds.is_none() {
            self.error(node.span, format!("{at} {attribute} should be a duration"));
        }
        // What is no duration is not within the limit either, and both are said.
        if limit.is_some_and(|limit| seconds.is_none_or(|seconds| seconds > limit)) {
            self.error(
                node.span,
                format!("{at} {attribute} should not exceed the limit"),
            );
            return None;
        }
        seconds
    }
}
