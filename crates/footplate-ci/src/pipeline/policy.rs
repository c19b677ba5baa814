//! `only` and `except` (`ci-yaml.md §12.2`).

use footplate_model::PipelineSource;
use serde_json::Value as Json;

use super::{
    Context,
    rule::{PathOutcome, holds, path_rule},
};
use crate::{
    ask::{Answers, Origin},
    expr::Expr,
    job::{DEFAULT_ONLY, Job},
    keywords::rules::PathRule,
    paths::PathMatch,
    patterns,
    scope::Lookup,
    variables::Variable,
    why::{Looked, PathKind, Paths, Why},
};

const NO_VARIABLES: &[Variable] = &[];

/// `only` and `except`: whether they let the job in and why; `None` while answers are missing.
///
/// Every part of `only` has to hold, none of `except` may. The first that does otherwise decides, else the last part of `only`.
pub(super) fn policies(
    context: &Context,
    job: &Job,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Option<(bool, Why)> {
    let mut why = Why::new("always", job.span);
    let bare = job.except.is_none() && job.only.as_ref() == Some(&*DEFAULT_ONLY);
    for (word, policy, wanted) in [("only", &job.only, true), ("except", &job.except, false)] {
        let Some(policy) = policy else { continue };
        for part in policy_parts(word, policy, job, context, variables, answers)? {
            let matched = part.matched;
            if matched != wanted || wanted {
                why.decided_by.clone_from(&part.entry);
            }
            why.looked_at.push(part);
            if matched != wanted {
                if bare {
                    why.decided_by.to_mut().push_str(" (default)");
                    why.looked_at.clear();
                }
                return Some((false, why));
            }
        }
    }
    // Nothing but the default of a job without conditions let it in.
    if bare {
        why = Why::new("always", job.span);
    }
    Some((true, why))
}

/// The parts of `only` or `except`, each looked at; `None` while answers are missing.
fn policy_parts(
    word: &str,
    policy: &Json,
    job: &Job,
    context: &Context,
    variables: &dyn Lookup,
    answers: &mut Answers,
) -> Option<Vec<Looked>> {
    let strings = |key: &str| {
        policy.get(key).and_then(Json::as_array).map(|list| {
            list.iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        })
    };
    let part = |key: &str, matched: bool| Looked {
        entry: format!("{word}:{key}").into(),
        line: job.span.line,
        file: job.span.file,
        matched,
        condition: None,
        atoms: Vec::new(),
        paths: Vec::new(),
    };
    let mut parts = Vec::new();
    if let Some(refs) = strings("refs") {
        let matched = refs.iter().any(|item| ref_matches(item, context));
        let mut looked = part("refs", matched);
        looked.condition = Some(refs.join(", ").into());
        parts.push(looked);
    }
    if policy.get("kubernetes").is_some() {
        let active = variables.seen("CI_KUBERNETES_ACTIVE");
        let active = active.is_some_and(|found| found.value == "true");
        parts.push(part("kubernetes", active));
    }
    if let Some(list) = strings("variables") {
        let mut looked = part("variables", false);
        looked.condition = Some(list.join(", ").into());
        for expr in list.iter().filter_map(|text| Expr::parse(text).ok()) {
            let evaluation = expr.evaluate(|name| variables.seen(name).map(|found| found.value));
            let (truthful, atoms) = holds(evaluation, variables);
            looked.atoms.extend(atoms);
            if truthful {
                looked.matched = true;
                break;
            }
        }
        parts.push(looked);
    }
    if let Some(globs) = strings("changes") {
        let kind = PathKind::Changes;
        let patterns = globs.clone();
        let rule = PathRule {
            paths: Some(globs),
            ..PathRule::default()
        };
        // Unlike those of rules, its globs know no variables.
        let found = match path_rule(kind, &rule, &NO_VARIABLES, &Origin::default(), answers) {
            PathOutcome::Found(found) => found,
            PathOutcome::Missing => return None,
            PathOutcome::Failed(_) | PathOutcome::TooLarge(_) => PathMatch::assumed(None),
        };
        let mut looked = part("changes", found.matched);
        looked.paths.push(Paths {
            kind,
            patterns,
            found,
        });
        parts.push(looked);
    }
    Some(parts)
}

/// One item of `refs` (`ci-yaml.md §12.2`).
fn ref_matches(item: &str, context: &Context) -> bool {
    let (pattern, path) = match item.split_once('@') {
        Some((pattern, path)) => (pattern, Some(path)),
        None => (item, None),
    };
    if path.is_some_and(|path| context.project.as_deref() != Some(path)) {
        return false;
    }
    // A child of a merge request's pipeline belongs to the merge request too.
    let merge_request = context.source == PipelineSource::MergeRequestEvent
        || context
            .predefined
            .iter()
            .any(|variable| variable.key == "CI_MERGE_REQUEST_IID");
    let source = context.source.as_str().trim_end_matches("_event");
    let plural = if source == "push" {
        "pushes".to_owned()
    } else {
        format!("{source}s")
    };
    match pattern {
        "tags" => context.tag,
        "branches" => !context.tag && !merge_request,
        word if word == source || word == plural => true,
        _ if merge_request => false,
        _ => match patterns::parse(pattern) {
            Ok(regex) => regex.is_match(&context.ref_name),
            Err(_) => pattern == context.ref_name,
        },
    }
}
