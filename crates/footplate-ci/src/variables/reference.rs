//! References inside one text: `$NAME`, `${NAME}`, `%NAME%`; `$$` and `%%` are none.

use std::sync::LazyLock;

use regex::{Captures, Regex};

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\$|%%|\$(?P<plain>[a-zA-Z_][a-zA-Z0-9_]*)|\$\{(?P<braces>[a-zA-Z_][a-zA-Z0-9_]*)\}|%(?P<percent>[a-zA-Z_][a-zA-Z0-9_]*)%")
        .unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
});

fn name<'t>(found: &Captures<'t>) -> Option<&'t str> {
    ["plain", "braces", "percent"]
        .iter()
        .find_map(|group| found.name(group))
        .map(|name| name.as_str())
}

/// The names that a text refers to, in order, with repetitions.
pub fn references(text: &str) -> impl Iterator<Item = &str> {
    REFERENCE
        .captures_iter(text)
        .filter_map(|found| name(&found))
}

/// What a reference becomes.
pub(super) enum Replacement {
    /// This text.
    Text(String),
    /// It stays.
    Keep,
}

pub(super) fn replace(text: &str, mut lookup: impl FnMut(&str) -> Replacement) -> String {
    REFERENCE
        .replace_all(text, |found: &Captures<'_>| {
            match name(found).map(&mut lookup) {
                Some(Replacement::Text(text)) => text,
                Some(Replacement::Keep) | None => found[0].to_owned(),
            }
        })
        .into_owned()
}

/// A masked variable was referred to where that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("masked variables cannot be expanded")]
pub struct MaskedRefused;

/// How one text is expanded.
#[derive(Debug, Clone, Copy)]
pub struct DirectOptions {
    /// References to file variables are replaced by their content; otherwise they become the bare reference.
    pub expand_file_refs: bool,
    /// A reference to a masked variable is an error.
    pub fail_on_masked: bool,
}

impl Default for DirectOptions {
    fn default() -> Self {
        Self {
            expand_file_refs: true,
            fail_on_masked: false,
        }
    }
}

fn direct(
    text: &str,
    variables: &[super::Variable],
    options: DirectOptions,
    keep_unknown: bool,
) -> Result<String, MaskedRefused> {
    let mut refused = false;
    let expanded = replace(text, |name| {
        match variables.iter().rev().find(|variable| variable.key == name) {
            None if keep_unknown => Replacement::Keep,
            None => Replacement::Text(String::new()),
            Some(variable) => {
                refused |= variable.masked && options.fail_on_masked;
                if variable.file && !options.expand_file_refs {
                    Replacement::Keep
                } else {
                    Replacement::Text(variable.value.clone())
                }
            }
        }
    });
    if refused {
        Err(MaskedRefused)
    } else {
        Ok(expanded)
    }
}

/// Expands one text; unknown references vanish.
///
/// # Errors
/// [`MaskedRefused`] where the options say so.
pub fn expand(
    text: &str,
    variables: &[super::Variable],
    options: DirectOptions,
) -> Result<String, MaskedRefused> {
    direct(text, variables, options, false)
}

/// Expands one text; unknown references stay.
///
/// # Errors
/// [`MaskedRefused`] where the options say so.
pub fn expand_existing(
    text: &str,
    variables: &[super::Variable],
    options: DirectOptions,
) -> Result<String, MaskedRefused> {
    direct(text, variables, options, true)
}
