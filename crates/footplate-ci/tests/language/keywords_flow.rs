//! Keywords about the way of a job through the pipeline: rules, policies, needs, parallel, triggers.

use serde_json::{Value as Json, json};

use crate::{
    Case,
    keywords::{faults, normal},
};

const SOUND: [String; 0] = [];

#[test]
fn short_forms_of_changes_and_exists_become_long() {
    assert_eq!(
        normal(
            "rules: [{changes: [a]}, {exists: b}, {exists: [c]}, {changes: {regexp: ^d, compare_to: main}}, {exists: {paths: null}}]",
            "rules"
        ),
        json!([
            {"changes": {"paths": ["a"]}},
            {"exists": {"paths": ["b"]}},
            {"exists": {"paths": ["c"]}},
            {"changes": {"regexp": "^d", "compare_to": "main"}},
            {"exists": {"paths": []}},
        ])
    );
}

#[test]
fn rules_of_a_referenced_list_are_flattened() {
    assert_eq!(
        normal("rules: [[{if: $A}, [{if: $B}]], {when: never}]", "rules"),
        json!([{"if": "$A"}, {"if": "$B"}, {"when": "never"}])
    );
}

#[test]
fn a_rule_with_own_faults_has_its_parts_unread() {
    assert_eq!(
        faults("rules: [{if: $A ==, changes: a, needs: b}]"),
        ["jobs:rspec:rules:rule if invalid expression syntax"]
    );
}

#[test]
fn fifty_patterns_are_the_most() {
    let list: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    assert_eq!(
        faults(&format!("rules: [{{changes: [{}]}}]", list.join(", "))),
        SOUND
    );
}

#[test]
fn look_around_is_allowed_in_patterns_of_paths() {
    assert_eq!(faults("rules: [{changes: {regexp: '^(?!docs/)'}}]"), SOUND);
}

#[test]
fn policies_in_short_form_become_long_and_only_has_its_default() {
    assert_eq!(
        normal("only: [main, /^v\\d/i]", "only"),
        json!({"refs": ["main", "/^v\\d/i"]})
    );
    assert_eq!(
        normal("only: {variables: [$A]}", "only"),
        json!({"refs": ["branches", "tags"], "variables": ["$A"]})
    );
    assert_eq!(
        normal("except: {changes: [a]}", "except"),
        json!({"changes": ["a"]})
    );
    assert_eq!(normal("rules: [{if: $A}]", "only"), Json::Null);
}

#[test]
fn needs_in_all_forms() {
    let case = Case::new(
        "build: {stage: build, script: echo, parallel: {matrix: [{A: [x, y]}]}}\nlint: {stage: build, script: echo}\nrspec:\n  script: echo\n  needs:\n    - [lint]\n    - {job: build, artifacts: false, optional: true, parallel: {matrix: [{A: y}]}}\n    - {project: a/b, ref: main, job: c}\n    - {pipeline: $UP, job: d, artifacts: false}\n",
    );
    let facts = case.facts("rspec");
    assert_eq!(
        facts["needs"],
        json!([
            {"name": "lint", "artifacts": true, "optional": false},
            {"name": "build: [y]", "artifacts": false, "optional": true},
        ])
    );
    assert_eq!(
        facts["cross_dependencies"],
        json!([
            {"project": "a/b", "ref": "main", "job": "c", "artifacts": true},
            {"pipeline": "$UP", "job": "d", "artifacts": false},
        ])
    );
}

#[test]
fn one_need_may_stand_without_a_list() {
    let case = Case::new("build: {script: echo}\nrspec: {script: echo, needs: {job: build}}\n");
    assert_eq!(case.facts("rspec")["needs"][0]["name"], "build");
}

#[test]
fn matrix_values_of_the_needing_job_reach_the_needed_ones() {
    let case = Case::new(
        "build: {stage: build, script: echo, parallel: {matrix: [{OS: [linux, mac]}]}}\ntest:\n  script: echo\n  parallel: {matrix: [{OS: [linux, mac]}]}\n  needs: [{job: build, parallel: {matrix: [{OS: ['$[[ matrix.OS ]]']}]}}]\n",
    );
    assert_eq!(
        case.facts("test: [mac]")["needs"][0]["name"],
        "build: [mac]"
    );
}

#[test]
fn a_matrix_varies_its_first_variable_slowest() {
    let case =
        Case::new("rspec: {script: echo, parallel: {matrix: [{A: [1, b], B: c}, {C: 1.5}]}}\n");
    let compiled = case.compile().unwrap();
    let names: Vec<&str> = compiled
        .instances
        .iter()
        .map(|job| job.name.as_str())
        .collect();
    assert_eq!(names, ["rspec: [1, c]", "rspec: [b, c]", "rspec: [1.5]"]);
}

#[test]
fn two_hundred_jobs_are_the_most() {
    let values = |count: usize| {
        (0..count)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let matrix = |a: usize, b: usize| {
        format!(
            "parallel: {{matrix: [{{A: [{}], B: [{}]}}]}}",
            values(a),
            values(b)
        )
    };
    assert_eq!(faults(&matrix(20, 10)), SOUND);
    let refused = ["jobs:rspec:parallel:matrix config generates too many jobs (maximum is 200)"];
    assert_eq!(faults(&matrix(67, 3)), refused);
    // A product that no memory holds is refused as quickly.
    let axes: Vec<String> = (0..12)
        .map(|axis| format!("V{axis}: [{}]", values(50)))
        .collect();
    assert_eq!(
        faults(&format!("parallel: {{matrix: [{{{}}}]}}", axes.join(", "))),
        refused
    );
}

#[test]
fn numbers_of_copies_stay_within_their_bounds() {
    assert_eq!(faults("parallel: 1"), SOUND);
    assert_eq!(faults("parallel: 200"), SOUND);
    assert_eq!(
        faults("parallel: 99999999999999999999"),
        ["jobs:rspec:parallel config must be less than or equal to 200"]
    );
}

#[test]
fn a_bridge_with_a_number_of_copies_breaks_both_rules() {
    let case = Case::new("bridge: {trigger: a/b, parallel: 0}\n");
    let mut errors = case.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "jobs:bridge:parallel config cannot use \"parallel: <number>\".",
            "jobs:bridge:parallel config must be greater than or equal to 1",
        ]
    );
}

#[test]
fn triggers_in_all_forms() {
    let trigger = |text: &str| {
        Case::new(&format!("bridge: {{trigger: {text}}}\n")).facts("bridge")["trigger"].clone()
    };
    assert_eq!(
        trigger("group/project"),
        json!({"project": "group/project"})
    );
    assert_eq!(
        trigger(
            "{project: $P, branch: null, strategy: mirror, forward: {yaml_variables: false}, inputs: {a: [1]}}"
        ),
        json!({"project": "$P", "strategy": "mirror", "forward": {"yaml_variables": false}, "inputs": {"a": [1]}})
    );
    let kinds = "[{local: a.yml, inputs: {b: c}}, {project: d/e, file: [f.yml], ref: main}, {artifact: g.yml, job: h}]";
    let include = trigger(&format!("{{include: {kinds}, strategy: depend}}"));
    assert_eq!(include["include"][1]["file"], json!(["f.yml"]));
    assert_eq!(trigger("{include: a.yml}"), json!({"include": "a.yml"}));
    for kind in [
        "{remote: 'https://example.com/a.yml'}",
        "{template: A.gitlab-ci.yml}",
        "{component: a/b@1}",
    ] {
        assert_ne!(trigger(&format!("{{include: {kind}}}")), Json::Null);
    }
}

#[test]
fn a_bridge_takes_the_keywords_of_bridges() {
    let case = Case::new(
        "bridge:\n  trigger: a/b\n  stage: deploy\n  when: manual\n  variables: {A: b}\n  environment: {name: c}\n  resource_group: d\n  interruptible: true\n  allow_failure: false\n  manual_confirmation: Sure?\n  inherit: {variables: false}\n  only: [main]\n",
    );
    assert_eq!(case.errors(), SOUND);
}
