//! `changes` and `exists` over lists of paths (`ci-yaml.md §11`).

use std::collections::HashSet;

use crate::{
    globs::Glob,
    variables::{DirectOptions, Variable, expand_existing},
};

/// Beyond so many comparisons the answer is yes without looking.
const MAX_COMPARISONS: usize = 50_000;

/// Whether patterns matched, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PathMatch {
    /// The answer.
    pub matched: bool,
    /// Paths that matched; `None` when nobody looked.
    pub paths: Option<usize>,
    /// Paths that there were; `None` when they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// The first path that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl PathMatch {
    /// Nobody looked, so the answer is yes; `of` paths would have been there, where that is known.
    pub fn assumed(of: Option<usize>) -> Self {
        Self {
            matched: true,
            of,
            ..Self::default()
        }
    }

    /// Those of the paths that pass.
    pub fn of(paths: &[String], passes: impl Fn(&str) -> bool) -> Self {
        let mut found = paths.iter().filter(|path| passes(path));
        let first = found.next().cloned();
        let count = found.count() + usize::from(first.is_some());
        Self {
            matched: count > 0,
            paths: Some(count),
            of: Some(paths.len()),
            first,
        }
    }
}

fn expanded(globs: &[String], variables: &[Variable]) -> Vec<String> {
    globs
        .iter()
        .map(|glob| {
            expand_existing(glob, variables, DirectOptions::default())
                .unwrap_or_else(|_| glob.clone())
        })
        .collect()
}

/// `changes`: any changed path matches any pattern; unknown paths match. `variables` are already expanded among themselves.
pub fn changes(globs: &[String], changed: Option<&[String]>, variables: &[Variable]) -> PathMatch {
    let Some(changed) = changed else {
        return PathMatch::assumed(None);
    };
    let mut globs = expanded(globs, variables);
    let mut seen = HashSet::new();
    globs.retain(|glob| seen.insert(glob.clone()));
    if changed.len().saturating_mul(globs.len()) > MAX_COMPARISONS {
        return PathMatch::assumed(Some(changed.len()));
    }
    let globs: Vec<Glob> = globs.iter().map(|glob| Glob::new(glob)).collect();
    PathMatch::of(changed, |path| globs.iter().any(|glob| glob.matches(path)))
}

/// `exists`: some file of the sorted list is named exactly, lies in a folder named with a slash at its end, has the ending of a pattern
/// `**/*.ending`, or matches. The first three are cheap and not counted.
pub fn exists(globs: &[String], files: &[String], variables: &[Variable]) -> PathMatch {
    let globs = expanded(globs, variables);
    let (patterns, names): (Vec<&String>, Vec<&String>) = globs
        .iter()
        .partition(|glob| glob.contains(['*', '?', '[', '{', '\\']));
    if let Some(first) = names.iter().find_map(|name| there(name, files)) {
        return PathMatch {
            matched: true,
            paths: Some(1),
            of: Some(files.len()),
            first: Some(first.clone()),
        };
    }
    // Patterns that cannot match below the root are compared with what lies there.
    let at_root = globs
        .iter()
        .all(|glob| !glob.contains('/') && !glob.contains("**"));
    let top: Vec<String>;
    let files = if at_root {
        top = files
            .iter()
            .filter(|file| !file.contains('/'))
            .cloned()
            .collect();
        &top
    } else {
        files
    };
    let (endings, patterns): (Vec<&String>, Vec<&String>) = patterns
        .into_iter()
        .partition(|glob| ending(glob).is_some());
    let endings: Vec<&str> = endings
        .into_iter()
        .filter_map(|glob| ending(glob))
        .collect();
    let ends = |file: &str| endings.iter().any(|ending| file.ends_with(ending));
    if files.len().saturating_mul(patterns.len()) > MAX_COMPARISONS {
        return PathMatch::assumed(Some(files.len()));
    }
    let patterns: Vec<Glob> = patterns.into_iter().map(|glob| Glob::new(glob)).collect();
    PathMatch::of(files, |file| {
        ends(file) || patterns.iter().any(|glob| glob.matches(file))
    })
}

/// The file of that name, or the first in the folder that a slash at the end says.
fn there<'f>(name: &str, files: &'f [String]) -> Option<&'f String> {
    let at = files.partition_point(|file| file.as_str() < name);
    files.get(at).filter(|file| {
        if name.ends_with('/') {
            file.starts_with(name)
        } else {
            file.as_str() == name
        }
    })
}

/// `.rb` of `**/*.rb`.
fn ending(glob: &str) -> Option<&str> {
    let rest = glob.strip_prefix("**/*")?;
    (rest.starts_with('.') && !rest.contains(['/', '*', '?', '[', '{', '\\'])).then_some(rest)
}
