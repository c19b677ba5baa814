//! Headers: definitions of inputs, values checked against them, and blocks in the body.

use footplate_ci::{Answer, Request};
use serde_json::json;

use crate::Case;

/// A file with these definitions and this script, included with these inputs.
fn included(definitions: &str, script: &str, given: &str) -> Case {
    Case::new(&format!("include: {{local: a.yml, inputs: {{{given}}}}}\n")).file(
        "a.yml",
        &format!("spec: {{inputs: {{{definitions}}}}}\n---\njob: {{script: {script}}}\n"),
    )
}

fn line(definitions: &str, script: &str, given: &str) -> String {
    let facts = included(definitions, script, given).facts("job");
    facts["script"][0].as_str().unwrap_or_default().to_owned()
}

fn error(definitions: &str, given: &str) -> String {
    let errors = included(definitions, "ls", given).errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0]
        .strip_prefix("`a.yml`: ")
        .unwrap_or_else(|| panic!("{errors:?}"))
        .to_owned()
}

#[test]
fn a_value_beats_the_default_and_null_is_no_value() {
    let definition = "name: {default: x}";
    assert_eq!(line(definition, "'$[[ inputs.name ]]'", ""), "x");
    assert_eq!(line(definition, "'$[[ inputs.name ]]'", "name: y"), "y");
    assert_eq!(line(definition, "'$[[ inputs.name ]]'", "name: null"), "x");
    assert_eq!(
        error("name: ", "name: null"),
        "`name` input: required value has not been provided"
    );
    assert_eq!(
        error("name: {default: null}", ""),
        "`name` input: default value is not a string"
    );
}

#[test]
fn inputs_that_nobody_defined_are_refused() {
    assert_eq!(
        error("name: ", "name: x, other: y, more: z"),
        "unknown input arguments: other, more"
    );
    let case = Case::new("include: {local: a.yml, inputs: {name: x}}\n")
        .file("a.yml", "job: {script: ls}\n");
    let (message, file, line, column) = case.fault();
    assert_eq!(
        message,
        "`a.yml`: Given inputs not defined in the `spec` section of the included configuration file"
    );
    assert_eq!((file.as_str(), line, column), (".gitlab-ci.yml", 1, 34));
    let case = Case::new("job: {script: ls}\n").input("name", "x");
    assert_eq!(
        case.errors(),
        ["Given inputs not defined in the `spec` section of the included configuration file"]
    );
}

#[test]
fn every_check_of_a_value_says_what_it_finds() {
    assert_eq!(
        error("n: {type: number, default: a, options: [1, 2]}", ""),
        "`n` input: default value is not a number, `n` input: `a` cannot be used because it is not in the list of the allowed options"
    );
    assert_eq!(
        error("n: {type: number, options: ['1']}", "n: 1"),
        "`n` input: `1` cannot be used because it is not in the list of the allowed options"
    );
    assert_eq!(
        error("n: {type: number}", "n: '1'"),
        "`n` input: provided value is not a number"
    );
    assert_eq!(
        error("n: {type: array}", "n: a"),
        "`n` input: provided value is not an array"
    );
    assert_eq!(
        error("n: {type: boolean, regex: a}", "n: true"),
        "`n` input: RegEx validation can only be used with string inputs"
    );
    assert_eq!(
        error("n: {type: boolean, options: [true]}", "n: true"),
        "`n` input: Options can only be used with string and number inputs"
    );
    assert_eq!(
        error("n: {regex: '^v\\d+$'}", "n: 'v'"),
        "`n` input: provided value does not match required RegEx pattern"
    );
    assert_eq!(
        error("n: {regex: '('}", "n: v"),
        "`n` input: invalid regular expression"
    );
    assert_eq!(
        line(
            "n: {type: number, options: [1, 2.5]}",
            "'n=$[[ inputs.n ]]'",
            "n: 2.5"
        ),
        "n=2.5"
    );
}

#[test]
fn at_most_three_errors_are_told() {
    assert_eq!(
        error("a: , b: , c: , d: ", ""),
        "`a` input: required value has not been provided, `b` input: required value has not been provided, `c` input: required value has not been provided"
    );
}

#[test]
fn a_wrong_value_stands_where_it_was_given() {
    let case = included("n: {type: number}", "ls", "n: word");
    let (_, file, line, column) = case.fault();
    assert_eq!((file.as_str(), line, column), (".gitlab-ci.yml", 1, 37));
}

#[test]
fn definitions_keep_to_their_form() {
    let at = "header:spec:inputs:n";
    assert_eq!(
        error("n: {defalt: x}", ""),
        format!("{at} config contains unknown keys: defalt")
    );
    let options: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    assert_eq!(
        error(&format!("n: {{options: [{}]}}", options.join(", ")), ""),
        format!("{at} config cannot define more than 50 options")
    );
    assert_eq!(
        error("n: {options: [a, null]}", "n: a"),
        format!("{at} config options array cannot contain null values")
    );
    assert_eq!(
        error("n: {options: a}", "n: a"),
        format!("{at} input options should be an array")
    );
    assert_eq!(
        error("n: {regex: 5}", "n: a"),
        format!("{at} input regex should be a string")
    );
    assert_eq!(
        error("n: {description: [a]}", "n: a"),
        format!("{at} input description must be an alphanumeric string")
    );
    assert_eq!(
        error("n: {rules: a}", "n: a"),
        format!("{at}:rules config should be an array")
    );
    assert_eq!(
        error("n: {type: text}", "n: a"),
        format!("{at} input type unknown value: text")
    );
    assert_eq!(
        error("n: 123", "n: a"),
        "unknown input specification for `n` (valid types: array, boolean, number, string)"
    );
    let header = |spec: &str| {
        Case::new(&format!("spec: {spec}\n---\njob: {{script: ls}}\n"))
            .errors()
            .join("; ")
    };
    assert_eq!(
        header("{input: {}}"),
        "header:spec config contains unknown keys: input"
    );
    assert_eq!(header("[a]"), "header:spec config should be a hash");
    assert_eq!(
        header("{inputs: [a]}"),
        "header:spec:inputs config should be a hash"
    );
    assert_eq!(
        header("{component: [name, owner]}"),
        "header:spec:component config contains unknown values: owner"
    );
    assert_eq!(header(""), "");
}

#[test]
fn rules_choose_options_and_default() {
    let rules = "kind: {default: cloud, options: [cloud, metal]}, size: {rules: [{if: '$[[ inputs.kind ]] == \"metal\"', options: [big, huge], default: big}, {if: '$CI_COMMIT_BRANCH == \"tiny\"', options: [dot], default: dot}, {options: [small, medium], default: small}]}";
    let script = "'$[[ inputs.size ]]'";
    assert_eq!(line(rules, script, ""), "small");
    assert_eq!(line(rules, script, "size: medium"), "medium");
    assert_eq!(line(rules, script, "kind: metal"), "big");
    assert_eq!(line(rules, script, "kind: metal, size: huge"), "huge");
    assert_eq!(
        error(rules, "kind: metal, size: small"),
        "`size` input: `small` cannot be used because it is not in the list of allowed options"
    );
    let case = included(rules, script, "").push("tiny", &[]);
    assert_eq!(case.facts("job")["script"], json!(["dot"]));
}

#[test]
fn rules_of_inputs_keep_to_their_form() {
    let at = "header:spec:inputs:n:rules:rule";
    for (rule, message) in [
        (
            "{options: [a]}",
            "rule must define 'options' with at least one value and a 'default'",
        ),
        (
            "{if: $A}",
            "rule must define 'options' with at least one value and a 'default'",
        ),
        (
            "{options: [a], default: b}",
            "default 'b' must be one of the options",
        ),
        (
            "{if: '$A ==', options: [a], default: a}",
            "if invalid expression syntax",
        ),
        ("{when: never}", "config contains unknown keys: when"),
        ("{}", "config can't be blank"),
        ("word", "config should be a hash"),
    ] {
        assert_eq!(
            error(&format!("n: {{rules: [{rule}]}}"), "n: a"),
            format!("{at} {message}"),
            "{rule}"
        );
    }
    assert_eq!(
        error("n: {default: a, rules: [{options: [a], default: a}]}", ""),
        "header:spec:inputs:n config these keys cannot be used together: rules, default"
    );
    // A rule may say that there is no value.
    assert_eq!(
        line(
            "n: {rules: [{options: [a], default: null}]}",
            "'[$[[ inputs.n ]]]'",
            ""
        ),
        "[]"
    );
    assert_eq!(
        error("n: {rules: [{if: $GONE, options: [a], default: a}]}", ""),
        "`n` input: required value has not been provided"
    );
}

#[test]
fn a_whole_scalar_keeps_the_type_of_its_block() {
    let body = "spec: {inputs: {list: {type: array}, flag: {type: boolean}, n: {type: number}}}\n---\njob:\n  script: $[[ inputs.list ]]\n  allow_failure: $[[inputs.flag]]\n  parallel: $[[ inputs.n ]]\n  variables: {ALL: 'x $[[ inputs.list ]] $[[ inputs.flag ]]$[[ inputs.n ]]'}\n";
    let case = Case::new("include: {local: a.yml, inputs: {list: [a, b], flag: true, n: 2}}\n")
        .file("a.yml", body);
    let facts = case.facts("job 1/2");
    assert_eq!(facts["script"], json!(["a", "b"]));
    assert_eq!(facts["allow_failure"], true);
    assert_eq!(facts["variables"]["ALL"], "x [\"a\", \"b\"] true2");
}

#[test]
fn a_value_is_not_read_again() {
    assert_eq!(
        line(
            "a: , b: {default: z}",
            "'$[[ inputs.a ]]'",
            "a: '$[[ inputs.b ]]'"
        ),
        "$[[ inputs.b ]]"
    );
}

#[test]
fn blocks_without_a_header_are_text() {
    let case = Case::new("job: {script: '$[[ inputs.a ]]'}\n");
    assert_eq!(case.facts("job")["script"], json!(["$[[ inputs.a ]]"]));
}

#[test]
fn blocks_of_matrix_and_job_inputs_stay() {
    let case = Case::new(
        "spec: {inputs: {}}\n---\njob: {script: 'echo $[[ matrix.OS ]] $[[ job.inputs.x ]]'}\n",
    );
    assert_eq!(
        case.facts("job")["script"],
        json!(["echo $[[ matrix.OS ]] $[[ job.inputs.x ]]"])
    );
}

#[test]
fn blocks_that_name_nothing_are_refused() {
    let block = |block: &str| {
        let errors = included("name: {default: x}", &format!("\"$[[ {block} ]]\""), "").errors();
        errors.join("; ").replace("`a.yml`: ", "")
    };
    assert_eq!(block("inputs.gone"), "unknown interpolation key: `gone`");
    assert_eq!(block("input.name"), "unknown interpolation key: `input`");
    assert_eq!(
        block("inputs.name.more"),
        "unknown interpolation key: `more`"
    );
    assert_eq!(block("inputs"), "invalid interpolation access pattern");
    assert_eq!(
        block(&format!("inputs.{}", "n".repeat(1020))),
        "maximum interpolation expression size exceeded"
    );
    assert_eq!(
        block("inputs.name | expand_vars | expand_vars | expand_vars | expand_vars"),
        "too many functions in interpolation block"
    );
    assert_eq!(
        block("inputs.name | upper | posix_escape()"),
        "no function matching `upper`: check that the function name, arguments, and types are correct, no function matching `posix_escape()`: check that the function name, arguments, and types are correct"
    );
    // One character between the brackets is no block, and neither is one that is not closed.
    assert_eq!(block("x"), "");
}

#[test]
fn a_bad_block_stands_where_it_is() {
    let case = Case::new("include: a.yml\n").file(
        "a.yml",
        "spec: {inputs: {}}\n---\njob:\n  script:\n    - ls\n    - echo $[[ inputs.gone ]]\n",
    );
    let (_, file, line, column) = case.fault();
    assert_eq!((file.as_str(), line, column), ("a.yml", 6, 12));
}

#[test]
fn functions_take_their_arguments_as_gitlab_reads_them() {
    let run = |call: &str, value: &str| {
        line(
            "v: ",
            &format!("\"$[[ inputs.v | {call} ]]\""),
            &format!("v: {value:?}"),
        )
    };
    assert_eq!(run("truncate(1,3)", "abcdef"), "bcd");
    assert_eq!(run("truncate( 1 , 3 )", "abcdef"), "bcd");
    assert_eq!(run("truncate(1,3", "abcdef"), "bcd");
    let beyond = included("v: ", "\"[$[[ inputs.v | truncate(9,3) ]]]\"", "v: äbc");
    assert_eq!(beyond.facts("job")["script"][0], "[]");
    assert_eq!(run("posix_escape", "a b'c"), "a\\ b\\'c");
    assert_eq!(run("split(',')", " a ,, b"), "a");
    assert_eq!(run("split(' ')", "a  b"), "a");
    let refused = |call: &str| {
        let case = included("v: ", &format!("\"$[[ inputs.v | {call} ]]\""), "v: x");
        case.errors().join("; ")
    };
    for call in [
        "truncate(-1,3)",
        "truncate(1)",
        "split()",
        "split(',",
        "split( ',' )",
    ] {
        assert!(refused(call).contains("no function matching"), "{call}");
    }
    assert_eq!(
        refused("split('')"),
        "`a.yml`: error in `split` function: invalid argument: separator cannot be empty"
    );
    assert_eq!(
        refused("split(',') | posix_escape"),
        "`a.yml`: error in `posix_escape` function: invalid input type: posix_escape can only be used with string inputs"
    );
}

#[test]
fn blocks_have_budgets() {
    use std::fmt::Write as _;
    let file = |count: usize| {
        let mut text = String::from("spec: {inputs: {v: {default: x}}}\n---\njob:\n  script:\n");
        for n in 0..count {
            let _ = writeln!(text, "    - $[[ inputs.v | truncate(0,{n}) ]]");
        }
        Case::new(&text)
    };
    assert_eq!(file(10_001).errors(), ["too many interpolation blocks"]);
    assert!(file(9_999).errors().is_empty());
    // A long value in many places is refused before it is there as often.
    let mut text = String::from("spec: {inputs: {v: }}\n---\njob:\n  script:\n");
    text.push_str(&"    - $[[ inputs.v ]]\n".repeat(1000));
    let case = Case::new(&text).input("v", "x".repeat(100_000));
    assert_eq!(case.errors(), ["The parsed YAML is too big"]);
    let case = Case::new("spec: {inputs: {v: }}\n---\njob: {script: '$[[ inputs.v ]]'}\n");
    assert!(case.input("v", "x".repeat(1000)).errors().is_empty());
    let long = format!(
        "spec: {{inputs: {{v: {{default: x}}}}}}\n---\njob: {{script: '{}'}}\n",
        "x".repeat((1 << 20) + 1)
    );
    assert_eq!(Case::new(&long).errors(), ["config node too large"]);
}

#[test]
fn headers_share_definitions() {
    let url = "https://example.com/more.yml";
    let case = Case::new(&format!(
        "spec:\n  include: [/defs.yml, {{remote: '{url}'}}]\n  inputs: {{own: {{default: c}}}}\n---\njob: {{script: '$[[ inputs.one ]]$[[ inputs.two ]]$[[ inputs.own ]]'}}\n"
    ))
    .file("defs.yml", "inputs: {one: {default: a}}\n")
    .answer(
        Request::Remote {
            url: url.to_owned(),
            cache_seconds: None,
        },
        Answer::Text("inputs: {two: }\n".to_owned()),
    )
    .input("two", "b");
    assert_eq!(case.facts("job")["script"], json!(["abc"]));
}

#[test]
fn definitions_of_an_included_file_come_from_where_that_file_lives() {
    let origin = footplate_ci::Origin {
        project: Some("g/p".to_owned()),
        git_ref: None,
    };
    let at = |path: &str| Request::File {
        origin: origin.clone(),
        path: path.to_owned(),
    };
    let case = Case::new("include: {project: g/p, file: a.yml, inputs: {one: x}}\n")
        .answer(
            at("a.yml"),
            Answer::Text(
                "spec: {include: [defs.yml]}\n---\njob: {script: '$[[ inputs.one ]]'}\n".to_owned(),
            ),
        )
        .answer(at("defs.yml"), Answer::Text("inputs: {one: }\n".to_owned()));
    assert_eq!(case.facts("job")["script"], json!(["x"]));
}

#[test]
fn a_name_is_defined_once() {
    let case = Case::new(
        "spec:\n  include: [a.yml, b.yml]\n  inputs: {two: , one: }\n---\njob: {script: ls}\n",
    )
    .file("a.yml", "inputs: {one: }\n")
    .file("b.yml", "inputs: {two: , three: }\n");
    assert_eq!(
        case.errors(),
        [
            "Duplicate input keys found: two, one. Input keys must be unique across all included files and inline specifications."
        ]
    );
}

#[test]
fn files_of_a_header_hold_only_inputs() {
    let case = |item: &str| {
        Case::new(&format!(
            "spec: {{include: [{item}]}}\n---\njob: {{script: ls}}\n"
        ))
        .file(
            "a.yml",
            "inputs: {one: {default: 1}}\njob: {script: ls}\nx: 1\n",
        )
        .errors()
        .join("; ")
    };
    assert_eq!(
        case("a.yml"),
        "Header include file `a.yml` contains unknown keys: [:job, :x]"
    );
    assert_eq!(case("gone.yml"), "Local file `gone.yml` does not exist!");
    assert_eq!(
        case("{template: Bash.gitlab-ci.yml}"),
        "header:spec:include config contains unknown keys: template"
    );
    assert_eq!(
        case("{file: a.yml}"),
        "`{\"file\":\"a.yml\"}` does not have a valid subkey for header include. Valid subkeys are: `local`, `remote`, `project`"
    );
    assert_eq!(case("5"), "Each include must be a hash or a string");
    assert_eq!(
        case("{local: a.yml, remote: 'https://example.com/a.yml'}"),
        "Each include must use only one of: `local`, `remote`, `project`"
    );
}
