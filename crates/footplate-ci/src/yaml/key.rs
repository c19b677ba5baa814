//! Keys of mappings, to be looked up by.

use std::{hash::Hash, sync::Arc};

use super::{Node, Value};

/// A key, comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Text.
    Str(Arc<str>),
    /// A symbol.
    Symbol(Arc<str>),
    /// Any other value, in a form of its own.
    Other(String),
}

impl Key {
    pub(super) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Str(text) => Self::Str(Arc::clone(text)),
            Value::Symbol(text) => Self::Symbol(Arc::clone(text)),
            other => Self::Other(format!("{other:?}")),
        }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    fn symbol(&self) -> Option<&str> {
        if let Self::Symbol(text) = self {
            Some(text)
        } else {
            None
        }
    }
}

/// Of its text alone, so that a borrowed text finds it.
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) | Self::Symbol(text) => text.hash(state),
            Self::Other(text) => text.hash(state),
        }
    }
}

/// A text that is looked up as [`Key::Str`].
#[derive(Hash)]
pub(super) struct Text<'k>(pub(super) &'k str);

/// A text that is looked up as [`Key::Symbol`].
#[derive(Hash)]
pub(super) struct Symbol<'k>(pub(super) &'k str);

impl indexmap::Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.text() == Some(self.0)
    }
}

impl indexmap::Equivalent<Key> for Symbol<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.symbol() == Some(self.0)
    }
}
