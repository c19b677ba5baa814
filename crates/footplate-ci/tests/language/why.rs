//! Why a job is in a pipeline, or not.

use footplate_ci::{Level, PipelineWhy, why};
use serde_json::{Value as Json, json};

use crate::Case;

fn told(case: &Case) -> PipelineWhy {
    case.compile()
        .expect("a configuration without faults")
        .why()
}

const DEPLOY: &str = r#"
variables: {MODE: root}
workflow:
  rules:
    - if: $CI_COMMIT_TAG
    - if: $CI_COMMIT_BRANCH
build: {script: make}
deploy:
  variables: {MODE: job}
  script: ship
  rules:
    - if: $SECRET
      when: never
    - if: $CI_COMMIT_BRANCH == "main" && $MODE == "job"
    - changes: [src/**/*, "*.toml"]
"#;

#[test]
fn every_entry_that_was_looked_at_is_told_with_its_atoms() {
    let case = Case::new(DEPLOY)
        .push("main", &[("MODE", "project")])
        .changed(&["docs/a.md", "src/lib.rs", "Cargo.toml"]);
    let shown = told(&case).shown_job("deploy", true).unwrap();
    assert_eq!(shown["in_pipeline"], true);
    assert_eq!(shown["decided_by"], "rules[2]");
    assert_eq!(shown["at"], ".gitlab-ci.yml:15");
    assert_eq!(
        shown["looked_at"],
        json!([
            {"entry": "rules[0]", "at": ".gitlab-ci.yml:12", "matched": false, "if": "$SECRET",
             "atoms": [{"text": "$SECRET", "value": "null"}]},
            {"entry": "rules[1]", "at": ".gitlab-ci.yml:14", "matched": false,
             "if": "$CI_COMMIT_BRANCH == \"main\" && $MODE == \"job\"",
             "atoms": [{"text": "$CI_COMMIT_BRANCH == \"main\"", "value": "true"}, {"text": "$MODE == \"job\"", "value": "false"}]},
            {"entry": "rules[2]", "at": ".gitlab-ci.yml:15", "matched": true,
             "changes": {"patterns": ["src/**/*", "*.toml"], "matched": true, "paths": 2, "of": 3, "first": "src/lib.rs"}},
        ])
    );
    assert_eq!(
        shown["variables"][2],
        json!({"name": "MODE", "value": "project", "level": "project", "over": ["job", "root"]})
    );
}

#[test]
fn the_workflow_is_told_too() {
    let case = Case::new(DEPLOY).push("main", &[]);
    let shown = told(&case).shown(true);
    assert_eq!(shown["workflow"]["decided_by"], "workflow:rules[1]");
    assert_eq!(shown["workflow"]["looked_at"][0]["matched"], false);
    assert_eq!(shown["jobs"]["build"]["decided_by"], "always");
}

#[test]
fn a_pipeline_that_the_workflow_filters_says_so() {
    let text = "workflow:\n  rules: [{if: $NIGHTLY}]\njob: {script: ls}\n";
    let case = Case::new(text).push("main", &[]);
    let told = told(&case);
    assert_eq!(
        told.workflow.unwrap().decided_by,
        "no workflow rule matched"
    );
}

#[test]
fn the_way_of_a_file_is_told() {
    let case = Case::new("include: a.yml\n")
        .file("a.yml", "include: b.yml\n")
        .file(
            "b.yml",
            "job:\n  script: ls\n  rules: [{if: $X}]\nother: {script: ls}\n",
        )
        .push("main", &[]);
    let shown = told(&case).shown_job("job", true).unwrap();
    assert_eq!(shown["at"], "b.yml:1");
    assert_eq!(
        shown["included_from"],
        json!(["a.yml:1", ".gitlab-ci.yml:1"])
    );
}

#[test]
fn masked_values_stay_masked_and_others_are_for_those_who_may_see_them() {
    let text = "job:\n  script: ls\n  rules: [{if: $TOKEN && $PLAIN && $CI_COMMIT_BRANCH}]\n";
    let mut case = Case::new(text).push("main", &[("TOKEN", "s3cr3t"), ("PLAIN", "pl41n")]);
    case.context.as_mut().unwrap().overriding[0].masked = true;
    let why = told(&case);
    let open = why.shown_job("job", true).unwrap().to_string();
    assert!(!open.contains("s3cr3t") && open.contains("pl41n"), "{open}");
    let closed = why.shown_job("job", false).unwrap();
    assert!(!closed.to_string().contains("pl41n"), "{closed}");
    assert_eq!(
        closed["looked_at"][0]["atoms"],
        json!([
            {"text": "$TOKEN", "value": "[hidden]"}, {"text": "$PLAIN", "value": "[hidden]"},
            {"text": "$CI_COMMIT_BRANCH", "value": "\"main\""},
        ])
    );
    assert!(!serde_json::to_string(&why).unwrap().contains("s3cr3t"));
}

#[test]
fn only_and_except_are_told_by_their_parts() {
    let text = "kept:\n  script: ls\n  only: [main]\nout:\n  script: ls\n  except: {variables: [$CI_COMMIT_BRANCH]}\n";
    let case = Case::new(text).push("main", &[]);
    let why = told(&case);
    assert_eq!(why.jobs["kept"].decided_by, "only:refs");
    assert_eq!(why.absent["out"].decided_by, "except:variables");
    assert!(why.absent["out"].looked_at.last().unwrap().matched);
}

#[test]
fn a_need_that_rules_removed_has_help() {
    let text =
        "build:\n  script: ls\n  rules: [{if: $NIGHTLY}]\ntest: {script: ls, needs: [build]}\n";
    let case = Case::new(text).push("main", &[]);
    let compiled = case.compile().unwrap();
    let evaluated = compiled.evaluated.as_ref().unwrap();
    assert!(
        evaluated.errors[0]
            .message
            .starts_with("'test' job needs 'build' job")
    );
    assert_eq!(
        evaluated.errors[0].help.as_deref(),
        Some("`build` is not in this pipeline: no rule matched")
    );
    assert_eq!(compiled.why().absent["build"].decided_by, "no rule matched");
}

#[test]
fn a_why_is_small_whatever_the_rules() {
    let long = "x".repeat(300);
    let mut text = "job:\n  script: ls\n  rules:\n".to_owned();
    for number in 0..40 {
        text.push_str(&format!(
            "    - {{if: '$V{number} == \"{long}\" && $CI_COMMIT_BRANCH', changes: [{long}, b, c, d, e, f, g]}}\n"
        ));
    }
    text.push_str("    - when: manual\n");
    let case = Case::new(&text).push("main", &[]).changed(&["a"]);
    let why = told(&case);
    let job = &why.jobs["job"];
    assert!(serde_json::to_string(job).unwrap().len() <= why::MAX_BYTES);
    assert_eq!(job.decided_by, "rules[40]");
    assert_eq!(job.looked_at.last().unwrap().entry, "rules[40]");
    assert!(job.omitted > 0);
    assert_eq!(job.when.as_deref(), Some("manual"));
}

#[test]
fn secret_levels_are_those_of_ci_variables() {
    let secret = [
        Level::Instance,
        Level::Group,
        Level::Project,
        Level::Pipeline,
    ];
    assert!(secret.into_iter().all(Level::is_secret));
    let open = [
        Level::Predefined,
        Level::Root,
        Level::Workflow,
        Level::Job,
        Level::Rule,
    ];
    assert!(!open.into_iter().any(Level::is_secret));
}

#[test]
fn what_is_kept_is_read_again() {
    let case = Case::new(DEPLOY).push("main", &[("MODE", "project")]);
    let why = told(&case);
    let text = serde_json::to_string(&why).unwrap();
    let again: PipelineWhy = serde_json::from_str(&text).unwrap();
    assert_eq!(again.shown(true), why.shown(true));
    let early: PipelineWhy = serde_json::from_str("{}").unwrap();
    assert_eq!(early.shown_job("x", true), None::<Json>);
}

#[test]
fn what_has_no_effect_here_is_noted() {
    let text = "job:\n  script: ls\n  pages: true\n  environment: {name: a, kubernetes: {agent: b}}\n  parallel: 2\nplain: {script: ls, pages: false}\n";
    let compiled = Case::new(text).compile().unwrap();
    assert!(compiled.warnings.is_empty());
    let notes: Vec<String> = compiled.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "jobs:job pages has no effect: nothing is published: there is no Pages hosting here",
            "jobs:job environment:kubernetes has no effect: there is no cluster behind it",
        ]
    );
}
