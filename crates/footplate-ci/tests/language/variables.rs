//! Root keywords: variables in all their forms, stages, the workflow, references and extends.

use serde_json::json;

use crate::Case;

fn errors(text: &str) -> Vec<String> {
    Case::new(&format!("{text}\njob: {{script: ls}}\n")).errors()
}

#[test]
fn a_variable_is_a_scalar_or_says_more() {
    let case = Case::new(
        "variables:\n  TEXT: a\n  NUMBER: 1\n  FLAG: true\n  NOTHING: ''\n  MORE: {value: b, description: why, expand: false, options: [a, b]}\n  EMPTY: {description: why}\n  NULLS: {value: null, description: null, expand: null, options: null}\njob: {script: ls}\n",
    );
    let compiled = case.compile().unwrap();
    let values = footplate_ci::keywords::variables::to_json(&compiled.config.variables);
    assert_eq!(
        values,
        json!({"TEXT": "a", "NUMBER": "1", "FLAG": "true", "NOTHING": "", "MORE": {"value": "b", "raw": true}, "EMPTY": "", "NULLS": ""})
    );
    for value in ["", "[a]", "null"] {
        assert_eq!(
            errors(&format!("variables: {{VAR: {value}}}")),
            ["variables:var config variable definition must be either a string or a hash"]
        );
    }
}

#[test]
fn what_a_variable_says_is_checked_key_by_key() {
    let at = "variables:var config";
    for (more, message) in [
        (
            "unknown: 1, other: 2",
            "uses invalid data keys: unknown, other",
        ),
        ("value: [a]", "value must be a scalar"),
        (
            "description: [a]",
            "description must be an alphanumeric string",
        ),
        ("expand: maybe", "expand should be a boolean value"),
        ("options: a", "options should be an array of strings"),
        ("options: [1, 2]", "options should be an array of strings"),
        (
            "value: c, options: [a, b]",
            "value must be present in options",
        ),
        ("options: [a, b]", "value must be present in options"),
        (
            "value: 1, options: ['1']",
            "value must be present in options",
        ),
    ] {
        assert_eq!(
            errors(&format!("variables: {{VAR: {{{more}}}}}")),
            [format!("{at} {message}")],
            "{more}"
        );
    }
    // A list without entries asks for nothing.
    assert!(errors("variables: {VAR: {value: a, options: []}}").is_empty());
    // Two faults of one variable are two messages.
    assert_eq!(
        errors("variables: {VAR: {value: [a], description: [b]}}").len(),
        2
    );
}

#[test]
fn stages_are_taken_as_they_are() {
    let stages = |text: &str| {
        let case = Case::new(&format!("stages: {text}\njob: {{script: ls, stage: a}}\n"));
        case.compile().unwrap().config.stages.join(" ")
    };
    assert_eq!(stages("[a]"), ".pre a .post");
    assert_eq!(stages("[.post, a, [b, [c]], .pre]"), ".pre a b c .post");
    assert_eq!(stages("[a, a]"), ".pre a a .post");
    assert_eq!(
        errors("stages: []"),
        ["job job: chosen stage test does not exist; available stages are "]
    );
}

#[test]
fn words_of_auto_cancel_are_texts() {
    assert_eq!(
        errors("workflow: {auto_cancel: {on_new_commit: 1, on_job_failure: some}}"),
        [
            "workflow:auto_cancel on new commit should be a string",
            "workflow:auto_cancel on new commit must be one of: conservative, interruptible, none",
            "workflow:auto_cancel on job failure must be one of: none, all",
        ]
    );
}

#[test]
fn the_tag_that_closes_a_circle_is_named() {
    let case = Case::new(
        "job:\n  script: !reference [.a, script]\n.a:\n  script:\n    - !reference [.b, script]\n.b:\n  script:\n    - !reference [.a, script]\n",
    );
    let (message, _, line, _) = case.fault();
    assert_eq!(
        message,
        "!reference [\".b\", \"script\"] is part of a circular chain"
    );
    assert_eq!(line, 5);
}

#[test]
fn a_reference_to_nothing_is_not_found() {
    for target in ["null", "", "~"] {
        let case = Case::new(&format!(
            ".a: {{tags: {target}}}\njob: {{script: ls, tags: !reference [.a, tags]}}\n"
        ));
        assert_eq!(
            case.errors(),
            ["!reference [\".a\", \"tags\"] could not be found"]
        );
    }
}

#[test]
fn a_reference_brings_its_place_from_another_file() {
    let case = Case::new("include: a.yml\njob: {script: !reference [.lines, script]}\n")
        .file("a.yml", ".lines:\n  script:\n    - {a: b}\n");
    let (message, file, line, _) = case.fault();
    assert_eq!(
        message,
        "jobs:job:script config should be a string or a nested array of strings up to 10 levels deep"
    );
    assert_eq!((file.as_str(), line), ("a.yml", 3));
}

#[test]
fn a_chain_of_extends_is_as_deep_wherever_its_parts_stand() {
    let chain = |length: usize, backwards: bool| {
        let mut parts: Vec<String> = (1..=length)
            .map(|n| format!(".b{n}: {{extends: .b{}}}\n", n - 1))
            .collect();
        if backwards {
            parts.reverse();
        }
        Case::new(&format!(
            ".b0: {{script: ls}}\n{}job: {{extends: .b{length}}}\n",
            parts.concat()
        ))
        .errors()
    };
    for backwards in [false, true] {
        assert!(chain(10, backwards).is_empty());
        let errors = chain(11, backwards);
        assert!(
            errors[0].ends_with("nesting too deep in `extends`"),
            "{errors:?}"
        );
    }
}
