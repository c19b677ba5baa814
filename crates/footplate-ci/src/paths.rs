//! `changes` and `exists` over lists of paths (`ci-yaml.md §11`).

use std::collections::HashSet;

use crate::{
    globs::Glob,
    variables::{DirectOptions, Variable, expand_existing},
};

/// Beyond so many comparisons the answer is yes without looking.
const MAX_COMPARISONS: usize = 50_000;

/// Whether patterns matched, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PathMatch {
    /// The answer.
    pub matched: bool,
    /// Paths that matched; `None` when nobody looked.
    pub paths: Option<usize>,
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
        return PathMatch {
            matched: true,
            paths: None,
        };
    };
    let mut globs = expanded(globs, variables);
    let mut seen = HashSet::new();
    globs.retain(|glob| seen.insert(glob.clone()));
    if changed.len().saturating_mul(globs.len()) > MAX_COMPARISONS {
        return PathMatch {
            matched: true,
            paths: None,
        };
    }
    let globs: Vec<Glob> = globs.iter().map(|glob| Glob::new(glob)).collect();
    let count = changed
        .iter()
        .filter(|path| globs.iter().any(|glob| glob.matches(path)))
        .count();
    PathMatch {
        matched: count > 0,
        paths: Some(count),
    }
}

/// `exists`: some file of the sorted list is named exactly, lies in a folder named with a slash at its end, has the ending of a pattern
/// `**/*.ending`, or matches. The first three are cheap and not counted.
pub fn exists(globs: &[String], files: &[String], variables: &[Variable]) -> PathMatch {
    let globs = expanded(globs, variables);
    let (patterns, names): (Vec<&String>, Vec<&String>) = globs
        .iter()
        .partition(|glob| glob.contains(['*', '?', '[', '{', '\\']));
    if names.iter().any(|name| is_there(name, files)) {
        return PathMatch {
            matched: true,
            paths: Some(1),
        };
    }
    // Patterns that cannot match below the root are compared with what lies there.
    let at_root = globs
        .iter()
        .all(|glob| !glob.contains('/') && !glob.contains("**"));
    let files: Vec<&str> = files
        .iter()
        .map(String::as_str)
        .filter(|file| !at_root || !file.contains('/'))
        .collect();
    let (endings, patterns): (Vec<&String>, Vec<&String>) = patterns
        .into_iter()
        .partition(|glob| ending(glob).is_some());
    let endings: Vec<&str> = endings
        .into_iter()
        .filter_map(|glob| ending(glob))
        .collect();
    let ends = |file: &&&str| endings.iter().any(|ending| file.ends_with(ending));
    if files.len().saturating_mul(patterns.len()) > MAX_COMPARISONS {
        return PathMatch {
            matched: true,
            paths: None,
        };
    }
    let patterns: Vec<Glob> = patterns.into_iter().map(|glob| Glob::new(glob)).collect();
    let count = files
        .iter()
        .filter(|file| ends(file) || patterns.iter().any(|glob| glob.matches(file)))
        .count();
    PathMatch {
        matched: count > 0,
        paths: Some(count),
    }
}

fn is_there(name: &str, files: &[String]) -> bool {
    if name.ends_with('/') {
        let at = files.partition_point(|file| file.as_str() < name);
        return files.get(at).is_some_and(|file| file.starts_with(name));
    }
    files
        .binary_search_by(|file| file.as_str().cmp(name))
        .is_ok()
}

/// `.rb` of `**/*.rb`.
fn ending(glob: &str) -> Option<&str> {
    let rest = glob.strip_prefix("**/*")?;
    (rest.starts_with('.') && !rest.contains(['/', '*', '?', '[', '{', '\\'])).then_some(rest)
}
