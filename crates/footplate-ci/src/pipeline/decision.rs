//! What becomes of one job: whether a rule or a policy lets it in, and how it runs then (`ci-yaml.md §9.2`).

use std::{borrow::Cow, sync::Arc};

use super::{Chosen, Context, Matched, matches, policy::policies};
use crate::{
    ask::{Answers, Origin},
    expand::{Instance, of_rule},
    keywords::rules::Rule,
    scope::JobScope,
    variables::CollectionError,
    why::Why,
};

/// What became of a job.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is in the pipeline; its variables may refer to each other in a circle.
    In(Chosen, Option<CollectionError>),
    /// It is not, and why.
    Out(Why),
    /// Its rules cannot be evaluated.
    Failed(String),
}

/// What becomes of a job; `None` while an answer is missing.
pub(super) fn decide(
    context: &Context,
    instance: &Arc<Instance>,
    variables: &JobScope<'_>,
    answers: &mut Answers,
) -> Option<Decision> {
    let job = &instance.job;
    let mut chosen = Chosen {
        when: job.when,
        start_in: job.start_in.clone(),
        allow_failure: job.allow_failure,
        exit_codes: job.exit_codes.clone(),
        needs: instance.needs.clone(),
        interruptible: None,
        rule_variables: Vec::new(),
        why: Why::new("always", job.span),
        instance: Arc::clone(instance),
    };
    let Some(rules) = &job.rules else {
        let (lets_in, why) = policies(context, job, variables, answers)?;
        let why = why.told(variables);
        return Some(if lets_in {
            chosen.why = why;
            Decision::In(chosen, variables.circle())
        } else {
            Decision::Out(why)
        });
    };
    let mut looked = Vec::with_capacity(rules.len());
    let origin = Origin::default();
    for (number, rule) in rules.iter().enumerate() {
        match matches(rule, variables, &origin, answers, &instance.name) {
            Matched::Missing => return None,
            Matched::Failed(message) => return Some(Decision::Failed(message)),
            Matched::No(traces) => {
                looked.push(traces.looked(rule_name(number), rule, false));
            }
            Matched::Yes(traces) => {
                let entry = rule_name(number);
                looked.push(traces.looked(entry.clone(), rule, true));
                let why = Why {
                    when: rule.when.map(str::to_owned),
                    looked_at: looked,
                    ..Why::new(entry, rule.span)
                };
                let why = why.told(variables);
                if rule.when == Some("never") {
                    return Some(Decision::Out(why));
                }
                chosen.why = why;
                apply(rule, &mut chosen);
                return Some(Decision::In(chosen, variables.circle()));
            }
        }
    }
    let why = Why {
        looked_at: looked,
        ..Why::new("no rule matched", job.span)
    };
    Some(Decision::Out(why.told(variables)))
}

/// A rule by its number. The first few are what most jobs are decided by.
fn rule_name(number: usize) -> Cow<'static, str> {
    const FIRST: [&str; 4] = ["rules[0]", "rules[1]", "rules[2]", "rules[3]"];
    match FIRST.get(number) {
        Some(name) => (*name).into(),
        None => format!("rules[{number}]").into(),
    }
}

fn apply(rule: &Rule, chosen: &mut Chosen) {
    if let Some(when) = rule.when {
        chosen.when = when;
        chosen.start_in.clone_from(&rule.start_in);
    }
    if let Some(allow) = rule.allow_failure {
        chosen.allow_failure = allow;
        chosen.exit_codes = None;
    }
    if let Some(needs) = &rule.needs {
        chosen.needs = Some(of_rule(needs));
    }
    chosen.interruptible = rule.interruptible;
    chosen.rule_variables.clone_from(&rule.variables);
}
