//! What people read in the terminal: faults with their lines, pipelines by stage, and why.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use footplate_ci::{Diagnostic, SourceFile, why::chain};
use serde_json::Value as Json;

/// Faults and warnings, each with its place in the text, the way its file was included, and help.
pub(crate) fn faults(
    errors: &[Diagnostic],
    warnings: &[Diagnostic],
    files: &[SourceFile],
    colours: bool,
) -> String {
    let renderer = if colours {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for (level, list) in [(Level::ERROR, errors), (Level::WARNING, warnings)] {
        for diagnostic in list {
            fault(&mut text, &renderer, level.clone(), diagnostic, files);
        }
    }
    text
}

fn fault(
    out: &mut String,
    renderer: &Renderer,
    level: Level<'_>,
    diagnostic: &Diagnostic,
    files: &[SourceFile],
) {
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .elements(Vec::<annotate_snippets::Element<'_>>::new());
    let span = diagnostic.span;
    let file = files.get(span.file as usize).filter(|_| span.line > 0);
    if let Some((file, line)) = file.and_then(|file| Some((file, file.line(span.line)?))) {
        group = group.element(
            Snippet::source(line)
                .line_start(span.line as usize)
                .path(file.name.as_str())
                .annotation(AnnotationKind::Primary.span(word(line, span.column as usize))),
        );
        let included = chain(span.file, files);
        if !included.is_empty() {
            let message = format!("included from {}", included.join(", from "));
            group = group.element(Level::NOTE.message(message));
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let _ = writeln!(out, "{}", renderer.render(&[group]));
}

/// The bytes of the word that begins at a column, counted in characters from 1.
fn word(line: &str, column: usize) -> std::ops::Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.len(), |(at, _)| at);
    let rest = &line[start..];
    let block = rest.starts_with("$[[").then(|| rest.find("]]"));
    if let Some(end) = block.flatten() {
        return start..start + end + 2;
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | ']' | '}'))
        .unwrap_or(rest.len());
    start..start + end.max(rest.chars().next().map_or(0, char::len_utf8))
}

/// Jobs by stage with what decided, and those that are not there.
pub(crate) fn pipeline(object: &Json) -> String {
    let mut text = String::new();
    let told = object["diagnostics"].as_array().into_iter().flatten();
    for note in told.filter(|told| told["severity"] == "note") {
        let word = |key: &str| note[key].as_str().unwrap_or_default();
        let (file, line) = (word("file"), &note["line"]);
        let _ = writeln!(text, "note: {} ({file}:{line})", word("message"));
    }
    match object["pipeline"].as_str() {
        Some(word) => drop(writeln!(text, "pipeline: {word}")),
        None if object["valid"] == false => text.push_str("pipeline: not created\n"),
        None => {}
    }
    if !object["workflow"].is_null() {
        let _ = writeln!(text, "workflow: {}", because(&object["workflow"]));
    }
    stages(&mut text, object);
    let absent = object["absent_jobs"].as_object().into_iter().flatten();
    for (number, (name, why)) in absent.enumerate() {
        if number == 0 {
            let _ = writeln!(text, "not in the pipeline");
        }
        let _ = writeln!(text, "  {name:<43} {}", because(why));
    }
    if object["valid"] == true {
        let _ = writeln!(text, "the configuration is valid");
    }
    text
}

fn stages(text: &mut String, object: &Json) {
    let jobs = || object["jobs"].as_object().into_iter().flatten();
    for stage in object["stages"].as_array().into_iter().flatten() {
        let mut here = jobs()
            .filter(|(_, facts)| facts["stage"] == *stage)
            .peekable();
        if here.peek().is_some() {
            let _ = writeln!(text, "{}", stage.as_str().unwrap_or_default());
        }
        for (name, facts) in here {
            let when = facts["when"].as_str().unwrap_or_default();
            let why = &object["why"][name];
            let why = if why.is_null() {
                String::new()
            } else {
                because(why)
            };
            let line = format!("  {name:<30} {when:<12} {why}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

/// What decided, and where it stands.
fn because(why: &Json) -> String {
    let decided = match why["decided_by"].as_str().unwrap_or_default() {
        "always" => "it has no conditions".to_owned(),
        "only:refs (default)" => {
            "without conditions it joins pipelines of branches and tags only".to_owned()
        }
        none if none.starts_with("no ") => none.to_owned(),
        entry => format!("{entry} decided"),
    };
    match why["at"].as_str() {
        Some(at) if !at.ends_with(":0") => format!("{decided} ({at})"),
        Some(_) | None => decided,
    }
}

/// Everything that was looked at for a job or the workflow, in the order in which it was.
pub(crate) fn why(why: &Json) -> String {
    let mut text = format!("{}\n", because(why));
    if let Some(when) = why["when"].as_str() {
        let _ = writeln!(text, "  when: {when}");
    }
    for place in why["included_from"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "  included from {}",
            place.as_str().unwrap_or_default()
        );
    }
    if let Some(omitted) = why["omitted"].as_u64() {
        let _ = writeln!(text, "  {omitted} earlier entries did not match");
    }
    for entry in why["looked_at"].as_array().into_iter().flatten() {
        looked(&mut text, entry);
    }
    for (number, variable) in why["variables"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if number == 0 {
            text.push_str("  variables\n");
        }
        let _ = writeln!(text, "    {}", provenance(variable));
    }
    text
}

fn looked(text: &mut String, entry: &Json) {
    let word = |key: &str| entry[key].as_str().unwrap_or_default();
    let verdict = if entry["matched"] == true {
        "matches"
    } else {
        "does not match"
    };
    let _ = writeln!(text, "  {} at {} {verdict}", word("entry"), word("at"));
    if entry["if"].is_string() {
        let policy = word("entry").starts_with(['o', 'e']);
        let word_if = if policy { "" } else { "if " };
        let _ = writeln!(text, "    {word_if}{}", word("if"));
    }
    for atom in entry["atoms"].as_array().into_iter().flatten() {
        let (written, value) = (atom["text"].as_str(), atom["value"].as_str());
        let _ = writeln!(
            text,
            "      {} is {}",
            written.unwrap_or_default(),
            value.unwrap_or_default()
        );
    }
    for kind in ["changes", "exists"] {
        let found = &entry[kind];
        if found.is_null() {
            continue;
        }
        let patterns = found["patterns"].as_array().into_iter().flatten();
        let patterns: Vec<&str> = patterns.filter_map(Json::as_str).collect();
        let _ = writeln!(
            text,
            "    {kind} {}: {}",
            patterns.join(", "),
            paths(kind, found)
        );
    }
}

fn paths(kind: &str, found: &Json) -> String {
    let what = if kind == "changes" {
        "changed paths"
    } else {
        "paths of the repository"
    };
    match (found["paths"].as_u64(), found["of"].as_u64()) {
        (Some(matched), Some(of)) => {
            let first = found["first"].as_str();
            let first = first.map_or_else(String::new, |first| format!(", first {first}"));
            format!("{matched} of {of} {what}{first}")
        }
        (None, Some(of)) => format!("{of} {what} are too many to compare, so it counts as a match"),
        (Some(_) | None, None) => {
            format!(
                "the {what} are not known, for there is nothing to compare with, so it counts as a match"
            )
        }
    }
}

fn provenance(variable: &Json) -> String {
    let name = variable["name"].as_str().unwrap_or_default();
    let Some(value) = variable["value"].as_str() else {
        return format!("{name} is not defined");
    };
    let levels = |list: &Json| {
        let list = list.as_array().into_iter().flatten();
        let words: Vec<&str> = list.filter_map(Json::as_str).collect();
        words.join(", ")
    };
    let level = variable["level"].as_str().unwrap_or_default();
    let over = levels(&variable["over"]);
    let over = if over.is_empty() {
        String::new()
    } else {
        format!(", over {over}")
    };
    format!("{name} = {value:?} ({level}{over})")
}

/// Two pipelines beside each other: jobs of only one, and what differs in those of both.
pub(crate) fn side_by_side(a: &Json, b: &Json, differences: &Json) -> String {
    let mut text = String::new();
    for (side, object) in [("a", a), ("b", b)] {
        let word = object["pipeline"].as_str().unwrap_or("error");
        let _ = writeln!(text, "{side}: pipeline {word}");
        for message in object["errors"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "   error: {}", message.as_str().unwrap_or_default());
        }
    }
    for (key, side, own, other) in [("only_in_a", "a", a, b), ("only_in_b", "b", b, a)] {
        for name in differences[key].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let (here, there) = (&own["why"][name], &other["absent_jobs"][name]);
            let _ = writeln!(text, "only in {side}: {name}");
            let _ = writeln!(text, "   here: {}", because(here));
            if !there.is_null() {
                let _ = writeln!(text, "   not in the other: {}", because(there));
            }
        }
    }
    for (name, facts) in differences["changed"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "{name} differs");
        for (fact, sides) in facts.as_object().into_iter().flatten() {
            let _ = writeln!(text, "   {fact}: {} in a, {} in b", sides["a"], sides["b"]);
        }
    }
    let names = |object: &Json| object["jobs"].as_object().cloned().unwrap_or_default();
    let others = names(b);
    let both: Vec<String> = names(a).into_iter().map(|(name, _)| name).collect();
    let both: Vec<String> = both
        .into_iter()
        .filter(|name| others.contains_key(name))
        .collect();
    if !both.is_empty() {
        let _ = writeln!(text, "in both: {}", both.join(", "));
    }
    let none = ["only_in_a", "only_in_b", "changed", "pipeline"]
        .iter()
        .all(|key| match &differences[*key] {
            Json::Array(list) => list.is_empty(),
            Json::Object(map) => map.is_empty(),
            _ => true,
        });
    if none {
        text.push_str("no differences\n");
    }
    text
}
