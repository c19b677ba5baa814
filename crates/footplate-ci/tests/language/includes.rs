//! Files: `include` of every kind, what each may refer to, and merging.

use footplate_ci::{
    Answer, Compiler, ComponentFile, Origin, Request, Source, Step,
    yaml::{Limits, Map},
};
use footplate_model::PipelineSource;
use serde_json::json;

use crate::Case;

const JOB: &str = "job: {script: ls}\n";

fn file_of(project: &str, git_ref: Option<&str>, path: &str) -> Request {
    Request::File {
        origin: Origin {
            project: Some(project.to_owned()),
            git_ref: git_ref.map(str::to_owned),
        },
        path: path.to_owned(),
    }
}

fn remote(url: &str) -> Request {
    Request::Remote {
        url: url.to_owned(),
        cache_seconds: None,
    }
}

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

fn component(text: &str) -> Answer {
    Answer::Component(Box::new(ComponentFile {
        text: text.to_owned(),
        origin: Origin {
            project: Some("ci/parts".to_owned()),
            git_ref: Some("0a1b2c".to_owned()),
        },
        name: "lint".to_owned(),
        sha: "0a1b2c".to_owned(),
        version: "1.4.0".to_owned(),
        reference: "~latest".to_owned(),
    }))
}

fn one_error(text: &str) -> String {
    let errors = Case::new(text).errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap_or_default()
}

#[test]
fn the_including_file_wins() {
    let case = Case::new("include: a.yml\njob: {script: ls, stage: deploy}\n")
        .file("a.yml", "job: {script: [a, b], stage: build, tags: [x]}\n");
    assert_eq!(case.facts("job")["stage"], "deploy");
    assert_eq!(case.facts("job")["script"], json!(["ls"]));
    assert_eq!(case.facts("job")["tags"], json!(["x"]));
}

#[test]
fn later_includes_win_over_earlier_ones() {
    let case = Case::new("include: [a.yml, b.yml]\n")
        .file("a.yml", "job: {script: a, when: manual}\n")
        .file("b.yml", "job: {script: b}\n");
    assert_eq!(case.facts("job")["script"], json!(["b"]));
    assert_eq!(case.facts("job")["when"], "manual");
}

#[test]
fn an_item_of_a_wrong_type_is_refused() {
    for include in ["5", "[a.yml, 5]", "[[a.yml]]", "true"] {
        let case = Case::new(&format!("include: {include}\n{JOB}")).file("a.yml", JOB);
        assert_eq!(
            case.errors(),
            ["Each include must be a hash or a string"],
            "{include}"
        );
    }
    // Nothing at all is nothing.
    assert!(Case::new(&format!("include:\n{JOB}")).errors().is_empty());
    assert!(
        Case::new(&format!("include: [null]\n{JOB}"))
            .errors()
            .is_empty()
    );
}

#[test]
fn an_item_names_exactly_one_location() {
    assert_eq!(
        one_error("include: {name: x.yml}\njob: {script: ls}\n"),
        "`{\"name\":\"x.yml\"}` does not have a valid subkey for include. Valid subkeys are: `local`, `project`, `remote`, `template`, `artifact`, `component`"
    );
    assert_eq!(
        one_error("include: {local: x.yml, template: Bash.gitlab-ci.yml}\njob: {script: ls}\n"),
        "Each include must use only one of: `local`, `project`, `remote`, `template`, `artifact`, `component`"
    );
    // An empty location is no location.
    assert!(
        one_error("include: {local: ''}\njob: {script: ls}\n")
            .contains("does not have a valid subkey for include")
    );
    assert_eq!(
        one_error("include: {local: [a.yml]}\njob: {script: ls}\n"),
        "Included file `[\"a.yml\"]` needs to be a string"
    );
    assert_eq!(
        one_error("include: {project: group/other}\njob: {script: ls}\n"),
        "include config must specify the file where to fetch the config from"
    );
}

#[test]
fn the_first_fault_about_files_is_the_only_one() {
    let case = Case::new("include: [a.yml, gone.yml, also-gone.yml]\n").file("a.yml", JOB);
    assert_eq!(case.errors(), ["Local file `gone.yml` does not exist!"]);
    // One beneath a later file comes before one of an earlier file, since files are expanded before they are judged.
    let case = Case::new("include: [gone.yml, a.yml]\n").file("a.yml", "include: deep.yml\n");
    assert_eq!(case.errors(), ["Local file `deep.yml` does not exist!"]);
}

#[test]
fn endings_are_looked_at_without_case() {
    let case = Case::new("include: [a.YML, b.Yaml]\n")
        .file("a.YML", JOB)
        .file("b.Yaml", JOB);
    assert!(case.errors().is_empty());
    for path in [".yml", "a.yml.erb", "folder.yml/a"] {
        assert_eq!(
            one_error(&format!("include: {path}\n{JOB}")),
            format!("Included file `{path}` does not have YAML extension!")
        );
    }
}

#[test]
fn empty_files_are_named_by_their_kind() {
    let case = Case::new("include: a.yml\n").file("a.yml", "  \n");
    assert_eq!(case.errors(), ["Local file `a.yml` is empty!"]);
    let case = Case::new("include: {project: g/p, file: /a.yml}\n")
        .answer(file_of("g/p", None, "a.yml"), text("\n"));
    assert_eq!(case.errors(), ["Project `g/p` file `a.yml` is empty!"]);
    let case = Case::new("include: https://example.com/a.yml\n")
        .answer(remote("https://example.com/a.yml"), text(""));
    assert_eq!(
        case.errors(),
        ["Included file `https://example.com/a.yml` is empty or does not exist!"]
    );
}

#[test]
fn a_file_of_comments_is_no_configuration() {
    for content in ["# nothing\n", "{}\n", "- a\n", "word\n"] {
        let case = Case::new("include: a.yml\njob: {script: ls}\n").file("a.yml", content);
        assert_eq!(
            case.errors(),
            ["`a.yml`: Invalid configuration format"],
            "{content:?}"
        );
    }
}

#[test]
fn a_syntax_error_stands_where_it_is() {
    let case = Case::new("include: a.yml\n").file("a.yml", "job:\n  script: [ls\n");
    let (message, file, line, _) = case.fault();
    assert_eq!(
        message,
        "Included file `a.yml` does not have valid YAML syntax!"
    );
    assert_eq!((file.as_str(), line), ("a.yml", 2));
    let case = Case::new("include: a.yml\n").file("a.yml", "job: *gone\n");
    assert_eq!(case.errors(), ["`a.yml`: Unknown alias: gone"]);
}

#[test]
fn a_fault_in_a_job_of_an_included_file_stands_in_that_file() {
    let case =
        Case::new("include: a.yml\n").file("a.yml", "job:\n  script: ls\n  when: sometimes\n");
    let (_, file, line, column) = case.fault();
    assert_eq!((file.as_str(), line, column), ("a.yml", 3, 9));
    let refused = case.compile().unwrap_err();
    assert_eq!(refused.files[1].included_at.map(|span| span.line), Some(1));
}

#[test]
fn wildcards_know_only_stars() {
    let case = |pattern: &str| {
        let case = Case::new(&format!("include: '{pattern}'\nroot: {{script: ls}}\n"))
            .file("conf/a.yml", "a: {script: ls}\n")
            .file("conf/deep/b.yml", "b: {script: ls}\n")
            .file("conf/deep/er/c.yml", "c: {script: ls}\n")
            .file("other/d.yml", "d: {script: ls}\n");
        let compiled = case.compile().unwrap();
        let names = compiled.config.jobs.iter().map(|job| job.name.clone());
        let mut names: Vec<String> = names.filter(|name| name != "root").collect();
        names.sort();
        names.concat()
    };
    assert_eq!(case("conf/*.yml"), "a");
    assert_eq!(case("/conf/*.yml"), "a");
    assert_eq!(case("conf/**.yml"), "abc");
    assert_eq!(case("conf/**/*.yml"), "bc");
    assert_eq!(case("**/*.yml"), "abcd");
    assert_eq!(case("conf/*/*.yml"), "b");
    assert_eq!(case("conf/[ab]*.yml"), "");
    assert_eq!(case("nothing/*.yml"), "");
}

#[test]
fn files_behind_a_wildcard_get_the_inputs() {
    let case = Case::new("include: {local: 'conf/*.yml', inputs: {name: x}}\n").file(
        "conf/a.yml",
        "spec: {inputs: {name: }}\n---\njob-$[[ inputs.name ]]: {script: ls}\n",
    );
    assert_eq!(case.facts("job-x")["script"], json!(["ls"]));
}

#[test]
fn a_file_of_another_project_has_its_own_local_files() {
    let case = Case::new("include: {project: g/p, ref: v1, file: [a.yml, /b.yml]}\n")
        .file("c.yml", "wrong: {script: ls}\n")
        .answer(
            file_of("g/p", Some("v1"), "a.yml"),
            text("include: /c.yml\na: {script: ls}\n"),
        )
        .answer(
            file_of("g/p", Some("v1"), "b.yml"),
            text("b: {script: ls}\n"),
        )
        .answer(
            file_of("g/p", Some("v1"), "c.yml"),
            text("c: {script: ls}\n"),
        );
    let compiled = case.compile().unwrap();
    let names: Vec<_> = compiled.config.jobs.iter().map(|job| &job.name).collect();
    assert_eq!(names, ["c", "a", "b"]);
    let projects: Vec<_> = compiled
        .files
        .iter()
        .map(|file| file.project.as_deref())
        .collect();
    assert_eq!(projects, [None, Some("g/p"), Some("g/p"), Some("g/p")]);
}

#[test]
fn a_nested_local_file_that_is_missing_is_called_local() {
    let case = Case::new("include: {project: g/p, file: a.yml}\n")
        .answer(file_of("g/p", None, "a.yml"), text("include: gone.yml\n"))
        .answer(
            file_of("g/p", None, "gone.yml"),
            Answer::Problem("Project `g/p` file `gone.yml` does not exist!".to_owned()),
        );
    let (message, file, line, column) = case.fault();
    assert_eq!(message, "Local file `gone.yml` does not exist!");
    assert_eq!((file.as_str(), line, column), ("a.yml", 1, 10));
}

#[test]
fn rules_of_an_include_look_where_the_including_file_lives() {
    let paths = Request::Paths(Origin {
        project: Some("g/p".to_owned()),
        git_ref: None,
    });
    let case = Case::new("include: {project: g/p, file: a.yml}\n")
        .answer(
            file_of("g/p", None, "a.yml"),
            text("include: {local: b.yml, rules: [{exists: [Dockerfile]}]}\na: {script: ls}\n"),
        )
        .answer(file_of("g/p", None, "b.yml"), text("b: {script: ls}\n"))
        .answer(paths, Answer::Paths(vec!["Dockerfile".to_owned()]));
    assert_eq!(case.facts("b")["script"], json!(["ls"]));
}

#[test]
fn rules_decide_before_a_file_is_read() {
    let include = |rule: &str| {
        format!("include: {{local: gone.yml, rules: [{rule}]}}\njob: {{script: ls}}\n")
    };
    let compiles = |rule: &str| {
        Case::new(&include(rule))
            .push("main", &[("LEVEL", "2")])
            .changed(&["src/a.rs"])
            .errors()
            .is_empty()
    };
    assert!(compiles("{if: $LEVEL == \"1\"}"));
    assert!(compiles("{if: $LEVEL == \"2\", when: never}"));
    assert!(compiles("{changes: [docs/*]}"));
    assert!(!compiles("{if: $LEVEL == \"2\"}"));
    assert!(!compiles("{if: $LEVEL == \"2\", when: always}"));
    assert!(!compiles("{changes: [src/*]}"));
    // A list without rules lets nothing in.
    assert!(compiles(""));
}

#[test]
fn variables_in_locations_are_those_known_before_the_configuration() {
    let case = Case::new(
        "variables: {FOLDER: wrong}\ninclude: ['$FOLDER/a.yml', {local: \"${FOLDER}/$MISSING.yml\"}]\n",
    )
    .file("conf/a.yml", JOB)
    .file("conf/$MISSING.yml", "other: {script: ls}\n")
    .push("main", &[("FOLDER", "conf")]);
    assert!(case.errors().is_empty());
    // An address may hide in a variable.
    let case = Case::new("include: $WHERE\n")
        .push("main", &[("WHERE", "https://example.com/a.yml")])
        .answer(remote("https://example.com/a.yml"), text(JOB));
    assert!(case.errors().is_empty());
}

#[test]
fn values_of_masked_variables_are_crossed_out() {
    let mut case =
        Case::new("include: '/conf/$SECRET.yml'\n").push("main", &[("SECRET", "s3cr3t-folder")]);
    for variable in &mut case.context.as_mut().unwrap().overriding {
        variable.masked = true;
    }
    assert_eq!(
        case.errors(),
        ["Local file `conf/[MASKED]xxxxx.yml` does not exist!"]
    );
}

#[test]
fn remote_files_see_neither_project_nor_variables() {
    let nested = |content: &str| {
        Case::new("include: {remote: 'https://example.com/a.yml'}\njob: {script: ls}\n")
            .push("main", &[("NAME", "x")])
            .answer(remote("https://example.com/a.yml"), text(content))
    };
    assert_eq!(
        nested("include: b.yml\n").errors(),
        ["Local file `b.yml` does not have project!"]
    );
    // The rule does not hold: there is no variable to compare.
    let case =
        nested("include: {local: b.yml, rules: [{if: $NAME == \"x\"}]}\nother: {script: ls}\n");
    assert!(case.errors().is_empty());
    // Neither are there files that could exist.
    let case = nested("include: {local: b.yml, rules: [{exists: ['*']}]}\nother: {script: ls}\n");
    assert!(case.errors().is_empty());
    let case = nested("include: {remote: 'https://example.com/b.yml'}\n").answer(
        remote("https://example.com/b.yml"),
        text("deep: {script: ls}\n"),
    );
    assert_eq!(case.facts("deep")["script"], json!(["ls"]));
}

#[test]
fn an_address_has_a_scheme_and_a_yaml_ending() {
    assert_eq!(
        one_error("include: {remote: 'ftp://example.com/a.yml'}\njob: {script: ls}\n"),
        "Remote file `ftp://example.com/a.yml` does not have a valid address!"
    );
    assert_eq!(
        one_error("include: {remote: 'https://example.com/a'}\njob: {script: ls}\n"),
        "Included file `https://example.com/a` does not have YAML extension!"
    );
    assert_eq!(
        one_error("include: {template: Bash.yml}\njob: {script: ls}\n"),
        "Template file `Bash.yml` is not a valid location!"
    );
}

#[test]
fn a_remote_file_is_held_against_its_hash() {
    // echo -n 'job: {script: ls}' | openssl dgst -sha256 -binary | base64
    let include = |integrity: &str| {
        Case::new(&format!(
            "include: {{remote: 'https://example.com/a.yml', integrity: {integrity}}}\n"
        ))
        .answer(
            remote("https://example.com/a.yml"),
            text("job: {script: ls}"),
        )
    };
    let right = "sha256-il93w+0uI30BSGJD4Zj8VZgbPTsIOyeSZ7lanwtvYNo=";
    assert!(include(right).errors().is_empty());
    assert_eq!(
        include("sha256-L3/GAoKaw0Arw6hDCKeKQlV1QPEgHYxGBHsH4zG1IY8=").errors(),
        ["Remote file `https://example.com/a.yml` failed integrity check!"]
    );
    for integrity in ["invalid-hash", "123", "SHA256-abcd"] {
        assert_eq!(
            include(integrity).errors(),
            ["include config integrity hash must start with 'sha256-'"]
        );
    }
    assert_eq!(
        include("sha256-not!valid@base64").errors(),
        ["include config integrity hash must be base64 encoded"]
    );
    let local = format!("include: {{local: a.yml, integrity: {right}}}\n");
    assert_eq!(
        one_error(&local),
        "include config integrity can only be specified for remote includes"
    );
}

#[test]
fn a_remote_file_may_be_as_old_as_the_include_says() {
    let include = |cache: &str, seconds| {
        Case::new(&format!(
            "include: {{remote: 'https://example.com/a.yml', cache: {cache}}}\n"
        ))
        .answer(
            Request::Remote {
                url: "https://example.com/a.yml".to_owned(),
                cache_seconds: seconds,
            },
            text(JOB),
        )
        .errors()
    };
    assert!(include("true", Some(3600)).is_empty());
    assert!(include("1 day", Some(86400)).is_empty());
    assert!(include("1 minute", Some(60)).is_empty());
    assert!(include("false", None).is_empty());
    assert!(include("", None).is_empty());
    assert_eq!(
        include("30 seconds", None),
        ["include config cache duration must be at least 1 minute"]
    );
    assert_eq!(
        include("invalid", None),
        ["include config cache contains an invalid duration"]
    );
    assert_eq!(
        include("123", None),
        ["include config cache must be a boolean or a duration string"]
    );
    assert_eq!(
        one_error("include: {local: a.yml, cache: true}\n"),
        "include config cache can only be specified for remote includes"
    );
}

#[test]
fn a_component_has_its_own_files_and_knows_itself() {
    let named = Request::Component("example.com/ci/parts/lint@~latest".to_owned());
    let case = Case::new(
        "include: {component: $HOST/ci/parts/lint@~latest, inputs: {stage: build}}\n",
    )
    .push("main", &[("HOST", "example.com")])
    .answer(
        named,
        component(
            "spec:\n  inputs: {stage: }\n  component: [name, version, sha, reference]\n---\ninclude: tools.yml\nlint:\n  stage: $[[ inputs.stage ]]\n  script: echo $[[ component.name ]] $[[ component.version ]] $[[ component.sha | truncate(0,3) ]] $[[ component.reference ]]\n",
        ),
    )
    .answer(
        file_of("ci/parts", Some("0a1b2c"), "tools.yml"),
        text("tool: {script: ls}\n"),
    );
    assert_eq!(
        case.facts("lint")["script"],
        json!(["echo lint 1.4.0 0a1 ~latest"])
    );
    assert_eq!(case.facts("tool")["script"], json!(["ls"]));
    // Facts that the header does not ask for are not there, nor are they outside a component.
    let silent = "spec:\n  inputs:\n---\njob: {script: \"$[[ component.name ]]\"}\n";
    let case = Case::new("include: {component: a}\n")
        .answer(Request::Component("a".to_owned()), component(silent));
    assert_eq!(case.errors(), ["`a`: unknown interpolation key: `name`"]);
    let asking = "spec: {component: [name]}\n---\njob: {script: \"$[[ component.name ]]\"}\n";
    let case = Case::new("include: a.yml\n").file("a.yml", asking);
    assert_eq!(
        case.errors(),
        ["`a.yml`: unknown interpolation key: `name`"]
    );
    let mut case = Case::new("include: {component: a}\n");
    case.has_project = false;
    assert_eq!(
        case.errors(),
        ["Unable to use components outside of a project context"]
    );
}

#[test]
fn files_of_artifacts_belong_to_child_pipelines() {
    let mut case = Case::new("include: {artifact: gen.yml, job: make}\n").answer(
        Request::Artifact {
            job: "make".to_owned(),
            path: "gen.yml".to_owned(),
        },
        text("include: b.yml\njob: {script: ls}\n"),
    );
    case = case.file("b.yml", "b: {script: ls}\n");
    assert_eq!(
        case.errors(),
        ["Including configs from artifacts is only allowed when triggering child pipelines"]
    );
    case.child = true;
    assert_eq!(case.facts("b")["script"], json!(["ls"]));
    let mut case = Case::new("include: {artifact: gen.yml}\n");
    case.child = true;
    assert_eq!(
        case.errors(),
        ["Job must be provided when including configs from artifacts"]
    );
}

#[test]
fn every_file_counts_also_the_same_one_again() {
    let many = |count: usize| {
        let items = "  - a.yml\n".repeat(count);
        Case::new(&format!("include:\n{items}")).file("a.yml", JOB)
    };
    assert!(many(150).errors().is_empty());
    let error = ["Maximum of 150 nested includes are allowed!"];
    assert_eq!(many(151).errors(), error);
    let circle = Case::new("include: a.yml\n").file("a.yml", "include: a.yml\njob: {script: ls}\n");
    assert_eq!(circle.errors(), error);
}

#[test]
fn all_files_together_have_a_budget() {
    let mut case = Case::new("include: [a.yml, a.yml]\n").file("a.yml", JOB);
    case.limits.total = 2 * JOB.len();
    assert!(case.errors().is_empty());
    case.limits.total -= 1;
    assert_eq!(
        case.errors(),
        ["Total size of combined CI/CD configuration is too big"]
    );
}

#[test]
fn a_child_pipeline_reads_its_file_like_any_other() {
    let case =
        Case::new("spec: {inputs: {name: }}\n---\n\"job $[[ inputs.name ]]\": {script: ls}\n")
            .pipeline("main", PipelineSource::ParentPipeline, &[])
            .input("name", "x");
    assert_eq!(case.facts("job x")["script"], json!(["ls"]));
}

/// What was read of files is forgotten when they are all there; whoever asks again is told the same, with the same numbers of files.
#[test]
fn a_compiler_that_is_asked_again_says_the_same() {
    let file = ".a: {extends: .b}\n.b: {extends: .c}\n";
    for root in [
        "include: a.yml\njob: {extends: .a, script: ls}\n",
        "include: a.yml\njob: {script: ls, needs: [none]}\n",
        "include: a.yml\n.c: {tags: [x]}\njob: {extends: .a, script: ls}\n",
    ] {
        let mut compiler = Compiler::new(Source {
            text: root.to_owned(),
            inputs: Map::default(),
            context: None,
            variables: Vec::new(),
            has_project: true,
            child: false,
            limits: Limits::default(),
        });
        let mut said = Vec::new();
        while said.len() < 3 {
            match compiler.step() {
                Step::Needs(requests) => {
                    for request in requests {
                        compiler.answer(request, Answer::Text(file.to_owned()));
                    }
                }
                other => said.push(format!("{other:?}")),
            }
        }
        assert_eq!(said[0], said[1], "{root}");
        assert_eq!(said[0], said[2], "{root}");
    }
}
