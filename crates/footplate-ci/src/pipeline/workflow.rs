//! Whether the workflow lets a pipeline be made (`ci-yaml.md §9.2`).

use std::borrow::Cow;

use super::{Context, Matched, matches};
use crate::{
    ask::{Answers, Origin},
    config::Config,
    keywords::rules::Rule,
    scope::PipelineScope,
    why::Why,
};

/// What the workflow said.
pub(super) enum WorkflowOutcome<'c> {
    /// There is a pipeline; the rule that let it in.
    Passed(Option<&'c Rule>),
    /// There is none.
    Filtered,
    /// An answer is missing.
    Missing,
    /// A rule cannot be evaluated.
    Failed(String),
}

/// Looks at the rules of the workflow, and tells what decided.
pub(super) fn workflow<'c>(
    context: &Context,
    config: &'c Config,
    answers: &mut Answers,
) -> (WorkflowOutcome<'c>, Option<Why>) {
    let Some(rules) = &config.workflow.rules else {
        return (WorkflowOutcome::Passed(None), None);
    };
    let variables = PipelineScope::new(context, config, &[]);
    let mut looked = Vec::new();
    let mut outcome = WorkflowOutcome::Filtered;
    let mut decided: Option<(Cow<'static, str>, &Rule)> = None;
    for (number, rule) in rules.iter().enumerate() {
        let entry = Cow::from(format!("workflow:rules[{number}]"));
        match matches(rule, &variables, &Origin::default(), answers, "workflow") {
            Matched::Missing => return (WorkflowOutcome::Missing, None),
            Matched::Failed(message) => return (WorkflowOutcome::Failed(message), None),
            Matched::No(traces) => looked.push(traces.looked(entry, rule, false)),
            Matched::Yes(traces) => {
                looked.push(traces.looked(entry.clone(), rule, true));
                if rule.when != Some("never") {
                    outcome = WorkflowOutcome::Passed(Some(rule));
                }
                decided = Some((entry, rule));
                break;
            }
        }
    }
    let mut why = match decided {
        Some((entry, rule)) => Why {
            when: rule.when.map(str::to_owned),
            ..Why::new(entry, rule.span)
        },
        None => Why::new("no workflow rule matched", config.workflow.span),
    };
    why.looked_at = looked;
    (outcome, Some(why.told(&variables)))
}
