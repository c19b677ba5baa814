//! Keywords, one by one: what they accept, what they refuse and in which words. Every message alone stands in `messages.yml`.

use serde_json::{Value as Json, json};

use crate::Case;

/// A job `rspec` with these further lines.
pub fn job(lines: &str) -> Case {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    Case::new(&format!("rspec:\n  script: echo\n{lines}"))
}

/// A keyword of that job in normal form.
pub fn normal(lines: &str, fact: &str) -> Json {
    job(lines).facts("rspec")[fact].clone()
}

/// The messages about that job, in order of the alphabet.
pub fn faults(lines: &str) -> Vec<String> {
    let mut errors = job(lines).errors();
    errors.sort();
    errors.dedup();
    errors
}

/// Every keyword of a build job beside `script`.
const OF_BUILDS: [&str; 35] = [
    "stage",
    "only",
    "except",
    "rules",
    "variables",
    "inherit",
    "allow_failure",
    "when",
    "needs",
    "resource_group",
    "environment",
    "interruptible",
    "before_script",
    "after_script",
    "image",
    "services",
    "tags",
    "start_in",
    "artifacts",
    "cache",
    "dependencies",
    "hooks",
    "coverage",
    "retry",
    "parallel",
    "timeout",
    "release",
    "id_tokens",
    "identity",
    "secrets",
    "publish",
    "pages",
    "manual_confirmation",
    "dast_configuration",
    "inputs",
];

#[test]
fn a_misspelt_key_of_a_job_is_named() {
    assert_eq!(
        faults("bad_tags: [a]"),
        ["jobs:rspec config contains unknown keys: bad_tags"]
    );
}

#[test]
fn a_keyword_that_is_null_is_not_given() {
    let plain = job("").facts("rspec");
    // That `rules` stands there takes the default of `only` away, whatever its value.
    for keyword in OF_BUILDS.iter().filter(|keyword| **keyword != "rules") {
        let case = job(&format!("{keyword}:"));
        assert_eq!(case.errors(), Vec::<String>::new(), "{keyword}");
        assert_eq!(case.facts("rspec"), plain, "{keyword}");
    }
}

#[test]
fn odd_values_are_taken_or_refused_with_the_name_of_the_job() {
    let values = [
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        ".inf",
        "''",
        "' '",
        "text",
        ":symbol",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "[1, [a, [b]]]",
        "{a: null}",
        "{a: {b: [c]}}",
        "[{}]",
        "[{a: 1}]",
        "!unknown [a]",
        "!!binary aGk=",
        "99999999999999999999",
    ];
    for keyword in OF_BUILDS
        .iter()
        .chain(&["script", "run", "trigger", "extends"])
    {
        for value in values {
            let case = Case::new(&format!("rspec:\n  script: echo\n  {keyword}: {value}\n"));
            for error in case.errors() {
                assert!(error.contains("rspec"), "{keyword}: {value} gave {error:?}");
            }
        }
    }
}

#[test]
fn names_and_values_of_the_user_are_in_lower_case_in_the_messages_of_keywords() {
    let case = Case::new("RSpec Fast:\n  script: echo\n  cache: {Key: A}\n");
    assert_eq!(
        case.errors(),
        ["jobs:rspec fast:cache config contains unknown keys: key"]
    );
}

#[test]
fn a_keyword_of_a_shape_that_is_none_at_all_names_the_job_as_it_is_written() {
    let case = Case::new("RSpec:\n  script: echo\n  only: main\n  parallel: many\n");
    let mut errors = case.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "jobs:RSpec:only has to be either an array of conditions or a hash",
            "jobs:RSpec:parallel should be an integer or a hash"
        ]
    );
}

#[test]
fn a_job_that_is_faulty_itself_is_not_looked_into() {
    let own = ["jobs:rspec config contains unknown keys: bad"];
    assert_eq!(faults("bad: 1\nimage: [a]\ntags: a\nneeds: a"), own);
}

#[test]
fn what_a_sound_job_holds_is_looked_at_all_at_once() {
    assert_eq!(
        faults("tags: a\ninterruptible: 1\nenvironment: {name: a, url: 1}\nrules: [{when: x}]"),
        [
            "jobs:rspec:environment url should be a string",
            "jobs:rspec:interruptible config should be a boolean value",
            "jobs:rspec:rules:rule when unknown value: x",
            "jobs:rspec:tags config should be an array of strings",
        ]
    );
}

#[test]
fn where_an_entry_is_no_job_no_job_is_looked_into() {
    let case = Case::new("rspec: {script: echo, tags: a}\nvaraibles: {A: b}\n");
    assert_eq!(
        case.errors(),
        ["jobs varaibles config should implement the script:, run:, or trigger: keyword"]
    );
}

#[test]
fn faults_at_the_root_in_default_and_in_a_job_have_their_places() {
    let case = Case::new(
        "cache: {untracked: 1}\ndefault: {image: {name: ruby, entrypoint: sh}}\nrspec: {script: echo, cache: {untracked: 1}}\n",
    );
    let mut errors = case.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "cache:untracked config should be a boolean value",
            "default:image entrypoint should be an array of strings",
            "jobs:rspec:cache:untracked config should be a boolean value",
        ]
    );
}

#[test]
fn a_faulty_default_is_not_looked_into_and_jobs_are() {
    let case = Case::new("default: {stage: a, image: [b]}\nrspec: {script: echo, tags: a}\n");
    let mut errors = case.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "default config contains unknown keys: stage",
            "jobs:rspec:tags config should be an array of strings",
        ]
    );
}

#[test]
fn a_job_without_script_run_or_trigger_may_mirror_a_pipeline() {
    let mirror = Case::new("mirror: {needs: {pipeline: group/project}}\n").facts("mirror");
    assert_eq!(mirror["bridge_needs"], json!({"pipeline": "group/project"}));
    assert_eq!(mirror["scheduling_type"], "stage");
    let case = Case::new("rspec: {needs: [build]}\nbuild: {script: echo}\n");
    assert_eq!(
        case.errors(),
        ["jobs rspec config should implement the script:, run:, or trigger: keyword"]
    );
}

#[test]
fn a_script_of_nothing_is_refused_as_blank() {
    for script in ["", "''", "[]", "{}"] {
        let case = Case::new(&format!("rspec: {{script: {script}}}\n"));
        assert_eq!(
            case.errors(),
            ["jobs:rspec script can't be blank"],
            "{script}"
        );
    }
}

#[test]
fn every_own_keyword_of_a_job_reaches_its_normal_form() {
    let case = job(
        "resource_group: production\nmanual_confirmation: Sure?\ncoverage: /cov (\\d+)%/\ninterruptible: true\nidentity: google_cloud\ndast_configuration: {site_profile: a, scanner_profile: b}",
    );
    let facts = case.facts("rspec");
    assert_eq!(facts["resource_group"], "production");
    assert_eq!(facts["manual_confirmation"], "Sure?");
    assert_eq!(facts["coverage_regex"], "cov (\\d+)%");
    assert_eq!(facts["interruptible"], true);
    assert_eq!(facts["identity"], "google_cloud");
    assert_eq!(
        facts["dast_configuration"],
        json!({"site_profile": "a", "scanner_profile": "b"})
    );
}
