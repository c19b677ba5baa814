//! Jobs: their names, kinds and keys, and what is asked of them before their keywords.

use footplate_model::JobKind;

use crate::Case;

/// Messages of a single job named `job`.
fn faults(job: &str) -> Vec<String> {
    Case::new(&format!("job: {job}\n")).errors()
}

#[test]
fn when_of_a_matching_rule_wins() {
    let case = Case::new(
        "deploy:\n  script: ls\n  rules: [{if: $CI_COMMIT_BRANCH == \"main\", when: manual}]\n",
    )
    .push("main", &[]);
    assert_eq!(case.facts("deploy")["when"], "manual");
}

#[test]
fn a_fault_of_the_job_itself_hides_those_of_its_keywords() {
    let job = "{script: ls, bad_key: 1, stage: 1, cache: {untracked: maybe}}";
    assert_eq!(
        faults(job),
        ["jobs:job config contains unknown keys: bad_key"]
    );
}

#[test]
fn faults_of_several_keywords_are_all_told() {
    let job = "{script: ls, stage: 1, cache: {untracked: maybe}}";
    assert_eq!(
        faults(job),
        [
            "jobs:job:stage config should be a string",
            "jobs:job:cache:untracked config should be a boolean value",
        ]
    );
}

#[test]
fn a_fault_of_one_job_does_not_hide_those_of_another() {
    let case = Case::new("a: {script: ls, bad: 1}\nb: {script: ls, stage: 1}\n");
    assert_eq!(
        case.errors(),
        [
            "jobs:a config contains unknown keys: bad",
            "jobs:b:stage config should be a string",
        ]
    );
}

#[test]
fn a_value_that_is_no_job_hides_the_faults_of_the_others() {
    let case = Case::new("a: {before_script: ls}\nb: {script: ls, bad: 1}\n");
    assert_eq!(
        case.errors(),
        ["jobs a config should implement the script:, run:, or trigger: keyword"]
    );
}

#[test]
fn without_any_job_both_messages_are_told() {
    assert_eq!(
        Case::new("varaibles: {A: b}\n").errors(),
        [
            "jobs varaibles config should implement the script:, run:, or trigger: keyword",
            "jobs config should contain at least one visible job",
        ]
    );
    assert_eq!(
        Case::new(".hidden: {script: ls}\n").errors(),
        ["jobs config should contain at least one visible job"]
    );
}

#[test]
fn names_are_texts_of_at_most_255_characters() {
    let long = "x".repeat(256);
    assert_eq!(
        Case::new(&format!("{long}: {{script: ls}}\n")).errors(),
        [format!(
            "jobs:{long} name is too long (maximum is 255 characters)"
        )]
    );
    assert_eq!(
        Case::new("10: {script: ls}\n").errors(),
        ["jobs:10 name should be a symbol"]
    );
    assert_eq!(
        Case::new("'': {script: ls}\n").errors(),
        ["jobs:job name can't be blank"]
    );
    assert!(Case::new(":symbol: {script: ls}\n").errors().is_empty());
}

#[test]
fn a_name_may_grow_too_long_by_its_matrix() {
    let value = "v".repeat(250);
    let case = Case::new(&format!(
        "job: {{script: ls, parallel: {{matrix: [{{A: {value}}}]}}}}\n"
    ));
    assert_eq!(
        case.errors(),
        [format!(
            "jobs:job: [{value}] name is too long (maximum is 255 characters)"
        )]
    );
}

#[test]
fn a_script_without_anything_is_blank() {
    for script in ["[]", "''", "'  '", "null", "{}", "false"] {
        assert_eq!(
            faults(&format!("{{script: {script}}}")),
            ["jobs:job script can't be blank"],
            "{script}"
        );
    }
}

#[test]
fn kinds_exclude_each_other_in_the_order_in_which_they_are_written() {
    assert_eq!(
        faults("{trigger: a/b, script: ls}"),
        [
            "jobs:job config these keys cannot be used together: trigger, script",
            "jobs:job config contains unknown keys: trigger",
        ]
    );
    assert_eq!(
        faults("{run: [{name: a, script: ls}], script: ls}"),
        ["jobs:job config these keys cannot be used together: run, script"]
    );
}

#[test]
fn a_trigger_without_a_value_is_named() {
    assert_eq!(
        faults("{trigger: null}"),
        ["jobs:job config should contain one of the keywords; trigger, status or needs:pipeline"]
    );
}

#[test]
fn a_need_on_a_pipeline_alone_makes_a_status_bridge() {
    let case = Case::new("mirror: {needs: {pipeline: group/other}}\n");
    let compiled = case.compile().expect("a status bridge");
    assert_eq!(compiled.instances[0].job.kind, JobKind::Bridge);
    let facts = case.facts("mirror");
    assert_eq!(facts["scheduling_type"], "stage");
    assert_eq!(facts.get("needs"), None);
    assert_eq!(
        faults("{needs: [{pipeline: a/b}, {pipeline: c/d}]}"),
        ["jobs:job config should contain at most one bridge need"]
    );
}

#[test]
fn bridges_and_builds_need_different_things() {
    assert_eq!(
        faults("{script: ls, needs: [{pipeline: group/other}]}"),
        ["jobs:job:needs config uses invalid types: bridge"]
    );
    assert_eq!(
        faults("{trigger: a/b, needs: [{pipeline: '1', job: x}]}"),
        ["jobs:job:needs config uses invalid types: cross_dependency"]
    );
}

#[test]
fn keys_of_builds_are_refused_for_bridges() {
    assert_eq!(
        faults("{trigger: a/b, image: ruby, tags: [a], when: delayed}"),
        [
            "jobs:job config contains unknown keys: image, tags",
            "jobs:job when should be one of: on_success, on_failure, always, manual",
            "jobs:job config should contain one of the keywords; trigger, status or needs:pipeline",
        ]
    );
    assert_eq!(
        faults("{trigger: a/b, allow_failure: {exit_codes: 1}}"),
        [
            "jobs:job allow failure should be a boolean value",
            "jobs:job config should contain one of the keywords; trigger, status or needs:pipeline",
        ]
    );
}

#[test]
fn a_when_that_is_no_text_has_two_faults() {
    assert_eq!(
        faults("{script: ls, when: 1}"),
        [
            "jobs:job when should be a string",
            "jobs:job when should be one of: on_success, on_failure, always, manual, delayed",
        ]
    );
}

#[test]
fn start_in_belongs_to_delayed_jobs_without_rules() {
    assert_eq!(
        faults("{script: ls, when: delayed}"),
        [
            "jobs:job start in should be a duration",
            "jobs:job start in should not exceed the limit",
        ]
    );
    assert_eq!(
        faults("{script: ls, when: delayed, start_in: 8 days}"),
        ["jobs:job start in should not exceed the limit"]
    );
    assert_eq!(
        faults("{script: ls, start_in: 1 day}"),
        ["jobs:job start in must be blank"]
    );
    assert_eq!(
        faults("{script: ls, when: delayed, start_in: 1 day, rules: [{if: $A}]}"),
        [
            "jobs:job config key may not be used with `rules`: start_in",
            "jobs:job start in must be blank",
        ]
    );
}

#[test]
fn keys_beside_rules_are_named_in_their_own_order() {
    assert_eq!(
        faults("{script: ls, rules: [], except: [a], only: [b]}"),
        ["jobs:job config key may not be used with `rules`: except, only"]
    );
    assert!(
        faults("{script: ls, rules: [], except: null, only: null}").is_empty(),
        "what is null is not used"
    );
}

#[test]
fn exit_codes_make_a_manual_job_blocking() {
    let case = Case::new("job: {script: ls, when: manual, allow_failure: {exit_codes: 1}}\n");
    let facts = case.facts("job");
    assert_eq!(facts["allow_failure"], false);
    assert_eq!(facts["allow_failure_criteria"]["exit_codes"][0], 1);
    assert!(faults("{script: ls, allow_failure: {}}").is_empty());
}

#[test]
fn only_a_bare_when_at_the_end_warns_of_double_pipelines() {
    let warnings = |rules: &str| {
        let case = Case::new(&format!("job: {{script: ls, rules: {rules}}}\n"));
        case.compile().expect("no fault").warnings.len()
    };
    assert_eq!(warnings("[{if: $A}, {when: always}]"), 1);
    assert_eq!(warnings("[{when: always}, {if: $A}]"), 0);
    assert_eq!(warnings("[{when: never}]"), 0);
    assert_eq!(warnings("[{when: always, allow_failure: true}]"), 0);
    assert_eq!(warnings("[{when: always, variables: {A: b}}]"), 0);
}

#[test]
fn a_job_with_a_fault_of_its_own_does_not_warn() {
    let refused = Case::new("job: {script: ls, bad: 1, rules: [{when: always}]}\n")
        .compile()
        .expect_err("an unknown key");
    assert!(refused.warnings.is_empty());
}
