//! Checks in the way of GitLab's validators: each rule of a keyword speaks for itself, so one wrong value may break several.

use crate::{
    check::{Check, text},
    suggest::did_you_mean,
    yaml::{Map, Node, Span, Value},
};

impl Check {
    /// A word out of a list, with the keyword's own message for any other.
    pub(crate) fn word(
        &mut self,
        at: &str,
        attribute: &str,
        node: &Node,
        words: &[&str],
        message: &str,
    ) -> Option<String> {
        let found = self.string(at, attribute, node);
        if found.as_deref().is_none_or(|word| !words.contains(&word)) {
            self.unknown_word(node, format!("{at} {attribute} {message}"), words);
            return None;
        }
        found
    }

    /// Reports a value that is none of the known words, with the one that was probably meant.
    pub(crate) fn unknown_word(&mut self, node: &Node, message: impl Into<String>, known: &[&str]) {
        let help = node
            .as_str()
            .and_then(|word| did_you_mean(word, known.iter().copied()));
        self.error_with_help(node.span, message, help);
    }

    /// Something that is neither null, false, nor empty.
    pub(crate) fn present(&mut self, at: &str, attribute: &str, span: Span, node: Option<&Node>) {
        if node.is_none_or(is_blank) {
            self.error(span, format!("{at} {attribute} can't be blank"));
        }
    }

    /// Text that must be there: what is absent is no string and blank.
    pub(crate) fn needed_string(
        &mut self,
        at: &str,
        attribute: &str,
        span: Span,
        node: Option<&Node>,
    ) -> Option<String> {
        let found = node.and_then(Node::as_str).map(str::to_owned);
        if found.is_none() {
            let span = node.map_or(span, |node| node.span);
            self.error(span, format!("{at} {attribute} should be a string"));
        }
        self.present(at, attribute, span, node);
        found
    }

    /// A mapping as a field of its keyword, or the fault `ATTRIBUTE should be a hash`.
    pub(crate) fn map_field<'n>(
        &mut self,
        at: &str,
        attribute: &str,
        node: &'n Node,
    ) -> Option<&'n Map> {
        if node.as_map().is_none() {
            self.error(node.span, format!("{at} {attribute} should be a hash"));
        }
        node.as_map()
    }

    /// Reports the words of a list that are not among the known ones, at the first of them; what is no word is unknown.
    pub(crate) fn unknown_words(
        &mut self,
        at: &str,
        attribute: &str,
        items: &[Node],
        known: &[&str],
    ) {
        let unknown: Vec<&Node> = items
            .iter()
            .filter(|item| !item.as_str().is_some_and(|word| known.contains(&word)))
            .collect();
        if let Some(first) = unknown.first() {
            let names: Vec<String> = unknown.iter().map(|item| text(item)).collect();
            let message = format!(
                "{at} {attribute} contains unknown values: {}",
                names.join(", ")
            );
            self.unknown_word(first, message, known);
        }
    }

    /// At most so many characters or items.
    pub(crate) fn at_most(&mut self, at: &str, attribute: &str, node: &Node, max: usize) {
        if length(node) > max {
            let things = if node.as_seq().is_some() {
                "items"
            } else {
                "characters"
            };
            self.error(
                node.span,
                format!("{at} {attribute} is too long (maximum is {max} {things})"),
            );
        }
    }

    /// Keys of which a mapping may have one.
    pub(crate) fn exclusive_keys(&mut self, at: &str, node: &Node, map: &Map, keys: &[&str]) {
        let used = used_keys(map, keys);
        if used.len() > 1 {
            self.error(
                node.span,
                format!(
                    "{at} config these keys cannot be used together: {}",
                    used.join(", ")
                ),
            );
        }
    }

    /// Keys of which a mapping must have one.
    pub(crate) fn one_of_keys(&mut self, at: &str, span: Span, map: &Map, keys: &[&str]) {
        if used_keys(map, keys).len() != 1 {
            self.error(
                span,
                format!(
                    "{at} config must use exactly one of these keys: {}",
                    keys.join(", ")
                ),
            );
        }
    }

    /// Keys that a mapping must have, be their value null.
    pub(crate) fn required_keys(&mut self, at: &str, span: Span, map: Option<&Map>, keys: &[&str]) {
        let missing: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| map.is_none_or(|map| map.get(key).is_none()))
            .collect();
        if !missing.is_empty() {
            self.error(
                span,
                format!("{at} config missing required keys: {}", missing.join(", ")),
            );
        }
    }
}

/// The keys of a mapping that are among these, as it writes them.
fn used_keys(map: &Map, keys: &[&str]) -> Vec<String> {
    map.iter()
        .map(|entry| text(&entry.key))
        .filter(|key| keys.contains(&key.as_str()))
        .collect()
}

/// Rails' `blank?`.
pub(crate) fn is_blank(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Str(text) | Value::Symbol(text) => text.trim().is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Binary(bytes) => bytes.is_empty(),
        Value::Bool(true) | Value::Int(_) | Value::Float(_) | Value::Reference(_) => false,
    }
}

/// Characters of a text, items of a list or mapping; of anything else the characters that it is written with.
pub(crate) fn length(node: &Node) -> usize {
    match &node.value {
        Value::Seq(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => text(node).chars().count(),
    }
}
