//! Keywords about what a job stands for: environments, releases, tokens, secrets, pages, inputs.

use serde_json::{Value as Json, json};

use crate::{
    Case,
    keywords::{faults, normal},
};

const SOUND: [String; 0] = [];

#[test]
fn an_environment_of_one_word_is_started() {
    assert_eq!(
        normal("environment: review/$CI_COMMIT_REF_SLUG", "environment"),
        json!({"name": "review/$CI_COMMIT_REF_SLUG", "action": "start"})
    );
    assert_eq!(
        normal("environment: {name: a}", "environment"),
        json!({"name": "a"})
    );
}

#[test]
fn every_field_of_an_environment_is_kept() {
    let written = json!({
        "name": "production", "url": "https://$HOST", "on_stop": null, "action": "prepare", "auto_stop_in": "$DAYS days",
        "deployment_tier": "production",
        "kubernetes": {"agent": "a:b", "dashboard": {"namespace": "c", "flux_resource_path": "d"}, "managed_resources": {"enabled": false}},
    });
    let case = format!("environment: {written}");
    assert_eq!(faults(&case), SOUND);
    assert_eq!(
        normal(&case, "environment")["kubernetes"],
        written["kubernetes"]
    );
}

#[test]
fn an_environment_stops_after_a_while_a_variable_or_never() {
    for text in [
        "1 week",
        "never",
        "$SPAN",
        "${SPAN} days",
        "2 days and 3 hours",
    ] {
        assert_eq!(
            faults(&format!("environment: {{name: a, auto_stop_in: '{text}'}}")),
            SOUND,
            "{text}"
        );
    }
    for text in ["soon", "", "$", "$$", "100"].map(|text| format!("'{text}'")) {
        let refused = faults(&format!("environment: {{name: a, auto_stop_in: {text}}}"));
        assert_eq!(refused.is_empty(), text == "'100'", "{text}");
    }
}

#[test]
fn environments_with_own_faults_have_their_cluster_unread() {
    assert_eq!(
        faults("environment: {name: a, url: 1, kubernetes: {pod: b}}"),
        ["jobs:rspec:environment url should be a string"]
    );
}

#[test]
fn a_release_is_kept_as_it_is_written() {
    let written = json!({
        "tag_name": "$CI_COMMIT_TAG", "tag_message": "signed", "name": "One", "description": "first", "ref": "$CI_COMMIT_SHA",
        "released_at": "2021-03-15T08:00:00Z", "milestones": ["m1", "m2"],
        "assets": {"links": [{"name": "a", "url": "https://example.com", "filepath": "/b", "link_type": "package"}]},
    });
    assert_eq!(normal(&format!("release: {written}"), "release"), written);
}

#[test]
fn refs_of_releases_are_what_git_takes() {
    let release = |git_ref: &str| {
        faults(&format!(
            "release: {{tag_name: a, description: b, ref: '{git_ref}'}}"
        ))
    };
    for good in [
        "main",
        "v1.0",
        "feature/a-b",
        "0123456789abcdef",
        "${BRANCH}",
        "a@b",
    ] {
        assert_eq!(release(good), SOUND, "{good}");
    }
    for bad in [
        "a b",
        "a..b",
        "-a",
        "a.lock",
        "a/",
        "a//b",
        ".a",
        "a~1",
        "a^",
        "a:b",
        "a\\b",
        "a@{1}",
        "HEAD",
        "refs/heads/a",
        "",
    ] {
        assert_eq!(
            release(bad),
            ["jobs:rspec:release ref must be a valid ref"],
            "{bad}"
        );
    }
}

#[test]
fn tokens_are_kept_by_their_names() {
    assert_eq!(
        normal("id_tokens: {A: {aud: b}, C: {aud: [d, $E]}}", "id_tokens"),
        json!({"A": {"aud": "b"}, "C": {"aud": ["d", "$E"]}})
    );
    assert_eq!(
        faults("id_tokens: {A: text, B: }"),
        [
            "jobs:rspec:id_tokens:a aud should be an array of strings or a string",
            "jobs:rspec:id_tokens:a config missing required keys: aud",
            "jobs:rspec:id_tokens:b aud should be an array of strings or a string",
            "jobs:rspec:id_tokens:b config missing required keys: aud",
        ]
    );
}

#[test]
fn secrets_of_every_provider_are_kept() {
    let secrets = normal(
        "secrets:\n  A: {vault: production/db/password@ops, file: false}\n  B: {vault: db/user}\n  C: {vault: {engine: {name: kv-v1, path: kv}, path: p, field: f}, token: $T}\n  D: {gcp_secret_manager: {name: d, version: 2}, token: $T}\n  E: {azure_key_vault: {name: e, version: '1'}}\n  F: {aws_secrets_manager: {secret_id: f, region: eu-central-1, field: g}}\n  G: {gitlab_secrets_manager: {name: h}}",
        "secrets",
    );
    assert_eq!(
        secrets["A"],
        json!({"vault": {"engine": {"name": "kv-v2", "path": "ops"}, "path": "production/db", "field": "password"}, "file": false})
    );
    assert_eq!(secrets["B"]["vault"]["engine"]["path"], "kv-v2");
    assert_eq!(secrets["C"]["vault"]["engine"]["name"], "kv-v1");
    assert_eq!(secrets["D"]["gcp_secret_manager"]["version"], 2);
    assert_eq!(secrets["E"]["azure_key_vault"]["name"], "e");
    assert_eq!(secrets["F"]["aws_secrets_manager"]["field"], "g");
    assert_eq!(secrets["G"]["gitlab_secrets_manager"]["name"], "h");
}

#[test]
fn pages_may_be_a_word_or_a_mapping() {
    assert_eq!(normal("pages: true", "pages"), true);
    assert_eq!(normal("pages: false", "pages"), false);
    assert_eq!(
        normal(
            "pages: {publish: out, path_prefix: $SLUG, expire_in: never}",
            "pages"
        ),
        json!({"publish": "out", "path_prefix": "$SLUG", "expire_in": "never"})
    );
}

#[test]
fn only_jobs_that_make_pages_publish() {
    let refused = ["jobs:rspec publish can only be used within a `pages` job"];
    assert_eq!(faults("publish: out"), refused);
    assert_eq!(faults("publish: out\npages: false"), refused);
    assert_eq!(faults("publish: out\npages: {}"), refused);
    assert_eq!(normal("publish: out\npages: true", "publish"), "out");
    let case = Case::new("pages: {script: echo, publish: out}\n");
    assert_eq!(case.facts("pages")["publish"], "out");
}

#[test]
fn inputs_of_a_job_are_texts_unless_they_say_otherwise() {
    assert_eq!(
        normal(
            "inputs: {color: {default: red, options: [red, blue]}, n: {type: number, default: 0, description: How many}}",
            "inputs"
        ),
        json!({
            "color": {"default": "red", "options": ["red", "blue"], "type": "string"},
            "n": {"type": "number", "default": 0, "description": "How many"},
        })
    );
    assert_eq!(
        normal("inputs: {flag: {type: boolean, default: false}}", "inputs")["flag"]["default"],
        false
    );
}

#[test]
fn coverage_is_the_pattern_without_its_slashes() {
    assert_eq!(
        normal("coverage: '/Total:\\s(\\d+)/'", "coverage_regex"),
        "Total:\\s(\\d+)"
    );
    for wrong in ["true", "1", "[/a/]", "text", "'/(/'", "''"] {
        assert_eq!(
            faults(&format!("coverage: {wrong}")),
            ["jobs:rspec coverage must be a regular expression with re2 syntax"],
            "{wrong}"
        );
    }
    assert_eq!(normal("coverage: null", "coverage_regex"), Json::Null);
}
