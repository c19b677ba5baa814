//! `changes` and `exists` over lists of paths (`ci-yaml.md §11`).

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
    if changed.len().saturating_mul(globs.len()) > MAX_COMPARISONS {
        return PathMatch::assumed(Some(changed.len()));
    }
    let globs: Vec<Glob> = expanded(globs, variables)
        .iter()
        .map(|glob| Glob::new(glob))
        .collect();
    PathMatch::of(changed, |path| globs.iter().any(|glob| glob.matches(path)))
}

/// `exists`: some file of the sorted list is named exactly, lies in a folder named with a slash at its end, or matches.
pub fn exists(globs: &[String], files: &[String], variables: &[Variable]) -> PathMatch {
    let globs = expanded(globs, variables);
    let (patterns, names): (Vec<&String>, Vec<&String>) = globs
        .iter()
        .partition(|glob| glob.contains(['*', '?', '[', '{', '\\']));
    for name in names {
        let found = if name.ends_with('/') {
            let at = files.partition_point(|file| file.as_str() < name.as_str());
            files.get(at).filter(|file| file.starts_with(name.as_str()))
        } else {
            files
                .binary_search_by(|file| file.as_str().cmp(name))
                .ok()
                .and_then(|at| files.get(at))
        };
        if let Some(first) = found {
            return PathMatch {
                matched: true,
                paths: Some(1),
                of: Some(files.len()),
                first: Some(first.clone()),
            };
        }
    }
    if files.len().saturating_mul(patterns.len()) > MAX_COMPARISONS {
        return PathMatch::assumed(Some(files.len()));
    }
    let patterns: Vec<Glob> = patterns.into_iter().map(|glob| Glob::new(glob)).collect();
    PathMatch::of(files, |file| patterns.iter().any(|glob| glob.matches(file)))
}
