//! Whether one rule holds: its condition and its paths (`ci-yaml.md §9.2`, `§11`).

use std::{borrow::Cow, sync::Arc};

use crate::{
    ask::{Answer, Answers, Origin, Request},
    expr::{Atom, Evaluation},
    keywords::rules::{PathRule, Rule},
    paths::{self, PathMatch},
    scope::{Lookup, filled, reachable},
    variables::CollectionError,
    why::{Looked, MASKED, PathKind, Paths},
};

const MAX_REGEXP: usize = 255;
/// Steps back that one match may take.
const BACKTRACK_LIMIT: usize = 20_000;

/// The outcome of one rule.
pub enum Matched {
    /// It holds.
    Yes(Traces),
    /// It does not.
    No(Traces),
    /// An answer is missing.
    Missing,
    /// It cannot be evaluated, and the pipeline not be made.
    Failed(String),
}

/// What a rule looked at.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Atoms of the condition.
    pub atoms: Vec<Atom>,
    /// Path matches.
    pub paths: Vec<Paths>,
}

impl Traces {
    /// As an entry that was looked at.
    pub(crate) fn looked(self, entry: Cow<'static, str>, rule: &Rule, matched: bool) -> Looked {
        Looked {
            entry,
            line: rule.span.line,
            file: rule.span.file,
            matched,
            condition: rule
                .condition
                .as_ref()
                .map(|condition| Arc::clone(condition.text())),
            atoms: self.atoms,
            paths: self.paths,
        }
    }
}

/// Whether every condition of a rule holds. `owner` names the job in messages.
pub fn matches(
    rule: &Rule,
    variables: &dyn Lookup,
    origin: &Origin,
    answers: &mut Answers,
    owner: &str,
) -> Matched {
    let mut traces = Traces::default();
    if let Some(condition) = &rule.condition {
        let evaluation = condition.evaluate(|name| variables.seen(name).map(|found| found.value));
        let (truthful, atoms) = holds(evaluation, variables);
        traces.atoms = atoms;
        if !truthful {
            return Matched::No(traces);
        }
    }
    for (kind, paths) in [
        (PathKind::Changes, &rule.changes),
        (PathKind::Exists, &rule.exists),
    ] {
        let Some(paths) = paths else { continue };
        match path_rule(kind, paths, variables, origin, answers) {
            PathOutcome::Found(found) => {
                let matched = found.matched;
                traces.paths.push(Paths {
                    kind,
                    patterns: paths.written(),
                    found,
                });
                if !matched {
                    return Matched::No(traces);
                }
            }
            PathOutcome::Missing => return Matched::Missing,
            PathOutcome::Failed(message) => {
                return Matched::Failed(format!("Failed to parse rule for {owner}: {message}"));
            }
            PathOutcome::TooLarge(error) => return Matched::Failed(format!("{owner}: {error}")),
        }
    }
    Matched::Yes(traces)
}

/// Whether an expression holds, with its atoms; values of masked variables stay masked.
pub(super) fn holds(evaluation: Evaluation, variables: &dyn Lookup) -> (bool, Vec<Atom>) {
    let truthful = evaluation.truthful();
    let mut atoms = evaluation.atoms;
    for atom in &mut atoms {
        let lone = atom.text.strip_prefix('$');
        let masked = |name| variables.seen(name).is_some_and(|found| found.masked);
        if atom.value.starts_with('"') && lone.is_some_and(masked) {
            atom.value = MASKED.into();
        }
    }
    (truthful, atoms)
}

/// What the paths of a rule are worth.
pub(super) enum PathOutcome {
    Found(PathMatch),
    Missing,
    Failed(String),
    /// Its patterns cannot be expanded.
    TooLarge(CollectionError),
}

/// Looks at `changes` or `exists`.
pub(super) fn path_rule(
    kind: PathKind,
    rule: &PathRule,
    variables: &dyn Lookup,
    origin: &Origin,
    answers: &mut Answers,
) -> PathOutcome {
    let single = [&rule.regexp, &rule.project, &rule.git_ref, &rule.compare_to];
    let texts = single
        .into_iter()
        .flatten()
        .chain(rule.paths.iter().flatten());
    let expanded = match reachable(texts.map(String::as_str), variables) {
        Ok(expanded) => expanded,
        Err(error) => return PathOutcome::TooLarge(error),
    };
    let fill = |text: &String| filled(text, &expanded);
    let request = if kind == PathKind::Changes {
        Request::Changes(rule.compare_to.as_ref().map(fill))
    } else {
        Request::Paths(match rule.project.as_ref().map(fill) {
            Some(project) => Origin {
                project: Some(project),
                git_ref: rule.git_ref.as_ref().map(fill),
            },
            None => origin.clone(),
        })
    };
    let Some(answer) = answers.get(request.clone()) else {
        return PathOutcome::Missing;
    };
    let known = match &*answer {
        Answer::Paths(paths) => Some(paths.as_slice()),
        Answer::Problem(message) => return PathOutcome::Failed(problem(&request, message)),
        Answer::Unknown | Answer::Text(_) | Answer::Component(_) => None,
    };
    if let Some(regexp) = &rule.regexp {
        let kind = kind.as_str();
        let pattern = fill(regexp);
        if pattern.chars().count() > MAX_REGEXP {
            return PathOutcome::Failed(format!(
                "rules:{kind}:regexp is too long (maximum is {MAX_REGEXP} characters after variable expansion)"
            ));
        }
        let Some(known) = known else {
            return PathOutcome::Found(PathMatch::assumed(None));
        };
        // Ruby's patterns have look-around, so this engine may go back; its steps are bounded.
        let Ok(pattern) = fancy_regex::RegexBuilder::new(&pattern)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
        else {
            return PathOutcome::Failed(format!("rules:{kind}:regexp is invalid"));
        };
        return PathOutcome::Found(PathMatch::of(known, |path| {
            pattern.is_match(path).unwrap_or(false)
        }));
    }
    let globs = rule.paths.as_deref().unwrap_or_default();
    PathOutcome::Found(match (kind, known) {
        (PathKind::Changes, known) => paths::changes(globs, known, &expanded),
        (PathKind::Exists, known) => paths::exists(globs, known.unwrap_or_default(), &expanded),
    })
}

/// `exists` has words of its own for a project or ref that is not there.
fn problem(request: &Request, message: &str) -> String {
    let Request::Paths(Origin {
        project: Some(project),
        git_ref,
    }) = request
    else {
        return message.to_owned();
    };
    match git_ref {
        Some(name) if message.contains(&format!(" reference `{name}` ")) => {
            format!("rules:exists:ref `{name}` is not a valid ref in project `{project}`")
        }
        Some(_) | None => {
            format!("rules:exists:project `{project}` not found or access denied")
        }
    }
}
