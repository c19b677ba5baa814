//! What was probably meant, and the exact place of what is wrong.

use crate::{Case, Refused};

/// The place and the help of the first fault.
fn told(case: &Case) -> (u32, u32, Option<String>) {
    let Err(Refused { errors, .. }) = case.compile() else {
        panic!("no fault in {}", case.files[0].1)
    };
    let first = &errors[0];
    (first.span.line, first.span.column, first.help.clone())
}

/// A text with `»` before the word that a fault must stand at, and what was meant.
#[track_caller]
fn meant(text: &str, word: Option<&str>) {
    let (before, _) = text.split_once('»').expect("a mark");
    let line = before.matches('\n').count() + 1;
    let column = before.lines().last().map_or(0, |line| line.chars().count()) + 1;
    let column = if before.ends_with('\n') { 1 } else { column };
    let case = Case::new(&text.replace('»', ""));
    let (at_line, at_column, help) = told(&case);
    let place = (at_line as usize, at_column as usize);
    let help = help.as_deref();
    let expected = word.map(|word| format!("did you mean `{word}`?"));
    assert_eq!(
        (place, help),
        ((line, column), expected.as_deref()),
        "{text}"
    );
}

#[test]
fn a_stage_that_is_not_listed() {
    meant(
        "stages: [build, deploy]\nship:\n  stage: »depoly\n  script: x\n",
        Some("deploy"),
    );
    meant("»ship: {script: x}\nstages: [build]\n", None);
    meant(
        "stages: [build]\n.base: {stage: »biuld}\nship: {extends: .base, script: x}\n",
        Some("build"),
    );
}

#[test]
fn jobs_that_others_speak_of() {
    let build = "compile: {stage: build, script: x}\n";
    for (job, word) in [
        ("a: {script: x, needs: [»complie]}", Some("compile")),
        (
            "a: {script: x, needs: [compile, {job: »comple}]}",
            Some("compile"),
        ),
        ("a: {script: x, needs: [»nothing]}", None),
        (
            "a: {script: x, dependencies: [compile, »compil]}",
            Some("compile"),
        ),
        ("a: {script: x, needs: [compile, »compile]}", None),
        (
            "a: {script: x, environment: {name: e, on_stop: »Compile}}",
            Some("compile"),
        ),
        (
            "a: {script: x, environment: {name: e, on_stop: »compile}}",
            None,
        ),
        (
            "a: {script: x, needs: [compile], dependencies: [»b]}\nb: {stage: build, script: x}",
            None,
        ),
        (
            "a: {script: x, stage: build, needs: [»late]}\nlate: {script: x}",
            None,
        ),
    ] {
        meant(&format!("{build}{job}\n"), word);
    }
    // A job does not mean itself.
    meant("deploy-a: {script: x, needs: [»deploy-b]}\n", None);
}

#[test]
fn needs_of_rules_stand_at_their_rule() {
    meant(
        "compile: {stage: build, script: x}\na:\n  script: x\n  rules:\n    - »if: $A\n      needs: [complie]\n",
        Some("compile"),
    );
}

#[test]
fn bases_of_extends() {
    meant(
        ".defaults: {tags: [a]}\na: {script: x, extends: ».default}\n",
        Some(".defaults"),
    );
    meant(
        ".one: {tags: [a]}\n.two: {tags: [a]}\na: {script: x, extends: [.one, ».tow]}\n",
        Some(".two"),
    );
    meant(".one: text\na: {script: x, extends: ».one}\n", None);
}

#[test]
fn names_in_a_reference() {
    let base = ".setup: {script: [x], before_script: [y]}\n";
    for (path, word) in [
        ("[».setpu, script]", Some(".setup")),
        ("[.setup, »scripts]", Some("script")),
        ("[.setup, »image]", None),
    ] {
        meant(&format!("{base}a: {{script: !reference {path}}}\n"), word);
    }
}

#[test]
fn entries_of_the_root_that_are_no_jobs() {
    meant("»varaibles: {A: b}\na: {script: x}\n", Some("variables"));
    meant("»stage: [build]\na: {script: x}\n", Some("stages"));
    meant("a: {»scirpt: x}\n", Some("script"));
    meant("»a: {stage: test}\n", None);
}

#[test]
fn words_out_of_lists() {
    for (job, word) in [
        ("when: »manuel", Some("manual")),
        ("when: »never", None),
        ("artifacts: {paths: [x], when: »allways}", Some("always")),
        ("rules: [{if: $A, when: »alwasy}]", Some("always")),
        (
            "retry: {max: 1, when: [always, »script_failre]}",
            Some("script_failure"),
        ),
        (
            "retry: {max: 1, when: »script_failre}",
            Some("script_failure"),
        ),
        ("environment: {name: a, action: »stpo}", Some("stop")),
        (
            "environment: {name: a, deployment_tier: »prodution}",
            Some("production"),
        ),
        ("image: {name: a, pull_policy: [»allways]}", Some("always")),
        ("inherit: {default: [image, »service]}", Some("services")),
        ("only: {kubernetes: »activ}", Some("active")),
    ] {
        meant(&format!("a: {{script: x, {job}}}\n"), word);
    }
    meant(
        "b: {trigger: {project: a/b, strategy: »dpend}}\n",
        Some("depend"),
    );
}

#[test]
fn inputs_and_their_blocks() {
    let header = "spec: {inputs: {environment: {default: a}}}\n---\n";
    meant(
        &format!("{header}a: {{script: \"»$[[ inputs.enviroment ]]\"}}\n"),
        Some("environment"),
    );
    meant(
        &format!(
            "{header}a:\n  script: |\n    $[[ inputs.environment ]]\n    é »$[[ inputs.environmen ]]\n"
        ),
        Some("environment"),
    );
    meant(
        &format!("{header}a: {{script: \"»$[[ input.environment ]]\"}}\n"),
        Some("inputs"),
    );
    meant(
        "spec: {inputs: {a: {»defualt: b}}}\n---\na: {script: x}\n",
        Some("default"),
    );
    let given = Case::new(&format!("{header}a: {{script: x}}\n")).input("enviroment", "b");
    assert_eq!(
        told(&given).2.as_deref(),
        Some("did you mean `environment`?")
    );
    let file = "spec: {inputs: {environment: {default: a}}}\n---\na: {script: x}\n";
    let included = "include: {local: a.yml, inputs: {enviroment: b}}\n";
    let included = Case::new(included).file("a.yml", file);
    assert_eq!(
        told(&included),
        (1, 34, Some("did you mean `environment`?".to_owned()))
    );
}

#[test]
fn keys_beside_each_other_that_must_not_be() {
    meant(
        "a:\n  script: x\n  »only: [main]\n  rules: [{when: always}]\n",
        None,
    );
    meant("a: {run: [{name: a, script: x}], »script: x}\n", None);
    meant("a: {script: »[]}\n", None);
}

#[test]
fn a_warning_stands_at_the_rule_that_it_is_about() {
    let text = "a:\n  script: x\n  rules:\n    - if: $CI_COMMIT_TAG\n    - when: always\n";
    let compiled = Case::new(text).compile().expect("a sound configuration");
    let [warning] = &compiled.warnings[..] else {
        panic!("one warning: {:?}", compiled.warnings)
    };
    assert_eq!((warning.span.line, warning.span.column), (5, 7));
}
