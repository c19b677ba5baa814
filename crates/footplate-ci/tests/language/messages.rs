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

/// The texts of `ci-yaml.md §23.2` and `§23.4`, and its samples (`§23.3`): `*` stands for anything. Two of the validators' texts are told
/// with their alternative alone: `should be an integer …` and `should be a hash of key value pairs, …`.
const TEMPLATES: &[&str] = &[
    "* contains unknown keys: *",
    "* missing required keys: *",
    "* must use exactly one of these keys: *, *",
    "* these keys cannot be used together: *, *",
    "* key may not be used with `rules`: *",
    "* unknown value: *",
    "* contains unknown values: *",
    "* is not included in the list",
    "* can't be blank",
    "* must be blank",
    "* should be a string",
    "* should be a hash",
    "* should be an array",
    "* should be a array",
    "* should be a boolean value",
    "* should be an array of strings",
    "* should be an array of strings or a string",
    "* should be an array of hashes",
    "* should be an array containing hashes and arrays of hashes",
    "* should be a hash or a string",
    "* should be an integer or a hash",
    "* should be a hash or a boolean value",
    "* should be an array of integers or an integer",
    "* should be a string or a nested array of strings up to * levels deep",
    "* should be an array of strings or a nested array of strings up to * levels deep",
    "* should be a duration",
    "* should not exceed the limit",
    "* must be a regular expression with re2 syntax",
    "* should be an array of strings or regular expressions using re2 syntax",
    "* invalid expression syntax",
    "* cannot contain the \"/\" character",
    "* cannot be \".\" or \"..\"",
    "* should be a string or symbol",
    "* should be a hash of key value pairs, value can be an array",
    "* must be an alphanumeric string",
    "* must be a scalar",
    "* must be less than or equal to *",
    "* must be greater than or equal to *",
    "* is not a number",
    "* must be an integer",
    "* is too long (maximum is * characters)",
    "* is too long (maximum is * items)",
    "jobs rspec config should implement the script:, run:, or trigger: keyword",
    "jobs config should contain at least one visible job",
    "jobs:job name can't be blank",
    "jobs:10 name should be a symbol",
    "jobs:rspec config contains unknown keys: bad_tags",
    "jobs:rspec when should be one of: on_success, on_failure, always, manual, delayed",
    "jobs:rspec allow failure should be a hash or a boolean value",
    "jobs:rspec:allow_failure exit codes should be an array of integers or an integer",
    "jobs:rspec dependencies should be an array of strings",
    "jobs:rspec:tags config should be an array of strings",
    "jobs:rspec:cache:key:files config requires at least 1 item",
    "jobs:rspec:cache:key:files config has too many items (maximum is 2)",
    "jobs:rspec:cache:key config missing required keys: files",
    "jobs:rspec:artifacts when should be one of: on_success, on_failure, always",
    "jobs:rspec:artifacts expire in should be a duration",
    "jobs:rspec:parallel should be an integer or a hash",
    "jobs:rspec:interruptible config should be a boolean value",
    "image config should be a hash or a string",
    "services config should be a array",
    "services:service config should be a hash or a string",
    "stages config should be an array of strings or a nested array of strings up to 10 levels deep",
    "before_script config should be a string or a nested array of strings up to 10 levels deep",
    "variables config should be a hash",
    "*variables:var2 config uses invalid data keys: description",
    "rspec job: chosen stage acceptance does not exist; available stages are .pre, build, test, deploy, .post",
    "* job: chosen stage * does not exist; available stages are *",
    "* job: undefined dependency: *",
    "* job: dependency * is not defined in current or prior stages",
    "* job: undefined need: *",
    "* job: need `*` name is too long (maximum is * characters)",
    "* job: need * is not defined in current or prior stages",
    "* has the following needs duplicated: *.",
    "* job: on_stop job * is not defined",
    "* job: on_stop job * does not have environment defined",
    "* job: on_stop job * have different environment name",
    "* job: on_stop job * needs to have action stop defined",
    "The pipeline has circular dependencies: *",
    "jobs:* may allow multiple pipelines to run for a single action due to `rules:when` clause with no `workflow:rules` - read more: *",
];

/// Whether a message is of a template.
fn fits(message: &str, template: &str) -> bool {
    let (first, rest) = template.split_once('*').unwrap_or((template, ""));
    if !template.contains('*') {
        return message == template;
    }
    let Some(mut left) = message.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, between)) = parts.split_last() else {
        return true;
    };
    for part in between {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[test]
fn every_text_of_the_reference_is_in_the_catalogue() {
    assert!(fits("a: b", "*: *") && fits("ab", "a*") && !fits("a b", "a") && !fits("b", "a*"));
    let entries = catalogue();
    let messages: Vec<String> = entries
        .iter()
        .flat_map(|entry| {
            let own = entry["message"].as_str().map(str::to_owned);
            own.into_iter().chain(words(&entry["also"]))
        })
        .collect();
    let missing: Vec<&&str> = TEMPLATES
        .iter()
        .filter(|template| !messages.iter().any(|message| fits(message, template)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
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
