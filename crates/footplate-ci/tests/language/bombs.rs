//! Bombs: small texts that would grow, and large ones. Each meets a budget and gets its message.

use footplate_ci::{Answer, Request};

use crate::Case;

fn refusal(text: &str) -> String {
    let errors = Case::new(text).push("main", &[]).errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn aliases_of_aliases_are_counted_each_time() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![alias; 10].join(", ")
        ));
    }
    assert_eq!(refusal(&text), "The parsed YAML is too big");
}

#[test]
fn merges_of_merges_are_counted_too() {
    let mut text = "a0: &a0 {k0: v, k1: v, k2: v, k3: v}\n".to_owned();
    for level in 1..20 {
        text.push_str(&format!(
            "a{level}: &a{level}\n  one: {{<<: *a{0}}}\n  two: {{<<: *a{0}}}\n  three: *a{0}\n",
            level - 1
        ));
    }
    assert_eq!(refusal(&text), "The parsed YAML is too big");
}

#[test]
fn depth_has_an_end() {
    let text = format!("job: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(refusal(&text), "The parsed YAML is too big");
    let text = format!("job: {}x{}\n", "{a: ".repeat(5_000), "}".repeat(5_000));
    assert_eq!(refusal(&text), "The parsed YAML is too big");
}

#[test]
fn large_texts_and_scalars_are_refused() {
    let text = format!("job:\n  script: {}\n", "x".repeat(10 << 20));
    assert!(refusal(&text).contains("too big"));
    let mut keys = String::from("job: {script: ls}\n");
    for number in 0..100_000 {
        keys.push_str(&format!(".k{number}: {{a: {number}}}\n"));
    }
    assert!(refusal(&keys).contains("too big"));
}

#[test]
fn includes_have_a_number() {
    let text = "include: a.yml\njob: {script: ls}\n";
    let errors = Case::new(text).file("a.yml", text).errors();
    assert_eq!(errors, ["Maximum of 150 nested includes are allowed!"]);
    let wide: String = (0..200).map(|_| "  - a.yml\n").collect();
    let errors = Case::new(&format!("include:\n{wide}"))
        .file("a.yml", "job: {script: ls}\n")
        .errors();
    assert_eq!(errors, ["Maximum of 150 nested includes are allowed!"]);
    // Files that include each other twice would be 2^150.
    let twice = "include: [a.yml, a.yml]\njob: {script: ls}\n";
    let errors = Case::new(twice).file("a.yml", twice).errors();
    assert_eq!(errors, ["Maximum of 150 nested includes are allowed!"]);
}

#[test]
fn extends_and_references_that_grow_meet_the_size_of_the_result() {
    let mut text = String::from(".a0: {variables: {X: y}, script: [a, b, c, d, e, f, g, h]}\n");
    for level in 1..10 {
        let reference = format!("!reference [.a{}, script]", level - 1);
        text.push_str(&format!(
            ".a{level}:\n  script: [{}]\n",
            vec![reference; 8].join(", ")
        ));
    }
    text.push_str("job:\n  script: [!reference [.a9, script]]\n");
    let errors = Case::new(&text).errors();
    assert!(!errors.is_empty());
}

#[test]
fn patterns_are_bounded() {
    let nested = format!("/{}a{}/", "(".repeat(300), "){1,50}".repeat(300));
    let text = format!("job:\n  script: ls\n  rules:\n    - if: $A =~ {nested}\n");
    assert!(refusal(&text).contains("invalid expression syntax"));
    let repeated = "/((((a{1,100}){1,100}){1,100}){1,100})/";
    let text = format!("job:\n  script: ls\n  coverage: '{repeated}'\n");
    assert!(refusal(&text).contains("regular expression"));
    let backtracking = "(a+)+$";
    let text =
        format!("job:\n  script: ls\n  rules:\n    - changes: {{regexp: '{backtracking}'}}\n");
    let path = format!("{}b", "a".repeat(5_000));
    let compiled = Case::new(&text)
        .push("main", &[])
        .changed(&[&path])
        .compile();
    assert!(compiled.is_ok());
}

#[test]
fn a_component_that_includes_itself_comes_to_an_end() {
    let request = Request::Template("x.gitlab-ci.yml".to_owned());
    let text = "include: {template: x.gitlab-ci.yml}\njob: {script: ls}\n";
    let errors = Case::new(text)
        .answer(request, Answer::Text(text.to_owned()))
        .errors();
    assert_eq!(errors, ["Maximum of 150 nested includes are allowed!"]);
}

#[test]
fn many_jobs_and_needs_are_bounded() {
    let values: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let list = values.join(", ");
    let text = format!(
        "job:\n  script: ls\n  parallel:\n    matrix: [{{A: [{list}], B: [{list}], C: [{list}], D: [{list}], E: [{list}]}}]\n"
    );
    let errors = Case::new(&text).errors();
    assert_eq!(
        errors,
        ["jobs:job:parallel:matrix config generates too many jobs (maximum is 200)"]
    );
}

#[test]
fn a_text_may_end_in_a_block_scalar_without_a_line_break() {
    // What Psych makes of each.
    for (text, line) in [
        ("a:\n  script: |\n    x", "x"),
        ("a:\n  script: |+\n    x", "x"),
        ("a:\n  script: |-\n    x", "x"),
        ("a:\n  script: >\n    x\n    y", "x y"),
        ("a:\n  script: |\n    x\n    ", "x\n"),
        ("a:\n  script: |+\n    x\n    ", "x\n"),
        ("\u{feff}a:\n  script: |+\n    x", "x"),
        ("a:\n  script: |\n    x\n", "x\n"),
        ("a:\n  script:\n    - |\n      x\n    - y # |", "x\n"),
    ] {
        let facts = Case::new(text).facts("a");
        assert_eq!(facts["script"][0], line, "{text:?}");
    }
    let errors = Case::new("a: \"b\" |\n  x").errors();
    assert_eq!(errors.len(), 1);
    let errors = Case::new("a: [x > y").errors();
    assert_eq!(
        errors,
        [
            "(<unknown>): did not find expected ',' or ']' while parsing a flow sequence at line 1 column 4"
        ]
    );
}

/// Variables of which each is twice the one before.
fn doubling() -> String {
    let mut text = "  variables:\n    V0: xxxxxxxx\n".to_owned();
    for number in 1..=60 {
        let below = number - 1;
        text.push_str(&format!("    V{number}: '$V{below}$V{below}'\n"));
    }
    text
}

/// The one fault of a pipeline whose rules look at changed and existing paths.
fn fault_of_rules(text: &str) -> String {
    let case = Case::new(text).push("main", &[]).changed(&["a"]);
    let errors = case.compile().unwrap().evaluated.unwrap().errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap().message
}

const TOO_LARGE: &str = "variables are too large when they are expanded: more than ";

#[test]
fn variables_that_double_each_other_are_refused() {
    let rules = "  rules: [{changes: [$V60]}, {when: always}]\n";
    let text = format!("job:\n  script: ls\n{rules}{}", doubling());
    let message = fault_of_rules(&text);
    assert!(
        message.starts_with(&format!("job: {TOO_LARGE}")),
        "{message}"
    );
}

/// A pattern that cannot be expanded would match nothing, and nobody would know why the job is not there.
#[test]
fn a_job_is_not_left_out_because_a_pattern_grows_too_large() {
    for rule in ["changes: [$V60]", "exists: [$V60]"] {
        let text = format!(
            "other: {{script: ls}}\njob:\n  script: ls\n  rules: [{{{rule}}}]\n{}",
            doubling()
        );
        let message = fault_of_rules(&text);
        assert!(
            message.starts_with(&format!("job: {TOO_LARGE}")),
            "{rule}: {message}"
        );
    }
}

#[test]
fn a_workflow_is_not_filtered_out_because_a_pattern_grows_too_large() {
    let variables = doubling().replace("\n  ", "\n");
    let text = format!(
        "workflow: {{rules: [{{changes: [$V60]}}]}}\njob: {{script: ls}}\n{}",
        variables.trim_start()
    );
    let message = fault_of_rules(&text);
    assert!(
        message.starts_with(&format!("workflow: {TOO_LARGE}")),
        "{message}"
    );
}

#[test]
fn a_file_is_not_left_out_because_a_pattern_grows_too_large() {
    let mut variables = vec![("V0".to_owned(), "xxxxxxxx".to_owned())];
    for number in 1..=60 {
        let below = number - 1;
        variables.push((format!("V{number}"), format!("$V{below}$V{below}")));
    }
    let given: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let text = "include: {local: /a.yml, rules: [{exists: [$V60]}]}\njob: {script: ls}\n";
    let errors = Case::new(text)
        .file("a.yml", "other: {script: ls}\n")
        .push("main", &given)
        .errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with(&format!("include:{TOO_LARGE}")),
        "{errors:?}"
    );
}

#[test]
fn a_text_may_end_in_the_middle_of_an_escape() {
    assert_eq!(
        Case::new("a: \"x\\").errors(),
        [
            "(<unknown>): found unknown escape character while parsing a quoted scalar at line 1 column 4"
        ]
    );
    // Outside of double quotes it is a character like any other.
    assert_eq!(
        Case::new("a:\n  script: x\\").facts("a")["script"][0],
        "x\\"
    );
}
