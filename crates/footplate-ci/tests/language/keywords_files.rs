//! Keywords about files: artifacts and caches.

use serde_json::json;

use crate::{
    Case,
    keywords::{faults, normal},
};

const SOUND: [String; 0] = [];

#[test]
fn artifacts_are_kept_as_they_are_written() {
    let written = json!({
        "name": "a-$CI_JOB_NAME", "paths": ["out/"], "exclude": ["out/tmp/**/*"], "untracked": true, "when": "always",
        "expire_in": "47 yrs 6 mos and 4d", "expose_as": "The site", "access": "developer",
    });
    assert_eq!(
        normal(&format!("artifacts: {written}"), "artifacts"),
        written
    );
}

#[test]
fn artifacts_may_be_kept_for_ever() {
    for word in ["never", "Never", "NEVER"] {
        assert_eq!(
            faults(&format!("artifacts: {{paths: [a], expire_in: {word}}}")),
            SOUND
        );
    }
    assert_eq!(
        faults("artifacts: {paths: [a], expire_in: ''}"),
        ["jobs:rspec:artifacts expire in should be a duration"]
    );
}

#[test]
fn reports_are_lists_and_the_coverage_report_a_mapping() {
    assert_eq!(
        normal(
            "artifacts: {reports: {junit: rspec.xml, dotenv: [build.env], sast: null, coverage_report: {coverage_format: cobertura, path: c.xml}}}",
            "artifacts"
        ),
        json!({"reports": {
            "junit": ["rspec.xml"], "dotenv": ["build.env"], "coverage_report": {"coverage_format": "cobertura", "path": "c.xml"},
        }})
    );
}

#[test]
fn keys_that_exclude_each_other_are_named_as_they_are_written() {
    assert_eq!(
        faults("artifacts: {public: true, access: all}"),
        ["jobs:rspec:artifacts config these keys cannot be used together: public, access"]
    );
}

#[test]
fn artifacts_with_own_faults_have_their_reports_unread() {
    assert_eq!(
        faults("artifacts: {untracked: 1, reports: {cobertura: a}}"),
        ["jobs:rspec:artifacts untracked should be a boolean value"]
    );
}

#[test]
fn what_is_exposed_breaks_every_rule_at_once() {
    let long = "<".repeat(101);
    assert_eq!(
        faults(&format!("artifacts: {{expose_as: '{long}', paths: []}}")),
        [
            "jobs:rspec:artifacts expose as can contain only letters, digits, '-', '_' and spaces",
            "jobs:rspec:artifacts expose as is too long (maximum is 100 characters)",
            "jobs:rspec:artifacts paths can't be blank",
        ]
    );
}

#[test]
fn a_cache_has_all_its_defaults() {
    assert_eq!(
        normal("cache: {paths: [vendor]}", "cache"),
        json!([{"key": "default", "paths": ["vendor"], "policy": "pull-push", "when": "on_success", "unprotect": false, "fallback_keys": []}])
    );
    assert_eq!(
        normal("cache: {policy: ''}", "cache")[0]["policy"],
        "pull-push"
    );
}

#[test]
fn an_empty_cache_cancels_the_default() {
    for empty in ["[]", "{}"] {
        let case = Case::new(&format!(
            "default: {{cache: {{paths: [a]}}}}\nrspec: {{script: echo, cache: {empty}}}\n"
        ));
        assert_eq!(case.facts("rspec")["cache"], json!([]), "{empty}");
    }
}

#[test]
fn up_to_four_caches_from_lists_in_lists() {
    let case = Case::new(
        ".c: {cache: [{key: a}, {key: b}]}\nrspec: {script: echo, cache: [!reference [.c, cache], {key: c}]}\n",
    );
    let caches = case.facts("rspec")["cache"].clone();
    let keys: Vec<&str> = caches
        .as_array()
        .unwrap()
        .iter()
        .map(|cache| cache["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);
}

#[test]
fn a_key_of_files_is_counted_from_the_root_of_the_repository() {
    assert_eq!(
        normal(
            "cache: {key: {files: [/Gemfile.lock, package.json], prefix: $CI_JOB_NAME}}",
            "cache"
        )[0]["key"],
        json!({"files": ["Gemfile.lock", "package.json"], "prefix": "$CI_JOB_NAME"})
    );
    assert_eq!(
        normal("cache: {key: {files_commits: [go.sum]}}", "cache")[0]["key"],
        json!({"files_commits": ["go.sum"]})
    );
}

#[test]
fn keys_with_slashes_or_dots_alone_are_refused_however_they_are_written() {
    for key in ["a/b", "a%2Fb", "a%2fb", "/"] {
        assert_eq!(
            faults(&format!("cache: {{key: '{key}'}}")),
            ["jobs:rspec:cache:key config cannot contain the \"/\" character"],
            "{key}"
        );
    }
    for key in [".", "..", "%2E", "%2e%2E", ".%2e"] {
        assert_eq!(
            faults(&format!("cache: {{key: '{key}'}}")),
            ["jobs:rspec:cache:key config cannot be \".\" or \"..\""],
            "{key}"
        );
    }
    for key in ["...", "a.b", "%", "100%", "$CI_COMMIT_REF_SLUG", "%2", "é"] {
        assert_eq!(faults(&format!("cache: {{key: '{key}'}}")), SOUND, "{key}");
    }
}

#[test]
fn a_policy_may_be_a_variable() {
    assert_eq!(
        normal("cache: {policy: $POLICY}", "cache")[0]["policy"],
        "$POLICY"
    );
}

#[test]
fn one_text_where_files_are_wanted_is_no_list_and_too_long() {
    assert_eq!(
        faults("cache: {key: {files: Gemfile.lock}}"),
        [
            "jobs:rspec:cache:key:files config has too many items (maximum is 2)",
            "jobs:rspec:cache:key:files config should be an array of strings",
        ]
    );
}
