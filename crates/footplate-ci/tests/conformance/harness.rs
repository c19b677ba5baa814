//! Where the cases are, which may fail, and the verdict over a set.

use std::{collections::BTreeMap, fs, path::PathBuf};

use footplate_ci::yaml::{Node, Value};
use serde_json::{Value as Json, json};

/// The folder of a set; `None` when the conformance data is not on this machine (a failure in CI).
pub fn folder(set: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var("FOOTPLATE_CONFORMANCE")
        .unwrap_or_else(|_| "../shared/conformance".to_owned());
    let folder = workspace.join(root).join(set);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "the conformance data is missing: {}",
        folder.display()
    );
    println!(
        "!!! {set}: NOT RUN, there is no folder {}",
        folder.display()
    );
    None
}

/// Cases by name, with what is wrong with the failing ones.
#[derive(Default)]
pub struct Verdicts(BTreeMap<String, Option<String>>);

impl Verdicts {
    pub fn add(&mut self, name: impl Into<String>, fault: Option<String>) {
        self.0.insert(name.into(), fault);
    }

    /// Prints one line a failing case and one for the set, and compares with the pending list.
    pub fn judge(self, set: &str) {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pending/{set}.txt"));
        let pending: BTreeMap<String, String> = fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
            .collect();
        let mut unexpected = Vec::new();
        for (name, fault) in &self.0 {
            match (fault, pending.get(name)) {
                (Some(fault), None) => unexpected.push(format!("{name}: {fault}")),
                (Some(fault), Some(reason)) => println!("pending {name} ({reason}): {fault}"),
                (None, Some(_)) => {
                    unexpected.push(format!("{name}: passes, but is listed as pending"));
                }
                (None, None) => {}
            }
        }
        unexpected.iter().for_each(|line| println!("{line}"));
        let failed = self.0.values().filter(|fault| fault.is_some()).count();
        println!("{set}: {} passed, {failed} failed", self.0.len() - failed);
        assert!(!self.0.is_empty(), "{set}: no cases found");
        assert!(
            unexpected.is_empty(),
            "{set}: {} unexpected\n{}",
            unexpected.len(),
            unexpected
                .iter()
                .take(40)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// Case files are plain YAML 1.1: our own loader reads them, and JSON compares them.
pub fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => serde_json::from_str(&number.to_string()).unwrap(),
        Value::Float(number) => json!(number),
        Value::Str(text) | Value::Symbol(text) => json!(&**text),
        Value::Binary(_) => Json::Null,
        Value::Seq(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|entry| {
                    (
                        entry
                            .key
                            .as_str()
                            .map_or_else(|| to_json(&entry.key).to_string(), str::to_owned),
                        to_json(&entry.value),
                    )
                })
                .collect(),
        ),
        Value::Reference(argument) => json!({"$reference": to_json(argument)}),
    }
}
