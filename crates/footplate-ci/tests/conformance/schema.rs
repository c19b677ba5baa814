//! `ci-schema`: right and wrong files, judged as the server judges them.

use std::{fs, path::Path};

use footplate_ci::yaml::{Limits, Map, Node, Value, load};
use serde_json::{Value as Json, json};

use crate::{
    compile::{World, run},
    harness::{Verdicts, folder, to_json},
};

fn read(path: &Path) -> Node {
    load(
        &fs::read(path).unwrap(),
        0,
        Limits {
            bytes: 1 << 30,
            depth: 1000,
            ..Limits::default()
        },
    )
    .unwrap()
}

/// A tree as JSON text, which is YAML again; `!reference` keeps its tag.
fn write(node: &Node) -> String {
    match &node.value {
        Value::Reference(argument) => format!("!reference {}", write(argument)),
        Value::Seq(items) => format!(
            "[{}]",
            items.iter().map(write).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(map) => format!(
            "{{{}}}",
            map.iter()
                .map(|entry| format!("{}: {}", write(&entry.key), write(&entry.value)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        _ => to_json(node).to_string(),
    }
}

fn text(value: &str) -> Node {
    Node::new(
        Value::Str(value.into()),
        footplate_ci::yaml::Span::default(),
    )
}

fn map_of(entries: Vec<(Node, Node)>) -> Node {
    let mut map = Map::default();
    entries
        .into_iter()
        .for_each(|(key, value)| map.insert(key, value));
    Node::new(Value::Map(map.into()), footplate_ci::yaml::Span::default())
}

const GLOBALS: [&str; 11] = [
    "default",
    "include",
    "stages",
    "variables",
    "workflow",
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
    "spec",
];

fn patched(root: &Node, patch: &Json, dropped: &[String]) -> String {
    let script = || {
        Node::new(
            Value::Seq(vec![text("true")].into()),
            footplate_ci::yaml::Span::default(),
        )
    };
    let patches: Vec<&str> = match patch {
        Json::String(one) => vec![one],
        Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let mut entries: Vec<(Node, Node)> = Vec::new();
    for entry in root.as_map().into_iter().flat_map(Map::iter) {
        let name = entry.key.as_str().unwrap_or_default();
        if dropped.iter().any(|job| job == name) {
            continue;
        }
        let mut value = entry.value.clone();
        if patches.contains(&"add-script")
            && !name.starts_with('.')
            && !GLOBALS.contains(&name)
            && let Some(job) = value.as_map()
            && ["script", "run", "trigger"]
                .iter()
                .all(|key| job.get(key).is_none())
        {
            let mut job = job.clone();
            job.insert(text("script"), script());
            value = Node::new(Value::Map(job.into()), entry.value.span);
        }
        entries.push((entry.key.clone(), value));
    }
    let job = || {
        (
            text("conformance-job"),
            map_of(vec![(text("script"), script())]),
        )
    };
    if patches.contains(&"add-job") || !dropped.is_empty() {
        entries.push(job());
    }
    let body = write(&map_of(entries));
    if patches.contains(&"spec-header") {
        format!("{body}\n---\n{}", write(&map_of(vec![job()])))
    } else {
        body
    }
}

fn accepts(root: &Node, patch: &Json, dropped: &[String]) -> Result<(), Vec<String>> {
    // Files that the examples include are there and empty of jobs.
    let world = World {
        files: Vec::new(),
        exists: Vec::new(),
        changed: None,
        template: &|_| Some("{}".to_owned()),
    };
    run(
        &patched(root, patch, dropped),
        None,
        Map::default(),
        false,
        true,
        &world,
    )
    .map(|_| ())
    .map_err(|(errors, _)| errors)
}

fn verdict(root: &Node, row: &Json) -> Option<String> {
    let wrong: Vec<String> = row["wrong_jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect();
    let whole = accepts(root, &row["patch"], &[]);
    match row["expect"].as_str() {
        Some("accept") => whole.err().map(|errors| format!("refused: {errors:?}")),
        Some("reject") if whole.is_ok() => Some("accepted".to_owned()),
        Some("reject") => {
            for one in &wrong {
                let others: Vec<String> = wrong.iter().filter(|job| *job != one).cloned().collect();
                if accepts(root, &row["patch"], &others).is_ok() {
                    return Some(format!("{one} alone is accepted"));
                }
            }
            None
        }
        _ => None,
    }
}

fn files(folder: &Path, root: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, root, found);
        } else {
            found.push(
                path.strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
}

#[test]
fn ci_schema() {
    let Some(folder) = folder("ci-schema") else {
        return;
    };
    let expectations = to_json(&read(&folder.join("expectations.yml")));
    let mut names = Vec::new();
    files(&folder.join("positive"), &folder, &mut names);
    files(&folder.join("negative"), &folder, &mut names);
    let rows = |name: &str| match &expectations {
        Json::Object(map) => map
            .get(name)
            .cloned()
            .or_else(|| map.get("files").and_then(|files| files.get(name)).cloned()),
        Json::Array(list) => list.iter().find(|row| row["file"] == json!(name)).cloned(),
        _ => None,
    };
    let mut verdicts = Verdicts::default();
    let mut judged = 0;
    for name in &names {
        let row = rows(name).unwrap_or_else(|| json!({"expect": "schema-only"}));
        judged += usize::from(row["expect"] != json!("schema-only"));
        verdicts.add(name.clone(), verdict(&read(&folder.join(name)), &row));
    }
    assert!(judged > 30, "only {judged} files have a judgement");
    verdicts.judge("ci-schema");
}
