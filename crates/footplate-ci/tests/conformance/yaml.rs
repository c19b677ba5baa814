//! What Psych makes of a text: value or exact message.

use std::{fs, path::Path};

use footplate_ci::yaml::{Limits, Node, Value, YamlError, load};
use serde_json::{Value as Json, json};

use crate::harness::{Verdicts, folder};

/// The tree in the notation of the recordings.
fn notation(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => serde_json::from_str(&number.to_string()).unwrap(),
        Value::Float(number) if number.is_nan() => json!({"$float": "NaN"}),
        Value::Float(number) if number.is_infinite() => {
            json!({"$float": if *number > 0.0 { "Infinity" } else { "-Infinity" }})
        }
        Value::Float(number) => json!(number),
        Value::Str(text) => json!(&**text),
        Value::Symbol(text) => json!({"$symbol": &**text}),
        Value::Binary(bytes) => {
            json!({"$binary": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
        }
        Value::Seq(items) => Json::Array(items.iter().map(notation).collect()),
        // The recording shows lists and texts only.
        Value::Reference(argument) if argument.as_map().is_some() => json!({"$reference": null}),
        Value::Reference(argument) => json!({"$reference": notation(argument)}),
        Value::Map(map) => {
            let plain = map.iter().all(
                |entry| matches!(&entry.key.value, Value::Str(text) if !text.starts_with('$')),
            );
            if plain {
                Json::Object(
                    map.iter()
                        .map(|entry| {
                            (
                                entry.key.as_str().unwrap().to_owned(),
                                notation(&entry.value),
                            )
                        })
                        .collect(),
                )
            } else {
                json!({"$map": map.iter().map(|entry| json!([notation(&entry.key), notation(&entry.value)])).collect::<Vec<_>>()})
            }
        }
    }
}

/// Equal, the order of keys and the kind of numbers included.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| k == l && same(v, w))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w))
        }
        (Json::Number(a), Json::Number(b)) => {
            a.to_string() == b.to_string() || (a.is_f64() && b.is_f64() && a.as_f64() == b.as_f64())
        }
        _ => one == other,
    }
}

fn compare(text: &[u8], expected: &Json) -> Option<String> {
    // The recordings were made without GitLab's size guard.
    let limits = Limits {
        bytes: 1 << 30,
        depth: 1000,
        ..Limits::default()
    };
    let got = load(text, 0, limits);
    if let Some(message) = expected.get("error") {
        return match got {
            Err(error) if error.to_string() == message.as_str().unwrap_or_default() => None,
            Err(error) => Some(format!("expected {message}, got {error:?}")),
            Ok(node) => Some(format!("expected {message}, got {}", notation(&node))),
        };
    }
    if expected.get("recursive").is_some() {
        return if got.as_ref().err() == Some(&YamlError::TooBig) {
            None
        } else {
            Some("an alias inside itself was accepted".to_owned())
        };
    }
    match got {
        Ok(node) if same(&notation(&node), &expected["json"]) => None,
        Ok(node) => Some(format!(
            "expected {}, got {}",
            expected["json"],
            notation(&node)
        )),
        Err(error) => Some(format!("expected {}, got {error}", expected["json"])),
    }
}

fn bytes(case: &Json) -> Vec<u8> {
    match case["hex"].as_str() {
        Some(hex) => (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect(),
        None => case["yaml"].as_str().unwrap().as_bytes().to_vec(),
    }
}

#[test]
fn yaml() {
    let Some(folder) = folder("yaml") else { return };
    let mut verdicts = Verdicts::default();
    let cases: Vec<Json> =
        serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    for (number, case) in cases.iter().enumerate() {
        verdicts.add(
            format!("{number} {}", case["name"].as_str().unwrap_or_default()),
            compare(&bytes(case), case),
        );
    }
    trees(
        &folder.join("trees"),
        &folder.join("trees"),
        &folder.join(".."),
        &mut verdicts,
    );
    verdicts.judge("yaml");
}

fn trees(folder: &Path, root: &Path, data: &Path, verdicts: &mut Verdicts) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            trees(&path, root, data, verdicts);
            continue;
        }
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let name = name.strip_suffix(".json").unwrap_or(&name).to_owned();
        let expected: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let fault = match fs::read(data.join(&name)) {
            Ok(text) => compare(&text, &expected),
            Err(error) => Some(format!("{name}: {error}")),
        };
        verdicts.add(name, fault);
    }
}
