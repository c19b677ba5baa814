//! Configurations that are compiled: one file, and many files that include each other.

use std::{collections::HashMap, fmt::Write as _};

use footplate_ci::{Answer, ComponentFile, Origin, Request};

/// Local files that are included.
const LOCAL: usize = 20;
/// Files of another project that are included.
const PROJECT: usize = 3;
/// Jobs of each file; with the root file and the component they are 500.
const JOBS: usize = 20;
/// Where the component stands.
const COMPONENT: &str = "git.example.com/tools/check@1.4.0";

/// A job and, for every third, what it needs.
fn job(text: &mut String, prefix: &str, number: usize, base: &str) {
    let stage = ["build", "test", "deploy"][number % 3];
    // Short, so that 2,000 of them stay below GitLab's limit for one file.
    let _ = write!(
        text,
        "{prefix} {number}:\n  extends: {base}\n  stage: {stage}\n  script:\n    - make part{number}\n  rules:\n    - if: $CI_COMMIT_BRANCH == \"main\" && $LEVEL != \"1\"\n"
    );
    if number % 3 == 1 {
        let _ = write!(text, "  needs:\n    - {prefix} {}\n", number - 1);
    }
}

const HEAD: &str = "stages: [build, test, deploy]\nvariables:\n  LEVEL: \"2\"\n  TARGET: release\ndefault:\n  tags: [linux]\n.base:\n  retry: 1\n  before_script:\n    - ./prepare\n";

/// A configuration of so many jobs, as they are written.
pub(crate) fn single(jobs: usize) -> String {
    let mut text = HEAD.to_owned();
    for number in 0..jobs {
        job(&mut text, "job", number, ".base");
    }
    text
}

/// A configuration of many files.
pub(crate) struct Many {
    /// The root file.
    pub(crate) root: String,
    /// What is told of the others.
    pub(crate) answers: HashMap<Request, Answer>,
}

impl Many {
    /// Every text there is to read.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let others = self.answers.values().filter_map(|answer| match answer {
            Answer::Text(text) => Some(text.as_str()),
            Answer::Component(file) => Some(file.text.as_str()),
            Answer::Paths(_) | Answer::Unknown | Answer::Problem(_) => None,
        });
        std::iter::once(self.root.as_str()).chain(others).collect()
    }
}

/// 500 jobs in a root file, 20 local files, three of another project and a component with inputs.
pub(crate) fn many() -> Many {
    let mut root = String::from("include:\n");
    let mut answers = HashMap::new();
    for number in 0..LOCAL {
        let path = format!("ci/part{number}.yml");
        let _ = writeln!(root, "  - local: /{path}");
        let mut text = format!(
            ".part{number}:\n  extends: .base\n  cache:\n    key: part{number}\n    paths: [target/]\n"
        );
        for each in 0..JOBS {
            job(
                &mut text,
                &format!("part{number}"),
                each,
                &format!(".part{number}"),
            );
        }
        let origin = Origin::default();
        answers.insert(Request::File { origin, path }, Answer::Text(text));
    }
    let origin = Origin {
        project: Some("tools/shared".to_owned()),
        git_ref: Some("v2".to_owned()),
    };
    root.push_str("  - project: tools/shared\n    ref: v2\n    file:\n");
    for number in 0..PROJECT {
        let path = format!("shared/{number}.yml");
        let _ = writeln!(root, "      - {path}");
        let mut text = format!(
            ".shared{number}:\n  variables:\n    SHARED: \"{number}\"\n  artifacts:\n    paths: [out/]\n"
        );
        for each in 0..JOBS {
            job(
                &mut text,
                &format!("shared{number}"),
                each,
                &format!("[.base, .shared{number}]"),
            );
        }
        let origin = origin.clone();
        answers.insert(Request::File { origin, path }, Answer::Text(text));
    }
    let _ = write!(
        root,
        "  - component: {COMPONENT}\n    inputs:\n      name: widget\n      level: 3\n"
    );
    answers.insert(
        Request::Component(COMPONENT.to_owned()),
        Answer::Component(Box::new(component(origin))),
    );
    root.push_str(HEAD);
    for number in 0..JOBS {
        job(&mut root, "own", number, ".base");
    }
    Many { root, answers }
}

fn component(origin: Origin) -> ComponentFile {
    let mut text = String::from(
        "spec:\n  inputs:\n    name:\n      description: What is checked.\n    level:\n      type: number\n      default: 1\n---\n.check:\n  variables:\n    NAME: $[[ inputs.name ]]\n    DEPTH: \"$[[ inputs.level ]]\"\n",
    );
    for number in 0..JOBS {
        job(
            &mut text,
            "check $[[ inputs.name ]]",
            number,
            "[.base, .check]",
        );
    }
    ComponentFile {
        text,
        origin,
        name: "check".to_owned(),
        sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        version: "1.4.0".to_owned(),
        reference: "1.4.0".to_owned(),
    }
}
