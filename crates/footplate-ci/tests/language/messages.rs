//! The catalogue of messages: `messages.yml` beside this file, each provoked by a small configuration and compared exactly.

use std::{collections::BTreeSet, fs, path::PathBuf};

use footplate_ci::{
    json,
    yaml::{Limits, load},
};
use footplate_model::PipelineSource;
use serde_json::Value as Json;

use crate::{Case, Refused};

fn catalogue() -> Vec<Json> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/language/messages.yml");
    let text = fs::read_to_string(path).expect("the catalogue");
    let node = load(text.as_bytes(), 0, Limits::default()).expect("a catalogue that is YAML");
    json(&node).as_array().expect("a list").clone()
}

fn words(value: &Json) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The repository and the pipeline of an entry.
fn case(entry: &Json) -> Case {
    let mut case = Case::new(entry["config"].as_str().expect("a configuration"));
    for (path, text) in entry["files"].as_object().into_iter().flatten() {
        case = case.file(path, text.as_str().expect("a file"));
    }
    let Some(context) = entry["context"].as_object() else {
        return case;
    };
    let given = |key: &str| context.get(key).unwrap_or(&Json::Null);
    let source = given("source").as_str().unwrap_or("push");
    let variables: Vec<(&str, &str)> = given("variables")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().expect("a text")))
        .collect();
    case = case.pipeline(
        given("ref").as_str().unwrap_or("main"),
        PipelineSource::parse(source).expect("a source"),
        &variables,
    );
    for (name, value) in given("inputs").as_object().into_iter().flatten() {
        case = case.input(name, value.clone());
    }
    case.child = given("child_pipeline").as_bool().unwrap_or(false);
    case.changed = given("changed").as_array().map(|_| words(given("changed")));
    case
}

/// What is told of an entry, in the place that it names.
fn told(entry: &Json) -> BTreeSet<String> {
    let texts =
        |list: Vec<footplate_ci::Diagnostic>| list.into_iter().map(|one| one.message).collect();
    match (case(entry).compile(), entry["kind"].as_str()) {
        (Ok(compiled), Some("warning")) => texts(compiled.warnings),
        (Ok(compiled), Some("pipeline")) => {
            let evaluated = compiled.evaluated.expect("a pipeline");
            evaluated.errors.iter().map(ToString::to_string).collect()
        }
        (Ok(_), _) => BTreeSet::new(),
        (Err(Refused { warnings, .. }), Some("warning")) => texts(warnings),
        (Err(Refused { errors, .. }), _) => texts(errors),
    }
}

#[test]
fn every_message_has_a_configuration_that_provokes_it_and_no_other() {
    let entries = catalogue();
    assert!(entries.len() > 400, "only {} entries", entries.len());
    let mut wrong = Vec::new();
    for entry in &entries {
        let mut expected: BTreeSet<String> = words(&entry["also"]).into_iter().collect();
        expected.extend(entry["message"].as_str().map(str::to_owned));
        let told = told(entry);
        if told != expected {
            let config = entry["config"].as_str().unwrap_or_default();
            wrong.push(format!(
                "{config}  expected {expected:?}\n  told     {told:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_fault_of_the_catalogue_stands_at_a_line_of_its_configuration() {
    for entry in catalogue() {
        let Err(refused) = case(&entry).compile() else {
            continue;
        };
        let lines = entry["config"].as_str().unwrap_or_default().lines().count();
        for error in refused.errors.iter().filter(|error| error.span.file == 0) {
            let line = usize::try_from(error.span.line).expect("a small number");
            assert!(line <= lines.max(1), "{error:?}\n{}", entry["config"]);
        }
    }
}
