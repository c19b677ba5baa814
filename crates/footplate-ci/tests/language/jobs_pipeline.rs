//! What becomes of jobs in one pipeline: rules, policies, needs, variables, and messages where none is made.

use footplate_ci::{Answer, Outcome, Request, variables::Variable};
use footplate_model::PipelineSource;

use crate::Case;

/// Names of the jobs that are in the pipeline.
fn joined(case: &Case) -> Vec<String> {
    let compiled = case.compile().expect("a configuration without faults");
    let evaluated = compiled.evaluated.expect("a pipeline");
    evaluated
        .jobs
        .iter()
        .map(|chosen| chosen.instance.name.clone())
        .collect()
}

/// What became of the pipeline, with its messages.
fn outcome(case: &Case) -> (Outcome, Vec<String>) {
    let compiled = case.compile().expect("a configuration without faults");
    let evaluated = compiled.evaluated.expect("a pipeline");
    let errors = evaluated.errors.iter().map(ToString::to_string);
    (evaluated.outcome, errors.collect())
}

fn absent(own: &str, other: &str) -> String {
    format!(
        "'{own}' job needs '{other}' job, but '{other}' does not exist in the pipeline. This might be because of the only, except, or rules keywords. \
         To need a job that sometimes does not exist in the pipeline, use needs:optional."
    )
}

#[test]
fn jobs_of_a_merge_request_join_by_rules_or_workflow_only() {
    let text = "plain: {script: ls}\nruled: {script: ls, rules: [{when: on_success}]}\nonly: {script: ls, only: [merge_requests]}\n";
    let request = Case::new(text).pipeline("topic", PipelineSource::MergeRequestEvent, &[]);
    assert_eq!(joined(&request), ["ruled", "only"]);
    let with_workflow = Case::new(&format!("{text}workflow: {{rules: [{{when: always}}]}}\n"))
        .pipeline("topic", PipelineSource::MergeRequestEvent, &[]);
    assert_eq!(joined(&with_workflow), ["plain", "ruled", "only"]);
}

#[test]
fn a_child_of_a_merge_request_is_one_too() {
    let text = "plain: {script: ls}\nruled: {script: ls, rules: [{when: on_success}]}\n";
    let mut child = Case::new(text).pipeline("topic", PipelineSource::ParentPipeline, &[]);
    assert_eq!(joined(&child), ["plain", "ruled"]);
    let context = child.context.as_mut().expect("a pipeline");
    context.predefined.push(Variable {
        key: "CI_MERGE_REQUEST_IID".to_owned(),
        value: "7".to_owned(),
        ..Variable::default()
    });
    assert_eq!(joined(&child), ["ruled"]);
}

#[test]
fn the_default_of_only_stays_below_what_a_job_gives() {
    let case = Case::new(
        "workflow: {rules: [{when: always}]}\njob: {script: ls, only: {variables: [$A]}}\nother: {script: ls, only: {refs: [main]}}\n",
    );
    assert_eq!(case.facts("job")["only"]["refs"][0], "branches");
    assert_eq!(case.facts("other")["only"]["refs"][0], "main");
}

#[test]
fn rules_without_a_value_take_away_the_default_of_only() {
    let case = Case::new("job: {script: ls, rules: null}\n");
    assert_eq!(case.facts("job").get("only"), None);
}

#[test]
fn sources_are_meant_in_singular_and_plural() {
    let words = [
        (PipelineSource::Push, "pushes", "push"),
        (PipelineSource::Web, "web", "webs"),
        (PipelineSource::Schedule, "schedules", "schedule"),
        (PipelineSource::Pipeline, "pipelines", "pipeline"),
        (PipelineSource::Api, "api", "apis"),
    ];
    for (source, one, other) in words {
        for word in [one, other] {
            let text = format!(
                "job: {{script: ls, only: [{word}]}}\nout: {{script: ls, except: [{word}]}}\n"
            );
            let case = Case::new(&text).pipeline("main", source, &[]);
            assert_eq!(joined(&case), ["job"], "{word}");
        }
    }
}

#[test]
fn a_ref_item_is_split_at_its_first_sign() {
    let case = |item: &str| {
        let text = format!("job: {{script: ls, only: ['{item}']}}\nstay: {{script: ls}}\n");
        joined(&Case::new(&text).push("a@b", &[]))
    };
    assert_eq!(case("/^a/@group/project"), ["job", "stay"]);
    assert_eq!(case("/^a/@group/other"), ["stay"]);
    assert_eq!(case("/a@b/"), ["stay"], "the rest would be a project");
}

#[test]
fn the_environment_is_known_to_rules() {
    let environment =
        "{name: review/$CI_COMMIT_REF_NAME, url: 'https://x', deployment_tier: development}";
    let condition = "$CI_ENVIRONMENT_NAME == \"review/topic\" && $CI_ENVIRONMENT_ACTION == \"start\" && $CI_ENVIRONMENT_TIER == \"development\" && $CI_ENVIRONMENT_URL == \"https://x\"";
    let text = format!(
        "deploy:\n  script: ls\n  environment: {environment}\n  rules: [{{if: '{condition}'}}]\nother:\n  script: ls\n  rules: [{{if: $CI_ENVIRONMENT_NAME == null}}]\n"
    );
    let case = Case::new(&text).push("topic", &[]);
    assert_eq!(joined(&case), ["deploy", "other"]);
    let seen = &case.facts("other")["scoped_variables"];
    assert_eq!(seen.get("CI_ENVIRONMENT_NAME"), None);
    assert_eq!(seen["CI_NODE_TOTAL"], "1");
}

#[test]
fn variables_have_their_order() {
    let text = "variables: {A: root, B: root, C: root, D: root, E: root}\n\
         workflow: {rules: [{variables: {B: workflow, C: workflow}}]}\n\
         job:\n  script: ls\n  variables: {C: job, D: job, E: job}\n  parallel: {matrix: [{D: matrix, E: matrix}]}\n  rules: [{variables: {E: rule}}]\n";
    let seen = Case::new(text)
        .push("main", &[])
        .facts("job: [matrix, matrix]")["scoped_variables"]
        .clone();
    let values =
        ["A", "B", "C", "D", "E"].map(|name| seen[name].as_str().expect("a value").to_owned());
    assert_eq!(values, ["root", "workflow", "job", "matrix", "rule"]);
    let project = Case::new(text)
        .push("main", &[("E", "project")])
        .facts("job: [matrix, matrix]");
    assert_eq!(project["scoped_variables"]["E"], "project");
}

#[test]
fn root_variables_that_are_not_inherited_are_unknown_to_rules() {
    let text = "variables: {A: root, B: root}\n\
         job: {script: ls, inherit: {variables: [B]}, rules: [{if: $A == null && $B == \"root\"}]}\n";
    assert_eq!(joined(&Case::new(text).push("main", &[])), ["job"]);
}

#[test]
fn a_condition_sees_values_as_they_are_and_paths_see_them_expanded() {
    let text = "variables: {NAME: file, FILE: $NAME.txt}\n\
         plain: {script: ls, rules: [{if: '$FILE == \"$NAME.txt\"'}]}\n\
         exists: {script: ls, rules: [{exists: [$FILE]}]}\n\
         changes: {script: ls, rules: [{changes: [docs/$FILE]}]}\n\
         unknown: {script: ls, rules: [{exists: ['$NOBODY.txt']}]}\n";
    let case = Case::new(text)
        .file("file.txt", "")
        .push("main", &[])
        .changed(&["docs/file.txt"]);
    assert_eq!(joined(&case), ["plain", "exists", "changes"]);
}

#[test]
fn each_instance_of_a_matrix_has_its_own_outcome() {
    let text = "job:\n  script: ls\n  parallel: {matrix: [{ARCH: [amd64, arm64], SKIP: [yes-please, no-thanks]}]}\n  rules: [{if: $SKIP == \"yes-please\", when: never}, {changes: [$ARCH/**/*]}]\n";
    let case = Case::new(text).push("main", &[]).changed(&["arm64/a.c"]);
    assert_eq!(joined(&case), ["job: [arm64, no-thanks]"]);
}

#[test]
fn needed_jobs_that_are_absent_are_told_in_the_order_of_stages() {
    let text = "late: {script: ls, stage: deploy, needs: [gone]}\n\
         early: {script: ls, stage: test, needs: [gone, also]}\n\
         gone: {script: ls, stage: build, rules: []}\nalso: {script: ls, stage: build, rules: [{when: never}]}\n";
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])),
        (
            Outcome::Error,
            vec![
                absent("early", "gone"),
                absent("early", "also"),
                absent("late", "gone")
            ]
        )
    );
}

#[test]
fn the_needs_of_an_absent_job_are_not_asked() {
    let text = "stay: {script: ls}\njob: {script: ls, needs: [gone], rules: []}\ngone: {script: ls, rules: []}\n";
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])).0,
        Outcome::Created
    );
}

#[test]
fn an_optional_need_that_is_absent_leaves_none() {
    let text =
        "job: {script: ls, needs: [{job: gone, optional: true}]}\ngone: {script: ls, rules: []}\n";
    let facts = Case::new(text).push("main", &[]).facts("job");
    assert_eq!(facts["needs"], serde_json::json!([]));
    assert_eq!(facts["scheduling_type"], "dag");
}

#[test]
fn too_many_needs_are_counted_after_expansion_and_for_the_pipeline() {
    let text = "many: {script: ls, parallel: 51}\njob: {script: ls, needs: [many]}\n";
    assert!(Case::new(text).errors().is_empty());
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])).1,
        [
            "job: one job can only need 50 others, but you have listed 51. See needs keyword documentation for more details"
        ]
    );
}

#[test]
fn variables_in_a_circle_fail_the_job() {
    let text = "variables: {A: $B, B: $C, C: $A}\njob: {script: ls}\n";
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])),
        (
            Outcome::Error,
            vec!["job: circular variable reference detected: [\"A\", \"B\", \"C\"]".to_owned()]
        )
    );
    let broken = Case::new(text).push("main", &[("B", "project")]);
    assert_eq!(
        outcome(&broken).0,
        Outcome::Created,
        "the project's B refers to nothing"
    );
    let text = "variables: {PATH: '$PATH:bin'}\njob: {script: ls}\n";
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])).0,
        Outcome::Created
    );
}

#[test]
fn a_ref_to_compare_to_that_does_not_exist_fails_the_pipeline() {
    let text = "variables: {BASE: nowhere}\njob: {script: ls, rules: [{changes: {paths: [a], compare_to: $BASE}}]}\nother: {script: ls}\n";
    let case = Case::new(text)
        .answer(
            Request::Changes(Some("nowhere".to_owned())),
            Answer::Problem("rules:changes:compare_to is not a valid ref".to_owned()),
        )
        .push("main", &[]);
    assert_eq!(
        outcome(&case),
        (
            Outcome::Error,
            vec![
                "Failed to parse rule for job: rules:changes:compare_to is not a valid ref"
                    .to_owned()
            ]
        )
    );
}

#[test]
fn edge_stages_alone_make_no_pipeline() {
    let text = "first: {script: ls, stage: .pre}\nlast: {script: ls, stage: .post}\nmiddle: {script: ls, rules: [{if: $RUN}]}\n";
    let empty = "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline.";
    assert_eq!(
        outcome(&Case::new(text).push("main", &[])),
        (Outcome::Empty, vec![empty.to_owned()])
    );
    let case = Case::new(text).push("main", &[("RUN", "yes")]);
    assert_eq!(joined(&case), ["first", "last", "middle"]);
}

#[test]
fn what_a_rule_does_not_say_is_the_jobs_own() {
    let text = "job:\n  script: ls\n  when: manual\n  interruptible: false\n  allow_failure: {exit_codes: [3]}\n  rules: [{if: $CI_COMMIT_BRANCH}]\n\
         other:\n  script: ls\n  when: manual\n  allow_failure: {exit_codes: [3]}\n  rules: [{when: delayed, start_in: 5 minutes, allow_failure: true, interruptible: true}]\n";
    let case = Case::new(text).push("main", &[]);
    let (job, other) = (case.facts("job"), case.facts("other"));
    assert_eq!(
        (&job["when"], &job["allow_failure"], &job["interruptible"]),
        (&"manual".into(), &false.into(), &false.into())
    );
    assert_eq!(job["allow_failure_criteria"]["exit_codes"][0], 3);
    assert_eq!(
        (
            &other["when"],
            &other["start_in"],
            &other["allow_failure"],
            &other["interruptible"]
        ),
        (
            &"delayed".into(),
            &"5 minutes".into(),
            &true.into(),
            &true.into()
        )
    );
    assert_eq!(other.get("allow_failure_criteria"), None);
}

#[test]
fn too_many_comparisons_answer_yes() {
    let changed: Vec<String> = (0..25_001).map(|n| format!("lib/{n}.c")).collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    let case = |globs: &str| {
        let text =
            format!("job: {{script: ls, rules: [{{changes: {globs}}}]}}\nstay: {{script: ls}}\n");
        joined(&Case::new(&text).push("main", &[]).changed(&changed))
    };
    assert_eq!(case("[a, b]"), ["job", "stay"]);
    assert_eq!(case("[a]"), ["stay"]);
    assert_eq!(case("[a, a]"), ["stay"], "the same glob is one");
}

#[test]
fn cheap_patterns_of_exists_are_not_counted() {
    let mut case = Case::new("");
    case.files
        .extend((0..25_001).map(|n| (format!("lib/{n:05}.c"), String::new())));
    let joined_by = |globs: &str| {
        let mut case = case.clone();
        case.files[0].1 =
            format!("job: {{script: ls, rules: [{{exists: {globs}}}]}}\nstay: {{script: ls}}\n");
        joined(&case.push("main", &[]))
    };
    assert_eq!(joined_by("['x/*.c', 'y/*.c']"), ["job", "stay"], "too many");
    assert_eq!(joined_by("['x/*.c']"), ["stay"]);
    assert_eq!(joined_by("['**/*.rb', '**/*.go', '**/*.py']"), ["stay"]);
    assert_eq!(joined_by("['**/*.c', '**/*.go']"), ["job", "stay"]);
    assert_eq!(
        joined_by("['*.c', '*.rb']"),
        ["stay"],
        "only the root counts"
    );
}

#[test]
fn changes_of_only_know_no_variables() {
    let text = "variables: {DIR: docs}\njob: {script: ls, only: {changes: [$DIR/*]}}\nstay: {script: ls, only: {changes: [docs/*]}}\n";
    let case = Case::new(text).push("main", &[]).changed(&["docs/a"]);
    assert_eq!(joined(&case), ["stay"]);
}

#[test]
fn files_of_another_project_are_asked_for_by_its_expanded_path() {
    let text = "variables: {GROUP: other, REF: next}\n\
         job: {script: ls, rules: [{exists: {paths: [a.txt], project: $GROUP/project, ref: $REF}}]}\nstay: {script: ls}\n";
    let origin = footplate_ci::Origin {
        project: Some("other/project".to_owned()),
        git_ref: Some("next".to_owned()),
    };
    let case = |answer: Answer| {
        let request = Request::Paths(origin.clone());
        Case::new(text).answer(request, answer).push("main", &[])
    };
    let found = case(Answer::Paths(vec!["a.txt".to_owned()]));
    assert_eq!(joined(&found), ["job", "stay"]);
    assert_eq!(joined(&case(Answer::Paths(Vec::new()))), ["stay"]);
    let no_project = "Project `other/project` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined.";
    assert_eq!(
        outcome(&case(Answer::Problem(no_project.to_owned()))).1,
        [
            "Failed to parse rule for job: rules:exists:project `other/project` not found or access denied"
        ]
    );
    let no_ref = "Project `other/project` reference `next` does not exist!";
    assert_eq!(
        outcome(&case(Answer::Problem(no_ref.to_owned()))).1,
        [
            "Failed to parse rule for job: rules:exists:ref `next` is not a valid ref in project `other/project`"
        ]
    );
}
