//! `footplate lint`: the cases of `conformance/ci-compile` through the command line, and its exit codes.

#[path = "../../footplate-ci/tests/conformance/harness.rs"]
mod harness;

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use footplate_ci::yaml::{Limits, load};
use harness::{Verdicts, folder, to_json};
use serde_json::{Value as Json, json};

fn lint(folder: &Path, arguments: &[String]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_footplate"))
        .arg("lint")
        .arg(folder.join(".gitlab-ci.yml"))
        .args(arguments)
        .env_remove("FOOTPLATE_TEMPLATES")
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The flags that say what a case's context says; `None` where no flag can.
fn flags(case: &Json) -> Option<Vec<String>> {
    let mut flags = vec!["--json".to_owned()];
    let Some(context) = case.get("context").filter(|context| !context.is_null()) else {
        return Some(flags);
    };
    let mut add = |name: &str, value: String| flags.extend([name.to_owned(), value]);
    add(
        "--source",
        text(context.get("source").unwrap_or(&json!("push"))),
    );
    for (key, name) in [("ref", "--ref"), ("project", "--project")] {
        match context.get(key) {
            Some(Json::Null) => return None,
            Some(value) => add(name, text(value)),
            None => {}
        }
    }
    for (key, name) in [("changed", "--changed"), ("exists", "--exists")] {
        let paths = context[key].as_array();
        if key == "changed" && paths.is_some_and(Vec::is_empty) {
            return None;
        }
        for path in paths.into_iter().flatten() {
            add(name, text(path));
        }
    }
    for (key, name) in [("variables", "--variable"), ("inputs", "--input")] {
        for (key, value) in context[key].as_object().into_iter().flatten() {
            add(name, format!("{key}={}", text(value)));
        }
    }
    if context["tag"] == json!(true) {
        flags.push("--tag".to_owned());
    }
    if context["child_pipeline"] == json!(true) {
        flags.push("--child".to_owned());
    }
    Some(flags)
}

fn set(list: &Json) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

fn differences(expect: &Json, got: &Json, code: i32) -> Option<String> {
    let failed = expect["pipeline"] == json!("error");
    let valid = expect["valid"] == json!(true) && !failed;
    if got["valid"] != json!(valid) || (code == 0) != valid {
        return Some(format!(
            "valid: {}, exit {code}: {}",
            got["valid"], got["errors"]
        ));
    }
    if expect.get("errors").is_some() && set(&expect["errors"]) != set(&got["errors"]) {
        return Some(format!("errors: {}", got["errors"]));
    }
    if failed {
        return (set(&expect["pipeline_errors"]) != set(&got["errors"]))
            .then(|| format!("errors: {}", got["errors"]));
    }
    for key in ["stages", "pipeline"] {
        if expect.get(key).is_some_and(|value| *value != got[key]) {
            return Some(format!("{key}: {}", got[key]));
        }
    }
    let names: BTreeSet<String> = got["jobs"].as_object()?.keys().cloned().collect();
    if expect.get("job_names").is_some() && set(&expect["job_names"]) != names {
        return Some(format!("jobs: {names:?}"));
    }
    let absent = set(&expect["absent_jobs"]);
    let gone = got["absent_jobs"].as_object()?;
    if got["pipeline"] == "created"
        && let Some(name) = absent.iter().find(|name| !gone.contains_key(*name))
    {
        return Some(format!("{name} is not said to be absent"));
    }
    let wanted = expect["jobs"].as_object();
    wanted.into_iter().flatten().find_map(|(name, facts)| {
        facts.as_object()?.iter().find_map(|(fact, value)| {
            let own = &got["jobs"][name][fact];
            let scalar = value.is_string() || value.is_number() || value.is_boolean();
            (scalar && own != value).then(|| format!("{name}: {fact}: {own}"))
        })
    })
}

#[test]
fn the_cases_of_the_compiler() {
    let Some(root) = folder("ci-compile") else {
        return;
    };
    let mut verdicts = Verdicts::default();
    let (mut seen, mut beyond) = (0, Vec::new());
    let mut files: Vec<_> = fs::read_dir(root)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "yml"))
    {
        let name = file.file_stem().unwrap().to_string_lossy();
        let tree = load(
            &fs::read(file).unwrap(),
            0,
            Limits {
                bytes: 64 << 20,
                ..Limits::default()
            },
        )
        .unwrap();
        for case in to_json(&tree).as_array().unwrap() {
            let Some(given) = case["files"].as_object() else {
                continue;
            };
            let name = format!("{name}: {}", text(&case["name"]));
            let Some(flags) = flags(case) else {
                beyond.push(name);
                continue;
            };
            seen += 1;
            let place = tempfile::tempdir().unwrap();
            for (path, content) in given {
                let path = place.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content.as_str().unwrap_or_default()).unwrap();
            }
            let (code, out, errors) = lint(place.path(), &flags);
            let outcome = match serde_json::from_str::<Json>(&out) {
                Ok(got) => differences(&case["expect"], &got, code),
                Err(_) => Some(format!("exit {code}: {out}{errors}")),
            };
            verdicts.add(name, outcome);
        }
    }
    assert!(seen > 0, "no case was seen");
    println!("{} cases are beyond the flags: {beyond:?}", beyond.len());
    verdicts.judge("lint");
}

#[test]
fn faults_and_warnings_are_shown_where_they_stand() {
    let place = tempfile::tempdir().unwrap();
    let shown = |text: &str| {
        fs::write(place.path().join(".gitlab-ci.yml"), text).unwrap();
        let folder = format!("{}/", place.path().display());
        lint(place.path(), &[]).1.replace(&folder, "")
    };
    let wrong = shown("stages: [build, deploy]\nship:\n  stage: depoly\n  script: ./ship\n");
    let expected = "\
error: ship job: chosen stage depoly does not exist; available stages are .pre, build, deploy, .post
 --> .gitlab-ci.yml:3:10
  |
3 |   stage: depoly
  |          ^^^^^^
  |
  = help: did you mean `deploy`?
";
    assert_eq!(wrong, expected);
    let warned = shown("build:\n  script: make\n  rules:\n    - when: always\n");
    let (warning, rest) = warned.split_once('\n').unwrap();
    assert!(
        warning.starts_with("warning: jobs:build may allow multiple pipelines"),
        "{warned}"
    );
    let expected = " --> .gitlab-ci.yml:4:7
  |
4 |     - when: always
  |       ^^^^
test
  build                          on_success
the configuration is valid
";
    assert_eq!(rest, expected);
}

#[test]
fn exit_codes_and_words() {
    let place = tempfile::tempdir().unwrap();
    let write = |text: &[u8]| fs::write(place.path().join(".gitlab-ci.yml"), text).unwrap();
    let (code, _, errors) = lint(place.path(), &[]);
    assert_eq!(code, 2, "{errors}");
    write(b"build:\n  script: [make]\n  rules: [{if: $CI_COMMIT_TAG}]\ntest: {script: [t]}\n");
    let (code, out, _) = lint(place.path(), &[]);
    assert_eq!(code, 0);
    assert!(
        out.contains("build") && out.contains("the configuration is valid"),
        "{out}"
    );
    let (code, out, _) = lint(place.path(), &["--ref".to_owned(), "main".to_owned()]);
    assert_eq!(code, 0);
    assert!(out.contains("not in the pipeline\n  build"), "{out}");
    write(b"build:\n  stage: nowhere\n  script: [make]\n");
    let (code, out, _) = lint(place.path(), &[]);
    assert_eq!(code, 1);
    assert!(
        out.contains("build job: chosen stage nowhere does not exist"),
        "{out}"
    );
    let (code, _, errors) = lint(
        place.path(),
        &["--source".to_owned(), "nonsense".to_owned()],
    );
    assert_eq!(code, 2, "{errors}");
    write(&[0xff, 0xfe, 0, b'a', b':']);
    assert_eq!(lint(place.path(), &[]).0, 1);
    write(b"include: ../outside.yml\na: {script: [x]}\n");
    fs::write(
        place.path().parent().unwrap().join("outside.yml"),
        "b: {script: [x]}\n",
    )
    .unwrap();
    let (code, out, _) = lint(place.path(), &[]);
    fs::remove_file(place.path().parent().unwrap().join("outside.yml")).unwrap();
    assert_eq!(code, 1, "{out}");
}
