//! Keywords about how a job runs: scripts, containers, tags, time, retries, steps.

use serde_json::{Value as Json, json};

use crate::{
    Case,
    keywords::{faults, job, normal},
};

const SOUND: [String; 0] = [];

#[test]
fn scripts_are_flattened_ten_levels_deep_and_no_deeper() {
    let nested = |depth: usize| format!("{}echo{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        normal(&format!("before_script: {}", nested(10)), "before_script"),
        json!(["echo"])
    );
    assert_eq!(
        faults(&format!("after_script: {}", nested(11))),
        [
            "jobs:rspec:after_script config should be a string or a nested array of strings up to 10 levels deep"
        ]
    );
}

#[test]
fn empty_scripts_before_and_after_cancel_the_default() {
    let case = Case::new(
        "default: {before_script: [a], after_script: [b]}\nrspec: {script: echo, before_script: [], after_script: []}\n",
    );
    let facts = case.facts("rspec");
    assert_eq!(facts["before_script"], json!([]));
    assert_eq!(facts["after_script"], json!([]));
}

#[test]
fn hooks_hold_the_script_before_the_sources_are_fetched() {
    assert_eq!(
        normal("hooks: {pre_get_sources_script: [[a], b]}", "hooks"),
        json!({"pre_get_sources_script": ["a", "b"]})
    );
    assert_eq!(normal("hooks: {}", "hooks"), json!({}));
}

#[test]
fn images_in_short_and_long_form_are_one_form() {
    assert_eq!(normal("image: ruby:3", "image"), json!({"name": "ruby:3"}));
    assert_eq!(
        normal(
            "image: {name: ruby, entrypoint: [], pull_policy: always, docker: {platform: arm64, user: dave}, kubernetes: {user: 1001}}",
            "image"
        ),
        json!({
            "name": "ruby", "entrypoint": [], "pull_policy": ["always"],
            "executor_opts": {"docker": {"platform": "arm64", "user": "dave"}, "kubernetes": {"user": 1001}},
        })
    );
    assert_eq!(
        normal("image: {name: ruby, docker: null}", "image"),
        json!({"name": "ruby"})
    );
}

#[test]
fn services_of_a_referenced_list_are_flattened() {
    let case = Case::new(
        ".all: {services: [postgres, {name: redis, alias: 'cache,store', variables: {A: 1, B: {value: $C, expand: false}}}]}\nrspec: {script: echo, services: [!reference [.all, services], nginx]}\n",
    );
    assert_eq!(
        case.facts("rspec")["services"],
        json!([
            {"name": "postgres"},
            {"name": "redis", "alias": "cache,store", "variables": {"A": "1", "B": {"value": "$C", "raw": true}}},
            {"name": "nginx"},
        ])
    );
}

#[test]
fn the_command_of_a_service_is_a_list_even_when_it_is_one_text() {
    assert_eq!(
        normal(
            "services: [{name: a, command: run}, {name: b, command: [c, d]}]",
            "services"
        ),
        json!([{"name": "a", "command": ["run"]}, {"name": "b", "command": ["c", "d"]}])
    );
}

#[test]
fn a_service_with_own_faults_has_its_variables_unread() {
    assert_eq!(
        faults("services: [{name: [a], variables: [b], pull_policy: c}]"),
        ["jobs:rspec:services:service name should be a string"]
    );
}

#[test]
fn forty_nine_tags_are_fewer_than_fifty() {
    let tags = |count: usize| {
        let list: Vec<String> = (0..count).map(|number| format!("t{number}")).collect();
        format!("tags: [{}]", list.join(", "))
    };
    assert_eq!(faults(&tags(49)), SOUND);
    assert_eq!(
        faults(&tags(50)),
        ["jobs:rspec:tags config must be less than the limit of 50 tags"]
    );
}

#[test]
fn timeouts_are_texts_up_to_a_month() {
    for (text, seconds) in [
        ("1 month", 2_592_000),
        ("'3600'", 3600),
        ("1h 30m", 5400),
        ("2h20min", 8400),
        ("3 weeks and 2 days", 1_987_200),
        ("1.5h", 5400),
    ] {
        assert_eq!(
            normal(&format!("timeout: {text}"), "job_timeout"),
            seconds,
            "{text}"
        );
    }
    for text in ["3600", "''", "never", "soon", "[1h]", "0"] {
        assert_eq!(
            faults(&format!("timeout: {text}")),
            [
                "jobs:rspec:timeout config should be a duration",
                "jobs:rspec:timeout config should not exceed the limit"
            ],
            "{text}"
        );
    }
}

#[test]
fn retries_in_all_forms() {
    assert_eq!(normal("retry: 2", "retry"), json!({"max": 2}));
    assert_eq!(normal("retry: {max: 1}", "retry"), json!({"max": 1}));
    assert_eq!(
        normal("retry: {when: always}", "retry"),
        json!({"when": ["always"]})
    );
    assert_eq!(
        normal(
            "retry: {max: 0, when: [script_failure, missing_dependency_failure], exit_codes: 137}",
            "retry"
        ),
        json!({"max": 0, "when": ["script_failure", "missing_dependency_failure"], "exit_codes": [137]})
    );
    assert_eq!(
        normal("retry: {exit_codes: [1, 2], when: null}", "retry"),
        json!({"exit_codes": [1, 2]})
    );
}

#[test]
fn every_rule_of_a_retry_that_is_broken_is_told() {
    assert_eq!(
        faults("retry: {max: 3, when: 1, exit_codes: a, often: 1}"),
        [
            "jobs:rspec:retry config contains unknown keys: often",
            "jobs:rspec:retry exit codes should be an array of integers or an integer",
            "jobs:rspec:retry max must be less than or equal to 2",
            "jobs:rspec:retry when should be an array of strings or a string",
        ]
    );
}

#[test]
fn a_failure_is_allowed_by_word_by_code_or_as_a_manual_job() {
    let allowed = |lines: &str| {
        let facts = job(lines).facts("rspec");
        (
            facts["allow_failure"].clone(),
            facts["allow_failure_criteria"].clone(),
        )
    };
    assert_eq!(allowed("allow_failure: true"), (json!(true), Json::Null));
    assert_eq!(allowed("when: manual"), (json!(true), Json::Null));
    assert_eq!(
        allowed("when: manual\nallow_failure: false"),
        (json!(false), Json::Null)
    );
    assert_eq!(
        allowed("when: manual\nallow_failure: {exit_codes: 3}"),
        (json!(false), json!({"exit_codes": [3]}))
    );
    assert_eq!(allowed("allow_failure: {}"), (json!(false), Json::Null));
}

#[test]
fn a_delayed_job_needs_its_delay_and_no_other_job_has_one() {
    assert_eq!(
        normal("when: delayed\nstart_in: 1 week", "start_in"),
        "1 week"
    );
    assert_eq!(
        faults("when: delayed\nstart_in: 1 day\nrules: [{if: $A}]"),
        [
            "jobs:rspec config key may not be used with `rules`: start_in",
            "jobs:rspec start in must be blank",
        ]
    );
}

#[test]
fn steps_refer_to_functions_or_are_scripts() {
    let case = Case::new(
        "rspec:\n  run:\n    - {name: a, script: echo $A, env: {A: b}}\n    - {name: b, step: ./step, inputs: {n: 1, list: [c]}}\n    - {name: c, func: {git: {url: example.com/d, rev: main}}}\n    - {name: d, step: {oci: {registry: e, repository: f, tag: '1'}}}\n",
    );
    assert_eq!(case.errors(), SOUND);
    assert_eq!(case.facts("rspec")["run"][2]["func"]["git"]["rev"], "main");
    let case = Case::new("rspec: {run: [{name: a, step: {git: {url: b}}}]}\n");
    assert!(
        case.errors().contains(
            &"jobs:rspec run object at `/0/step/git` is missing required properties: rev"
                .to_owned()
        ),
        "{:?}",
        case.errors()
    );
}

#[test]
fn one_step_with_step_and_func_is_refused() {
    let case = Case::new("rspec: {run: [{name: a, step: b, func: c}]}\n");
    let told = "jobs:rspec run value at `/0` matches `not` schema".to_owned();
    assert!(case.errors().contains(&told), "{:?}", case.errors());
}
