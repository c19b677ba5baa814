//! The catalogue of messages (`footplate-ci/tests/language/messages.yml`), each entry provoked over the lint API and by pipelines.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use footplate_ci::{
    json as plain,
    yaml::{Limits, load},
};
use footplate_testkit::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

fn catalogue() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../footplate-ci/tests/language/messages.yml");
    let text = fs::read_to_string(path).expect("the catalogue");
    let node = load(text.as_bytes(), 0, Limits::default()).expect("a catalogue that is YAML");
    let entries = plain(&node).as_array().expect("a list").clone();
    assert!(entries.len() > 400, "only {} entries", entries.len());
    entries
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Everything that an entry says is told, and nothing else.
fn expected(entry: &Value) -> BTreeSet<String> {
    let mut expected = words(&entry["also"]);
    expected.extend(entry["message"].as_str().map(str::to_owned));
    expected
}

type Files = BTreeMap<String, String>;

fn files(entry: &Value) -> Files {
    let files = entry["files"].as_object().into_iter().flatten();
    files
        .map(|(path, text)| (path.clone(), text.as_str().expect("a text").to_owned()))
        .collect()
}

/// Repositories for all entries: one without their files, and as many with them as have room for files of the same path.
fn repositories(entries: &[Value]) -> Vec<(Files, Vec<&Value>)> {
    let bare = Files::from([("README.md".to_owned(), "bare".to_owned())]);
    let mut repositories = vec![(bare, Vec::new())];
    for entry in entries {
        let own = files(entry);
        if own.is_empty() {
            repositories[0].1.push(entry);
            continue;
        }
        let fits = |(there, _): &&mut (Files, Vec<&Value>)| {
            let mut own = own.iter();
            own.all(|(path, text)| there.get(path).is_none_or(|other| other == text))
        };
        match repositories.iter_mut().skip(1).find(fits) {
            Some((there, list)) => {
                there.extend(own);
                list.push(entry);
            }
            None => repositories.push((own, vec![entry])),
        }
    }
    repositories
}

/// What the lint API tells of an entry; for the circumstances that it has no words for a simulation does.
async fn told(server: &TestServer, project: i64, entry: &Value) -> BTreeSet<String> {
    let content = &entry["config"];
    let context = &entry["context"];
    let bare = context.as_object().is_none_or(serde_json::Map::is_empty);
    let (path, body) = if bare {
        let dry = entry["kind"] == "pipeline";
        let path = format!("/api/v4/projects/{project}/ci/lint");
        (path, json!({"content": content, "dry_run": dry}))
    } else {
        let path = format!("/api/footplate/v1/projects/{project}/simulate");
        let mut body = context.clone();
        body["content"] = content.clone();
        body["child"] = context["child_pipeline"].clone();
        (path, body)
    };
    let request = server.root.request(Method::POST, &path).json(&body);
    let answer = server.root.send(request).await;
    let found = answer.json();
    if found["valid"].is_null() {
        return BTreeSet::from([format!("{found}")]);
    }
    let warning = entry["kind"] == "warning";
    assert_eq!(found["valid"] == true, warning, "{content}: {found}");
    words(&found[if warning { "warnings" } else { "errors" }])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_told_by_the_api() {
    let server = TestServer::start().await;
    let entries = catalogue();
    let mut wrong = Vec::new();
    for (number, (files, list)) in repositories(&entries).into_iter().enumerate() {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let project = server.project(&format!("p{number}"), &files).await;
        for entry in list {
            let (told, expected) = (told(&server, project, entry).await, expected(entry));
            if told != expected {
                wrong.push(format!(
                    "{}  expected {expected:?}\n  told     {told:?}",
                    entry["config"].as_str().unwrap_or_default()
                ));
            }
        }
    }
    let text = wrong.join("\n");
    assert!(wrong.is_empty(), "{} differ:\n{text}", wrong.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_fault_is_told_by_its_pipeline_in_the_words_of_the_lint() {
    let server = TestServer::start().await;
    let project = server.project("p", &[("README.md", "bare")]).await;
    let entries = catalogue();
    // Of every part of the catalogue a few; a configuration without a text makes no pipeline.
    let sample = entries.iter().step_by(25).filter(|entry| {
        let plain = ["kind", "files", "context"];
        let text = entry["config"].as_str().unwrap_or_default();
        !text.trim().is_empty() && plain.iter().all(|key| entry[*key].is_null())
    });
    let mut count = 0;
    for (number, entry) in sample.enumerate() {
        let lint = format!("/projects/{project}/ci/lint");
        let body = json!({"content": entry["config"]});
        let found = server.root.post(&lint, body).await.expect(200).json();
        let first = found["errors"][0].as_str().expect("a fault");
        let action =
            json!({"action": "create", "file_path": ".gitlab-ci.yml", "content": entry["config"]});
        let commit = json!({
            "branch": format!("b{number}"), "start_branch": "main", "commit_message": "x", "actions": [action],
        });
        let commits = format!("/projects/{project}/repository/commits");
        server.root.post(&commits, commit).await.expect(201);
        let id = server.pipeline(project).await["id"].clone();
        let path = format!("/projects/{project}/pipelines/{id}");
        let pipeline = server.root.get(&path).await.expect(200).json();
        assert_eq!(pipeline["ref"], format!("b{number}"), "{pipeline}");
        assert_eq!(pipeline["status"], "failed", "{pipeline}");
        assert_eq!(pipeline["yaml_errors"], first, "{}", entry["config"]);
        count += 1;
    }
    assert!(count >= 12, "only {count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_faults_a_pipeline_is_told_the_first() {
    let server = TestServer::start().await;
    let project = server.project("p", &[("README.md", "bare")]).await;
    let content = "a: {script: x, tag: y}\nb: {script: [], when: soon}\n";
    let path = format!("/projects/{project}/ci/lint");
    let all = server.root.post(&path, json!({"content": content})).await;
    let all = all.expect(200).json()["errors"].clone();
    assert_eq!(all.as_array().map(Vec::len), Some(3), "{all}");
    let dry = json!({"content": content, "dry_run": true});
    let dry = server.root.post(&path, dry).await.expect(200).json();
    assert_eq!(dry["errors"], json!([all[0]]));
    server.commit(project, &[(".gitlab-ci.yml", content)]).await;
    let path = format!("/projects/{project}/pipeline");
    let refused = server.root.post(&path, json!({"ref": "main"})).await;
    assert_eq!(
        refused.expect(400).json(),
        json!({"message": {"base": [all[0]]}})
    );
}
