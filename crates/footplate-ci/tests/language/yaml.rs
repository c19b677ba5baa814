//! YAML: documents, guards, keys, and the places of faults.

use std::fmt::Write as _;

use footplate_ci::yaml::Limits;
use serde_json::json;

use crate::Case;

#[test]
fn a_header_is_a_first_document_with_spec() {
    // Without `spec` the first document is the configuration, and the second nothing.
    let case = Case::new("job: {script: one}\n---\nother: {script: two}\n");
    let compiled = case.compile().unwrap();
    assert_eq!(compiled.config.jobs.len(), 1);
    assert_eq!(case.facts("job")["script"], json!(["one"]));
    // A divider at the beginning divides nothing.
    let case = Case::new(
        "---\nspec: {inputs: {a: {default: x}}}\n---\njob: {script: '$[[ inputs.a ]]'}\n",
    );
    assert_eq!(case.facts("job")["script"], json!(["x"]));
}

#[test]
fn more_than_two_documents_are_refused() {
    let error = ["The parsed YAML has too many documents"];
    assert_eq!(
        Case::new("a: {script: a}\n---\nb: {script: b}\n---\nc: {script: c}\n").errors(),
        error
    );
    let case = Case::new("include: a.yml\n").file("a.yml", "a: 1\n---\nb: 1\n---\nc: 1\n");
    assert_eq!(
        case.errors(),
        ["`a.yml`: The parsed YAML has too many documents"]
    );
    // Documents with nothing in them are not counted.
    let case =
        Case::new("# only a word about it\n---\nspec: {inputs: {}}\n---\njob: {script: a}\n");
    assert!(case.errors().is_empty());
}

#[test]
fn places_are_those_of_the_whole_file() {
    let case =
        Case::new("spec: {inputs: {}}\n---\n\n# a word\njob:\n  script: ls\n  when: often\n");
    let (_, _, line, column) = case.fault();
    assert_eq!((line, column), (7, 9));
    let case = Case::new("spec: {inputs: {}}\n--- {job: {script: ls, when: often}}\n");
    let (_, _, line, column) = case.fault();
    assert_eq!((line, column), (2, 30));
}

#[test]
fn a_byte_order_mark_is_dropped() {
    let case = Case::new(
        "\u{feff}spec: {inputs: {a: {default: x}}}\n---\njob: {script: '$[[ inputs.a ]]'}\n",
    );
    assert_eq!(case.facts("job")["script"], json!(["x"]));
    let case = Case::new("include: a.yml\n").file("a.yml", "\u{feff}job: {script: ls}\n");
    assert!(case.errors().is_empty());
}

#[test]
fn a_key_that_stands_twice_is_told_of() {
    let case = Case::new("job:\n  script: one\n  stage: build\n  script: two\n");
    let compiled = case.compile().unwrap();
    assert_eq!(case.facts("job")["script"], json!(["two"]));
    let [warning] = compiled.warnings.as_slice() else {
        panic!("{:?}", compiled.warnings)
    };
    assert_eq!(
        warning.message,
        "duplicate key `script`: this value replaces the one of line 2"
    );
    assert_eq!((warning.span.line, warning.span.column), (4, 3));
    // In an included file as well.
    let case = Case::new("include: a.yml\n").file("a.yml", "job: {script: a}\njob: {script: b}\n");
    let compiled = case.compile().unwrap();
    assert_eq!(compiled.warnings.len(), 1);
    assert_eq!(compiled.warnings[0].span.file, 1);
}

#[test]
fn a_merged_key_may_be_written_again() {
    let case = Case::new(
        ".a: &a {script: one, stage: build}\n.b: &b {script: two}\njob:\n  <<: [*a, *b]\n  script: three\nother:\n  <<: *a\n  <<: *b\n",
    );
    let compiled = case.compile().unwrap();
    assert_eq!(compiled.warnings, []);
    assert_eq!(case.facts("job")["script"], json!(["three"]));
    assert_eq!(case.facts("job")["stage"], "build");
    // Written twice behind the merge it is a duplicate all the same.
    let case = Case::new(".a: &a {script: one}\njob:\n  <<: *a\n  script: two\n  script: three\n");
    assert_eq!(case.compile().unwrap().warnings.len(), 1);
}

#[test]
fn bombs_stop_early() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..60 {
        let inner = vec![format!("*a{}", n - 1); 9].join(", ");
        let _ = writeln!(bomb, "a{n}: &a{n} [{inner}]");
    }
    let error = ["The parsed YAML is too big"];
    assert_eq!(Case::new(&bomb).errors(), error);
    // Of mappings that are merged, too.
    let mut bomb = String::from("a0: &a0 {k0: x, l0: x}\n");
    for n in 1..60 {
        let _ = writeln!(bomb, "a{n}: &a{n} {{k: *a{0}, l: *a{0}, <<: *a{0}}}", n - 1);
    }
    assert_eq!(Case::new(&bomb).errors(), error);
    assert_eq!(Case::new("a: &a [*a]\n").errors(), error);
    let deep = format!("a: {}{}\n", "[".repeat(101), "]".repeat(101));
    assert_eq!(Case::new(&deep).errors(), error);
    // A long text counts each time that an alias brings it in.
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), "*a, ".repeat(3000));
    assert_eq!(Case::new(&long).errors(), error);
}

#[test]
fn a_text_that_is_too_long_is_not_parsed() {
    let bytes = Limits::default().bytes;
    let case = Case::new(&"a".repeat(bytes + 1));
    assert_eq!(case.errors(), ["The provided YAML is too big"]);
    let case = Case::new("include: a.yml\n").file("a.yml", &"a".repeat(bytes + 1));
    assert_eq!(case.errors(), ["`a.yml`: The provided YAML is too big"]);
}

#[test]
fn references_and_extends_are_no_way_around_the_guards() {
    let mut bomb = String::from(".a0: [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..=9 {
        let _ = writeln!(
            bomb,
            ".a{n}: [{}]",
            vec![format!("!reference [.a{}]", n - 1); 10].join(", ")
        );
    }
    bomb.push_str("job: {script: !reference [.a9]}\n");
    assert_eq!(Case::new(&bomb).errors(), ["The parsed YAML is too big"]);
    let mut wide = String::from(".base:\n  script:\n");
    wide.push_str(&"    - a\n".repeat(10_000));
    for n in 0..10_000 {
        let _ = writeln!(wide, "j{n}: {{extends: .base}}");
    }
    assert_eq!(Case::new(&wide).errors(), ["The parsed YAML is too big"]);
}

#[test]
fn symbols_and_numbers_as_keys() {
    let case = Case::new(":job:\n  :script: ls\n  stage: :build\n");
    assert_eq!(case.facts("job")["stage"], "build");
    assert_eq!(
        Case::new("10: {script: ls}\n").errors(),
        ["jobs:10 name should be a symbol"]
    );
}

#[test]
fn a_root_that_is_no_mapping_is_no_configuration() {
    for text in ["word", "- a", "5", "# nothing", "{}", "null"] {
        assert_eq!(
            Case::new(text).errors(),
            ["Invalid configuration format"],
            "{text}"
        );
    }
    for text in ["", "  \n\t"] {
        assert_eq!(
            Case::new(text).errors(),
            ["Please provide content of .gitlab-ci.yml"]
        );
    }
    assert_eq!(Case::new("a: *gone\n").errors(), ["Unknown alias: gone"]);
}
