//! A job as facts, the way lint and the tests show it.

use footplate_model::Need;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::{
    compiler::Compiled,
    expand::Instance,
    keywords::{rules::Rule, variables},
    pipeline::{Chosen, Context},
    scope::{JobScope, PipelineScope},
};

/// What the rules of a pipeline may have changed.
struct Decided<'j> {
    when: &'j str,
    start_in: Option<&'j str>,
    allow_failure: bool,
    exit_codes: Option<&'j [i64]>,
    needs: Option<&'j [Need]>,
    interruptible: Option<bool>,
}

/// Facts of every job: of the pipeline where there is one, else of the whole configuration. In order.
pub fn facts(compiled: &Compiled, context: Option<&Context>) -> Vec<(String, Json)> {
    let stage_index = |stage: &str| {
        compiled
            .config
            .stages
            .iter()
            .position(|known| known == stage)
    };
    match (&compiled.evaluated, context) {
        (Some(evaluated), Some(context)) => {
            let pipeline =
                PipelineScope::new(context, &compiled.config, &evaluated.workflow_variables);
            evaluated
                .jobs
                .iter()
                .map(|chosen| {
                    let mut facts = of_chosen(chosen, stage_index(&chosen.instance.job.stage));
                    let scope = JobScope::new(&pipeline, &chosen.instance, &chosen.rule_variables);
                    let values: JsonMap<String, Json> = scope
                        .list()
                        .into_iter()
                        .map(|variable| (variable.key, variable.value.into()))
                        .collect();
                    facts["scoped_variables"] = Json::Object(values);
                    (chosen.instance.name.clone(), facts)
                })
                .collect()
        }
        _ => compiled
            .instances
            .iter()
            .map(|instance| {
                (
                    instance.name.clone(),
                    of_instance(instance, stage_index(&instance.job.stage)),
                )
            })
            .collect(),
    }
}

fn of_instance(instance: &Instance, stage: Option<usize>) -> Json {
    let job = &instance.job;
    write(
        instance,
        stage,
        &Decided {
            when: job.when,
            start_in: job.start_in.as_deref(),
            allow_failure: job.allow_failure,
            exit_codes: job.exit_codes.as_deref(),
            needs: instance.needs.as_deref(),
            interruptible: None,
        },
    )
}

fn of_chosen(chosen: &Chosen, stage: Option<usize>) -> Json {
    write(
        &chosen.instance,
        stage,
        &Decided {
            when: chosen.when,
            start_in: chosen.start_in.as_deref(),
            allow_failure: chosen.allow_failure,
            exit_codes: chosen.exit_codes.as_deref(),
            needs: chosen.needs.as_deref(),
            interruptible: chosen.interruptible,
        },
    )
}

fn write(instance: &Instance, stage: Option<usize>, decided: &Decided<'_>) -> Json {
    let job = &instance.job;
    let mut facts = job.keywords.json();
    let keyword = |name: &str| job.keywords.get(name).cloned();
    let mut set = |name: &str, value: Json| {
        if value.is_null() {
            facts.remove(name);
        } else {
            facts.insert(name.to_owned(), value);
        }
    };
    set("stage", json!(job.stage));
    set("stage_idx", json!(stage));
    set("when", json!(decided.when));
    set("start_in", json!(decided.start_in));
    set("allow_failure", json!(decided.allow_failure));
    set(
        "allow_failure_criteria",
        decided
            .exit_codes
            .map_or(Json::Null, |codes| json!({"exit_codes": codes})),
    );
    set("variables", variables::to_json(&instance.variables));
    set("root_variables_inheritance", job.inherit_variables.json());
    set(
        "needs",
        json!(
            decided
                .needs
                .filter(|needs| !needs.is_empty() || instance.cross.is_empty())
        ),
    );
    set(
        "cross_dependencies",
        if instance.cross.is_empty() {
            Json::Null
        } else {
            json!(instance.cross)
        },
    );
    set("dependencies", json!(instance.dependencies));
    set("only", json!(job.only.as_deref()));
    set("except", json!(job.except.as_deref()));
    set(
        "rules",
        json!(
            job.rules
                .as_ref()
                .map(|rules| { rules.iter().map(Rule::json).collect::<Vec<_>>() })
        ),
    );
    set(
        "scheduling_type",
        json!(if decided.needs.is_some() {
            "dag"
        } else {
            "stage"
        }),
    );
    set(
        "environment_name",
        keyword("environment").map_or(Json::Null, |environment| environment["name"].clone()),
    );
    set("job_timeout", keyword("timeout").unwrap_or(Json::Null));
    set(
        "parallel",
        instance.number.map_or(
            Json::Null,
            |(_, total)| json!({"number": total, "total": total}),
        ),
    );
    set("instance", json!(instance.number.map(|(number, _)| number)));
    if let Some(interruptible) = decided.interruptible {
        set("interruptible", json!(interruptible));
    }
    Json::Object(facts)
}
