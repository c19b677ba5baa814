//! `ci-compile`: every case of every shape.

use footplate_ci::{
    Answer, Compiled, Compiler, Context, Diagnostic, Outcome, Request, Source, Step, facts,
    inputs_from_json, keywords,
    lint::Described,
    yaml::{Limits, Map},
};
use footplate_model::PipelineSource;
use serde_json::{Value as Json, json};

use crate::{
    harness::Verdicts,
    leaves::{cases, judge},
};

/// Files beside the root file, and what else the compiler may ask.
pub struct World<'w> {
    pub files: Vec<(String, String)>,
    pub exists: Vec<String>,
    pub changed: Option<Vec<String>>,
    pub template: &'w dyn Fn(&str) -> Option<String>,
}

impl World<'_> {
    fn answer(&self, request: &Request) -> Answer {
        match request {
            Request::File { path, .. } => match self.files.iter().find(|(name, _)| name == path) {
                Some((_, text)) if text.trim().is_empty() => {
                    Answer::Problem(format!("Local file `{path}` is empty!"))
                }
                Some((_, text)) => Answer::Text(text.clone()),
                None => Answer::Problem(format!("Local file `{path}` does not exist!")),
            },
            Request::Template(name) => (self.template)(name).map_or_else(
                || Answer::Problem(format!("Template file `{name}` is not a valid location!")),
                Answer::Text,
            ),
            Request::Paths(_) => {
                let mut paths = self.exists.clone();
                paths.extend(self.files.iter().map(|(name, _)| name.clone()));
                paths.sort();
                Answer::Paths(paths)
            }
            Request::Changes(_) => self.changed.clone().map_or(Answer::Unknown, Answer::Paths),
            Request::Remote { url, .. } => Answer::Problem(format!(
                "Remote file `{url}` could not be fetched because of a socket error!"
            )),
            Request::Artifact { job, .. } => Answer::Problem(format!(
                "Job `{job}` not found in parent pipeline or does not have artifacts!"
            )),
            Request::Component(name) => {
                Answer::Problem(format!("Component '{name}' - content not found"))
            }
        }
    }
}

/// What was compiled, or the errors; and in both cases the diagnostics.
type Run = Result<(Compiled, Vec<Diagnostic>), (Vec<String>, Vec<Diagnostic>)>;

/// A comparison with what a case expects: the difference, if any.
type Look<'a> = dyn Fn(&Json) -> Option<String> + 'a;

/// The outcome of a compilation with everything answered.
pub fn run(
    text: &str,
    context: Option<Context>,
    inputs: Map,
    child: bool,
    has_project: bool,
    world: &World<'_>,
) -> Run {
    let mut compiler = Compiler::new(Source {
        text: text.to_owned(),
        inputs,
        context,
        variables: Vec::new(),
        has_project,
        child,
        limits: Limits::default(),
    });
    for _ in 0..200 {
        match compiler.step() {
            Step::Needs(requests) => {
                for request in requests {
                    let answer = world.answer(&request);
                    compiler.answer(request, answer);
                }
            }
            Step::Done(compiled) => {
                let warnings = compiled.warnings.clone();
                return Ok((*compiled, warnings));
            }
            Step::Failed {
                errors, warnings, ..
            } => {
                return Err((
                    errors.into_iter().map(|error| error.message).collect(),
                    warnings,
                ));
            }
        }
    }
    panic!("the compiler never stops asking");
}

fn context(given: &Json) -> Context {
    let ref_name = given["ref"].as_str().unwrap_or("main").to_owned();
    let tag = given["tag"].as_bool().unwrap_or(false);
    let source =
        PipelineSource::parse(given["source"].as_str().unwrap_or("push")).expect("a known source");
    let project = if given.get("project").is_some_and(Json::is_null) {
        None
    } else {
        Some(
            given["project"]
                .as_str()
                .unwrap_or("group/project")
                .to_owned(),
        )
    };
    let text = |value: &Json| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let variables = given["variables"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect();
    Described {
        ref_name,
        tag,
        source,
        project,
        variables,
    }
    .context()
}

fn texts(value: &Json) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list.dedup();
    list
}

/// Messages against `KEY`, `KEY_include`, `KEY_match`.
fn messages(expect: &Json, key: &str, got: &[String]) -> Option<String> {
    if let Some(exact) = expect.get(key)
        && sorted(texts(exact)) != sorted(got.to_vec())
    {
        return Some(format!("{key}: expected {exact}, got {got:?}"));
    }
    let include = texts(&expect[format!("{key}_include")]);
    if let Some(missing) = include.iter().find(|message| !got.contains(message)) {
        return Some(format!("{key}: missing {missing:?} in {got:?}"));
    }
    let parts = texts(&expect[format!("{key}_match")]);
    parts
        .iter()
        .find(|part| !got.iter().any(|message| message.contains(*part)))
        .map(|part| format!("{key}: nothing with {part:?} in {got:?}"))
}

fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(map) => Json::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn job_facts(expected: &Json, got: &[(String, Json)]) -> Option<String> {
    for (name, facts) in expected.as_object().into_iter().flatten() {
        let Some((_, have)) = got.iter().find(|(known, _)| known == name) else {
            return Some(format!(
                "no job {name}: {:?}",
                got.iter().map(|(name, _)| name).collect::<Vec<_>>()
            ));
        };
        for (fact, value) in facts.as_object().into_iter().flatten() {
            if fact == "scoped_variables" {
                let wrong = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .find(|(key, value)| have[fact].get(*key).unwrap_or(&Json::Null) != *value);
                if let Some((key, value)) = wrong {
                    return Some(format!(
                        "{name}: {fact} {key}: expected {value}, got {}",
                        have[fact][key]
                    ));
                }
                continue;
            }
            let own = have.get(fact).cloned().unwrap_or(Json::Null);
            if without_nulls(value) != without_nulls(&own) {
                return Some(format!("{name}: {fact}: expected {value}, got {own}"));
            }
        }
    }
    None
}

fn compare(expect: &Json, compiled: &Compiled, context: Option<&Context>) -> Option<String> {
    let list = facts(compiled, context);
    let names: Vec<String> = list.iter().map(|(name, _)| name.clone()).collect();
    let differ = |what: &str, expected: &Json, got: Json| {
        (*expected != got).then(|| format!("{what}: expected {expected}, got {got}"))
    };
    let checks: [(&str, &Look<'_>); 10] = [
        ("stages", &|value| {
            differ("stages", value, json!(compiled.config.stages))
        }),
        ("job_names", &|value| {
            differ(
                "job_names",
                &json!(sorted(texts(value))),
                json!(sorted(names.clone())),
            )
        }),
        ("job_order", &|value| {
            differ("job_order", value, json!(names))
        }),
        ("count", &|value| differ("count", value, json!(names.len()))),
        ("absent_jobs", &|value| {
            texts(value)
                .into_iter()
                .find(|name| names.contains(name))
                .map(|name| format!("{name} is there"))
        }),
        ("variables", &|value| {
            differ(
                "variables",
                value,
                keywords::variables::to_json(&compiled.config.variables),
            )
        }),
        ("prefill_variables", &|value| {
            let one = |variable: &keywords::variables::YamlVariable| {
                (
                    variable.key.clone(),
                    without_nulls(
                        &json!({"value": variable.value, "description": variable.description, "options": variable.options, "raw": variable.raw}),
                    ),
                )
            };
            differ(
                "prefill_variables",
                value,
                Json::Object(compiled.config.variables.iter().map(one).collect()),
            )
        }),
        ("workflow", &|value| {
            let own = compiled.config.workflow.json();
            value
                .as_object()?
                .iter()
                .find_map(|(key, value)| differ(key, value, own[key].clone()))
        }),
        ("jobs", &|value| job_facts(value, &list)),
        ("pipeline", &|value| {
            let evaluated = compiled.evaluated.as_ref()?;
            let word = match evaluated.outcome {
                Outcome::Created => "created",
                Outcome::Filtered => "filtered",
                Outcome::Empty => "empty",
                Outcome::Error => "error",
            };
            differ("pipeline", value, json!(word)).or_else(|| {
                let errors: Vec<String> =
                    evaluated.errors.iter().map(ToString::to_string).collect();
                messages(expect, "pipeline_errors", &errors)
            })
        }),
    ];
    checks
        .iter()
        .find_map(|(key, check)| expect.get(*key).and_then(check))
}

fn case(case: &Json) -> Option<String> {
    let mut files: Vec<(String, String)> = case["files"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_owned()))
        .collect();
    let root = files
        .iter()
        .position(|(name, _)| name == ".gitlab-ci.yml")
        .map(|at| files.remove(at).1)
        .unwrap_or_default();
    let given = case.get("context").filter(|given| !given.is_null());
    let pipeline = given.map(context);
    let inputs = given
        .and_then(|given| given["inputs"].as_object())
        .map(inputs_from_json)
        .unwrap_or_default();
    let world = World {
        files,
        exists: given
            .map(|given| texts(&given["exists"]))
            .unwrap_or_default(),
        changed: given
            .and_then(|given| given.get("changed"))
            .filter(|changed| !changed.is_null())
            .map(texts),
        template: &|_| None,
    };
    let child = given.is_some_and(|given| given["child_pipeline"] == json!(true));
    let has_project = pipeline
        .as_ref()
        .is_none_or(|context| context.project.is_some());
    let expect = &case["expect"];
    let valid = expect["valid"] == json!(true);
    let outcome = run(&root, pipeline.clone(), inputs, child, has_project, &world);
    let warnings: Vec<String> = match &outcome {
        Ok((_, warnings)) | Err((_, warnings)) => warnings
            .iter()
            .map(|warning| warning.message.clone())
            .collect(),
    };
    messages(expect, "warnings", &warnings).or_else(|| match outcome {
        Ok((compiled, _)) if valid => compare(expect, &compiled, pipeline.as_ref()),
        Ok(_) => Some(format!("accepted, expected {expect}")),
        Err((errors, _)) if !valid => messages(expect, "errors", &errors),
        Err((errors, _)) => Some(format!("refused: {errors:?}")),
    })
}

#[test]
fn ci_compile() {
    let Some(cases) = cases() else { return };
    let mut verdicts = Verdicts::default();
    for (name, node, data) in &cases {
        verdicts.add(
            name.clone(),
            judge(node, data).unwrap_or_else(|| case(data)),
        );
    }
    verdicts.judge("ci-compile");
}
