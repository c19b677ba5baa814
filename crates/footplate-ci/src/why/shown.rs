//! A why as it is shown: with names of files and lines, and without what the reader may not see.

use serde_json::{Value as Json, json};

use super::{HIDDEN, Level, Why};
use crate::diagnostic::SourceFile;

/// A why with the names of files, and the way in which its file was included.
pub fn shown(why: &Why, files: &[SourceFile], secrets: bool) -> Json {
    let mut json = json!({"decided_by": why.decided_by, "at": place(why.file, why.line, files)});
    if let Some(when) = &why.when {
        json["when"] = json!(when);
    }
    let chain = chain(why.file, files);
    if !chain.is_empty() {
        json["included_from"] = json!(chain);
    }
    if why.omitted > 0 {
        json["omitted"] = json!(why.omitted);
    }
    let hidden = |name: &str| {
        !secrets
            && why
                .variables
                .iter()
                .any(|known| known.name == name && known.level.is_some_and(Level::is_secret))
    };
    let looked: Vec<Json> = why
        .looked_at
        .iter()
        .map(|looked| {
            let mut entry = json!({
                "entry": looked.entry, "at": place(looked.file, looked.line, files), "matched": looked.matched,
            });
            if let Some(condition) = &looked.condition {
                entry["if"] = json!(**condition);
            }
            if !looked.atoms.is_empty() {
                let atoms = looked.atoms.iter().map(|atom| {
                    let lone = atom.text.strip_prefix('$').is_some_and(hidden);
                    let value = if lone && atom.value != "null" { HIDDEN } else { &*atom.value };
                    json!({"text": *atom.text, "value": value})
                });
                entry["atoms"] = atoms.collect();
            }
            for paths in &looked.paths {
                let found = &paths.found;
                entry[paths.kind.as_str()] = json!({
                    "patterns": paths.patterns, "matched": found.matched, "paths": found.paths, "of": found.of,
                    "first": found.first,
                });
            }
            entry
        })
        .collect();
    json["looked_at"] = json!(looked);
    let variables: Vec<Json> = why
        .variables
        .iter()
        .map(|variable| {
            let mut json = json!(variable);
            if variable.value.is_some() && hidden(&variable.name) {
                json["value"] = json!(HIDDEN);
            }
            json
        })
        .collect();
    json["variables"] = json!(variables);
    json
}

/// A line of a file.
pub(super) fn place(file: u32, line: u32, files: &[SourceFile]) -> Json {
    let name = files
        .get(file as usize)
        .map_or("", |file| file.name.as_str());
    json!(format!("{name}:{line}"))
}

/// Where a file was included, and where the including file was, up to the root file.
pub fn chain(file: u32, files: &[SourceFile]) -> Vec<String> {
    let mut chain = Vec::new();
    let mut at = files.get(file as usize).and_then(|file| file.included_at);
    while let Some(span) = at
        && chain.len() < files.len()
    {
        let including = files.get(span.file as usize);
        let name = including.map_or("", |file| file.name.as_str());
        chain.push(format!("{name}:{}", span.line));
        at = including.and_then(|file| file.included_at);
    }
    chain
}
