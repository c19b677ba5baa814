//! Texts that refer to variables of a scope.

use std::collections::HashSet;

use super::Lookup;
use crate::variables::{
    CollectionError, DirectOptions, SortOptions, Variable, expand, expand_existing, references,
    sort_and_expand,
};

/// Whether a value may refer to anything.
pub(super) fn refers(value: &str) -> bool {
    value.contains(['$', '%'])
}

/// Expands a text by a list that is expanded itself first; unknown names vanish.
pub fn fill(text: &str, variables: impl FnOnce() -> Vec<Variable>) -> String {
    if !text.contains(['$', '%']) {
        return text.to_owned();
    }
    let variables = variables();
    let expanded = sort_and_expand(&variables, SortOptions::default()).unwrap_or(variables);
    expand(text, &expanded, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}

/// The variables that texts refer to, directly or through others, expanded among themselves; unexpanded where they refer to each
/// other in a circle.
///
/// # Errors
/// They grow too large.
pub fn reachable<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    scope: &dyn Lookup,
) -> Result<Vec<Variable>, CollectionError> {
    let mut open: Vec<String> = Vec::new();
    for text in texts.into_iter().filter(|text| refers(text)) {
        open.extend(references(text).map(str::to_owned));
    }
    let (mut met, mut list) = (HashSet::new(), Vec::new());
    while let Some(name) = open.pop() {
        if !met.insert(name.clone()) {
            continue;
        }
        let Some(found) = scope.seen(&name) else {
            continue;
        };
        if !found.raw && refers(found.value) {
            open.extend(references(found.value).map(str::to_owned));
        }
        list.push(Variable {
            key: name,
            value: found.value.to_owned(),
            raw: found.raw,
            file: found.file,
            ..Variable::default()
        });
    }
    match sort_and_expand(&list, SortOptions::default()) {
        Err(CollectionError::Circle(_)) => Ok(list),
        expanded => expanded,
    }
}

/// A text with those references replaced that are known.
pub fn filled(text: &str, variables: &[Variable]) -> String {
    expand_existing(text, variables, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}
