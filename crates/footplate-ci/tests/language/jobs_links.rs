//! Checks between jobs: stages, dependencies, needs, circles, `on_stop`. The first fault is the only one.

use crate::Case;

#[test]
fn the_stage_is_asked_first_and_by_the_expanded_name() {
    let case =
        Case::new("job: {script: ls, stage: nowhere, parallel: 2, dependencies: [missing]}\n");
    assert_eq!(
        case.errors(),
        [
            "job 1/2 job: chosen stage nowhere does not exist; available stages are .pre, build, test, deploy, .post"
        ]
    );
}

#[test]
fn a_job_in_a_stage_that_does_not_exist_is_in_no_prior_stage() {
    let case =
        Case::new("first: {script: ls, needs: [second]}\nsecond: {script: ls, stage: nowhere}\n");
    assert_eq!(
        case.errors(),
        ["first job: need second is not defined in current or prior stages"]
    );
}

#[test]
fn dependencies_come_before_needs() {
    let case = Case::new("job: {script: ls, needs: [a, b], dependencies: [a]}\nb: {script: ls}\n");
    assert_eq!(case.errors(), ["job job: undefined dependency: a"]);
}

#[test]
fn needs_that_stand_twice_are_named_in_order() {
    let case =
        Case::new("a: {script: ls}\nb: {script: ls}\njob: {script: ls, needs: [a, b, b, a, b]}\n");
    assert_eq!(
        case.errors(),
        ["job has the following needs duplicated: a, b."]
    );
}

#[test]
fn needs_of_rules_are_asked_after_those_of_the_job() {
    let case = Case::new("job: {script: ls, needs: [a], rules: [{needs: [b]}]}\na: {script: ls}\n");
    assert_eq!(case.errors(), ["job job: undefined need: b"]);
}

#[test]
fn needs_of_rules_are_taken_as_they_are_written() {
    let of_rule = |need: &str| {
        Case::new(&format!(
            "many: {{script: ls, parallel: 2}}\njob: {{script: ls, rules: [{{needs: ['{need}']}}]}}\n"
        ))
    };
    assert_eq!(of_rule("many").errors(), ["job job: undefined need: many"]);
    let facts = of_rule("many 1/2").push("main", &[]).facts("job");
    assert_eq!(facts["needs"][0]["name"], "many 1/2");
}

#[test]
fn a_matrix_in_a_need_on_a_plain_job_says_nothing() {
    let case = Case::new(
        "plain: {script: ls}\njob: {script: ls, needs: [{job: plain, parallel: {matrix: [{A: b}]}}]}\n",
    );
    assert_eq!(case.facts("job")["needs"][0]["name"], "plain");
}

#[test]
fn matrix_values_stand_in_names_of_needs_too() {
    let case = Case::new(
        "build-x: {script: ls}\nbuild-y: {script: ls}\n\
         job: {script: ls, parallel: {matrix: [{A: [x, y]}]}, needs: ['build-$[[ matrix.A ]]']}\n",
    );
    assert_eq!(case.facts("job: [y]")["needs"][0]["name"], "build-y");
}

#[test]
fn the_job_whose_artifact_is_a_configuration_comes_no_later() {
    let case = Case::new(
        "child: {stage: build, trigger: {include: [{artifact: a.yml, job: later}]}}\nlater: {script: ls}\n",
    );
    assert_eq!(
        case.errors(),
        ["child job: dependency later is not defined in current or prior stages"]
    );
}

#[test]
fn on_stop_means_an_expanded_name() {
    let jobs = |stop: &str| {
        Case::new(&format!(
            "review: {{script: ls, environment: {{name: r, on_stop: '{stop}'}}}}\n\
             stop: {{script: ls, parallel: 1, environment: {{name: r, action: stop}}}}\n"
        ))
    };
    assert_eq!(
        jobs("stop").errors(),
        ["review job: on_stop job stop is not defined"]
    );
    assert!(jobs("stop 1/1").errors().is_empty());
}

#[test]
fn on_stop_wants_the_same_environment() {
    let case = Case::new(
        "review: {script: ls, environment: {name: r, on_stop: stop}}\nstop: {script: ls, environment: other}\n",
    );
    assert_eq!(
        case.errors(),
        ["review job: on_stop job stop have different environment name"]
    );
}

#[test]
fn a_circle_is_told_as_it_is_walked() {
    let case = Case::new(
        "before: {script: ls}\na: {script: ls, needs: [before, c]}\nb: {script: ls, needs: [a]}\nc: {script: ls, needs: [b]}\n",
    );
    assert_eq!(
        case.errors(),
        ["The pipeline has circular dependencies: topological sort failed: [\"a\", \"c\", \"b\"]"]
    );
}

#[test]
fn whichever_circle_is_met_first_is_told() {
    let circle_first = Case::new(
        "a: {script: ls, needs: [b]}\nb: {script: ls, needs: [a]}\nc: {script: ls, needs: [c]}\n",
    );
    assert_eq!(
        circle_first.errors(),
        ["The pipeline has circular dependencies: topological sort failed: [\"a\", \"b\"]"]
    );
    let own_first = Case::new(
        "a: {script: ls, needs: [c, b]}\nb: {script: ls, needs: [a]}\nc: {script: ls, needs: [c]}\n",
    );
    assert_eq!(
        own_first.errors(),
        ["The pipeline has circular dependencies: self-dependency: c"]
    );
}

#[test]
fn dependencies_must_be_among_the_needs() {
    let job = |rest: &str| {
        let text = format!("a: {{script: ls}}\nb: {{script: ls}}\njob: {{script: ls, {rest}}}\n");
        Case::new(&text).errors()
    };
    assert_eq!(
        job("needs: [a], dependencies: [b]"),
        ["jobs:job dependencies the b should be part of needs"]
    );
    assert_eq!(
        job("needs: [{pipeline: '1', job: x}], dependencies: [b]"),
        ["jobs:job needs corresponding to dependencies must be from the same pipeline"]
    );
    assert!(job("needs: [], dependencies: [b]").is_empty());
    assert!(job("needs: [a], dependencies: []").is_empty());
}

#[test]
fn names_that_the_matrix_does_not_have_are_told_once() {
    let case = Case::new(
        "build: {script: ls, parallel: {matrix: [{OS: [linux], ARCH: [amd64, arm64]}]}}\n\
         test:\n  script: ls\n  parallel: {matrix: [{OS: [linux], ARCH: [amd64, arm64]}]}\n  \
         needs: [{job: build, parallel: {matrix: [{OS: ['$[[matrix.OS]]'], GONE: ['$[[ matrix.NO-THING ]]']}]}}, '$[[ matrix.ALSO ]]']\n",
    );
    assert_eq!(
        case.errors(),
        [
            "test job: 'NO-THING' does not exist in matrix configuration",
            "test job: 'ALSO' does not exist in matrix configuration",
        ]
    );
}

#[test]
fn matrix_values_stand_in_needs_on_other_pipelines() {
    let case = Case::new(
        "job: {script: ls, parallel: {matrix: [{A: [x]}]}, needs: [{pipeline: '1', job: 'build-$[[ matrix.A ]]'}]}\n",
    );
    let need = &case.facts("job: [x]")["cross_dependencies"][0];
    assert_eq!(need["job"], "build-x");
}
