//! Properties: the compiler is deterministic, never panics, and a why names one deciding entry for every job.

use std::collections::BTreeSet;

use footplate_ci::{Compiled, Origin, Request, extends, yaml};
use proptest::{prelude::*, sample::select};

use crate::Case;

const EXPRESSIONS: [&str; 9] = [
    "$CI_COMMIT_BRANCH",
    "$CI_COMMIT_BRANCH == \"main\"",
    "$UNDEFINED",
    "$MODE =~ /^ro/",
    "$MODE != \"root\" || $CI_PIPELINE_SOURCE == \"push\"",
    "$CI_COMMIT_TAG && $MODE",
    "null == $UNDEFINED",
    "$EMPTY",
    "(\"a\" == \"b\") || $CI_COMMIT_BRANCH =~ $MODE",
];

fn rule() -> impl Strategy<Value = String> {
    let condition = proptest::option::of(select(&EXPRESSIONS[..]));
    let changes = proptest::option::of(select(&["src/**/*", "*.md", "docs/*"][..]));
    let exists = proptest::option::of(select(&["Cargo.toml", "**/*.yml", "missing"][..]));
    let when = select(&["on_success", "never", "always", "manual", "on_failure"][..]);
    (condition, changes, exists, when).prop_map(|(condition, changes, exists, when)| {
        let mut text = format!("      - when: {when}\n");
        if let Some(condition) = condition {
            text.push_str(&format!("        if: '{condition}'\n"));
        }
        if let Some(glob) = changes {
            text.push_str(&format!("        changes: ['{glob}']\n"));
        }
        if let Some(glob) = exists {
            text.push_str(&format!("        exists: ['{glob}']\n"));
        }
        text
    })
}

fn conditions() -> impl Strategy<Value = String> {
    let rules = proptest::collection::vec(rule(), 0..4).prop_map(|rules| {
        if rules.is_empty() {
            "    rules: []\n".to_owned()
        } else {
            format!("    rules:\n{}", rules.concat())
        }
    });
    let refs = select(&["main", "branches", "tags", "/^ma/", "merge_requests", "web"][..]);
    let word = select(&["only", "except"][..]);
    let policy = (word, refs, select(&EXPRESSIONS[..])).prop_map(|(word, refs, condition)| {
        format!("    {word}:\n      refs: ['{refs}']\n      variables: ['{condition}']\n")
    });
    prop_oneof![Just(String::new()), rules, policy]
}

/// A configuration that is valid, with jobs that have conditions of every kind.
fn configuration() -> impl Strategy<Value = String> {
    let workflow = proptest::option::of(proptest::collection::vec(
        select(&EXPRESSIONS[..]).prop_map(|condition| format!("      - if: '{condition}'\n")),
        1..3,
    ));
    let parallel = proptest::option::of(select(&["2", "{matrix: [{A: [x, y], B: z}]}"][..]));
    let job = (conditions(), parallel, any::<bool>());
    (workflow, proptest::collection::vec(job, 1..6)).prop_map(|(workflow, jobs)| {
        let mut text = "variables: {MODE: root, EMPTY: ''}\n".to_owned();
        if let Some(rules) = workflow {
            text.push_str(&format!("workflow:\n    rules:\n{}", rules.concat()));
        }
        for (number, (conditions, parallel, manual)) in jobs.into_iter().enumerate() {
            text.push_str(&format!("job{number}:\n    script: ls\n{conditions}"));
            if let Some(parallel) = parallel {
                text.push_str(&format!("    parallel: {parallel}\n"));
            }
            if manual {
                text.push_str("    variables: {MODE: job}\n");
            }
        }
        text
    })
}

/// Each job of the configuration is told once, with an entry that decided and stands where it says.
fn one_deciding_entry(text: &str, compiled: &Compiled) -> Result<(), TestCaseError> {
    let evaluated = compiled.evaluated.as_ref().expect("a pipeline");
    let why = compiled.why();
    if let Some(workflow) = &why.workflow {
        prop_assert!(!workflow.decided_by.is_empty());
    }
    if evaluated.outcome == footplate_ci::Outcome::Filtered {
        return Ok(());
    }
    let all: BTreeSet<&String> = compiled.instances.iter().map(|job| &job.name).collect();
    let told: BTreeSet<&String> = why.jobs.keys().chain(why.absent.keys()).collect();
    prop_assert_eq!(all.len(), why.jobs.len() + why.absent.len());
    prop_assert_eq!(all, told);
    let lines = u32::try_from(text.lines().count()).unwrap();
    for (present, name, why) in why
        .jobs
        .iter()
        .map(|(name, why)| (true, name, why))
        .chain(why.absent.iter().map(|(name, why)| (false, name, why)))
    {
        prop_assert!(!why.decided_by.is_empty(), "{name}");
        prop_assert!((1..=lines).contains(&why.line), "{name}: line {}", why.line);
        let deciding = |entry: &&footplate_ci::why::Looked| entry.entry == why.decided_by;
        let count = why.looked_at.iter().filter(deciding).count();
        let default = why.decided_by.ends_with("(default)");
        let named = why.decided_by.starts_with("rules[")
            || why.decided_by.starts_with("only:")
            || why.decided_by.starts_with("except:");
        prop_assert_eq!(
            count,
            usize::from(named && !default),
            "{}: {}",
            name,
            why.decided_by
        );
        if why.decided_by.starts_with("rules[") {
            // The first that matches decides, and it is the last that was looked at.
            prop_assert!(why.looked_at.last().is_some_and(|last| last.matched));
            let matched = why.looked_at.iter().filter(|entry| entry.matched).count();
            prop_assert_eq!(matched, 1);
            prop_assert_eq!(present, why.when.as_deref() != Some("never"));
        }
        prop_assert!(serde_json::to_string(why).unwrap().len() <= footplate_ci::why::MAX_BYTES);
    }
    Ok(())
}

/// Some YAML that has the shape of a configuration, and little sense.
fn nonsense() -> impl Strategy<Value = String> {
    const KEYS: [&str; 40] = [
        "job",
        ".hidden",
        "stages",
        "variables",
        "workflow",
        "default",
        "include",
        "image",
        "services",
        "cache",
        "before_script",
        "script",
        "stage",
        "rules",
        "only",
        "except",
        "needs",
        "dependencies",
        "parallel",
        "matrix",
        "artifacts",
        "paths",
        "reports",
        "retry",
        "timeout",
        "trigger",
        "environment",
        "name",
        "when",
        "allow_failure",
        "exit_codes",
        "extends",
        "if",
        "changes",
        "exists",
        "local",
        "project",
        "key",
        "files",
        "inputs",
    ];
    const VALUES: [&str; 16] = [
        "job",
        ".hidden",
        "test",
        "true",
        "~",
        "1",
        "-3.5",
        "[]",
        "{}",
        "':a'",
        "'$A'",
        "!reference [.hidden, script]",
        "'/x('",
        "1 day",
        "manual",
        "'$[[ inputs.x ]]'",
    ];
    let leaf = select(&VALUES[..]).prop_map(str::to_owned);
    let node = leaf.prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec((select(&KEYS[..]), inner), 0..5).prop_map(|pairs| {
                let pairs: Vec<String> = pairs
                    .into_iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    });
    proptest::collection::vec((select(&KEYS[..]), node), 1..6).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(key, value)| format!("{key}: {value}\n"))
            .collect()
    })
}

/// The same text twice gives the same answer, whatever it is.
fn same_twice(text: &str) {
    let case = Case::new(text)
        .file("a.yml", "a: {script: ls}\n")
        .push("main", &[("A", "x")]);
    let answer = |case: &Case| match case.compile() {
        Ok(compiled) => format!(
            "{}\n{:?}",
            footplate_ci::lint::report(&compiled, case.context.as_ref(), true),
            compiled.warnings
        ),
        Err(refused) => {
            assert!(!refused.errors.is_empty(), "refused without a message");
            format!("{:?} {:?}", refused.errors, refused.warnings)
        }
    };
    assert_eq!(answer(&case), answer(&case));
}

proptest! {
    // 256 cases each; `PROPTEST_CASES` for more.
    #[test]
    fn a_why_names_one_deciding_entry_for_every_job(text in configuration()) {
        let case = Case::new(&text)
            .file("Cargo.toml", "x")
            .push("main", &[])
            .changed(&["src/a/b.rs", "x.md"]);
        match case.compile() {
            Ok(compiled) => one_deciding_entry(&text, &compiled)?,
            Err(refused) => prop_assert!(false, "{:?}\n{}", refused.errors, text),
        }
    }

    /// What a step remembers of the one before is what it would find again.
    #[test]
    fn answers_in_rounds_are_as_good_as_answers_beforehand(text in configuration()) {
        let case = Case::new(&text)
            .file("Cargo.toml", "x")
            .push("main", &[])
            .changed(&["src/a/b.rs", "x.md"]);
        let shown = |before: &[Request]| {
            let compiled = case.compile_told(before).expect("a configuration without faults");
            let report = footplate_ci::lint::report(&compiled, case.context.as_ref(), true);
            (report.to_string(), compiled.why(), format!("{:?}", compiled.warnings))
        };
        let all = [Request::Paths(Origin::default()), Request::Changes(None)];
        let in_rounds = shown(&[]);
        prop_assert_eq!(&in_rounds, &shown(&all[..1]));
        prop_assert_eq!(&in_rounds, &shown(&all[1..]));
        prop_assert_eq!(&in_rounds, &shown(&all));
    }

    #[test]
    fn arbitrary_bytes_are_compiled_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        same_twice(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_text_is_compiled_or_refused(text in "[a-z:\\-\\[\\]{}&*!|>'\"#%@`$ \n\t]{0,200}") {
        same_twice(&text);
    }

    #[test]
    fn arbitrary_yaml_is_compiled_or_refused(text in nonsense()) {
        same_twice(&text);
    }

    #[test]
    fn extends_twice_is_extends_once(text in nonsense()) {
        let Ok(node) = yaml::load(text.as_bytes(), 0, yaml::Limits::default()) else {
            return Ok(());
        };
        let Some(map) = node.as_map() else { return Ok(()) };
        if let Ok(once) = extends::resolve(map.clone()) {
            let twice = extends::resolve(once.clone()).expect("what was resolved resolves");
            prop_assert_eq!(format!("{once:?}"), format!("{twice:?}"));
        }
    }
}
