//! The shapes of `ci-compile` that need no whole configuration.

use std::{fs, sync::Arc};

use footplate_ci::{
    durations,
    expr::{self, Expr, Outcome},
    extends, inputs, paths, reference,
    variables::{self, DirectOptions, SortOptions, Variable},
    yaml::{Limits, Map, Node, Span, Value, load},
};
use serde_json::{Value as Json, json};

use crate::harness::{folder, to_json};

fn from_json(value: &Json) -> Node {
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number.as_i64().map_or_else(
            || Value::Float(number.as_f64().unwrap()),
            |n| Value::Int(n.into()),
        ),
        Json::String(text) => Value::Str(text.as_str().into()),
        Json::Array(items) => Value::Seq(items.iter().map(from_json).collect()),
        Json::Object(map) => Value::Map(Arc::new(to_map(map))),
    };
    Node::new(value, Span::default())
}

fn to_map(object: &serde_json::Map<String, Json>) -> Map {
    let mut map = Map::default();
    for (key, value) in object {
        map.insert(
            Node::new(Value::Str(key.as_str().into()), Span::default()),
            from_json(value),
        );
    }
    map
}

/// Every case of every file, by `file: name`.
pub fn cases() -> Option<Vec<(String, Node, Json)>> {
    let folder = folder("ci-compile")?;
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let limits = Limits {
            bytes: 1 << 30,
            depth: 1000,
            ..Limits::default()
        };
        let list = load(&fs::read(&path).unwrap(), 0, limits)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in list.as_seq().unwrap_or_else(|| panic!("{file} is no list")) {
            let as_json = to_json(case);
            cases.push((
                format!("{file}: {}", as_json["name"].as_str().unwrap_or_default()),
                case.clone(),
                as_json,
            ));
        }
    }
    Some(cases)
}

fn variable_list(value: &Json) -> Vec<Variable> {
    let flag = |entry: &Json, key: &str| entry[key].as_bool().unwrap_or(false);
    let text = |value: &Json| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match value {
        Json::Array(list) => list
            .iter()
            .map(|entry| Variable {
                level: Default::default(),
                key: text(&entry["key"]),
                value: text(&entry["value"]),
                raw: flag(entry, "raw"),
                file: flag(entry, "file"),
                masked: flag(entry, "masked"),
                public: false,
            })
            .collect(),
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| Variable {
                key: key.clone(),
                value: text(value),
                ..Variable::default()
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn strings(value: &Json) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn differ(expected: &Json, got: &Json) -> Option<String> {
    (expected != got).then(|| format!("expected {expected}, got {got}"))
}

fn same_set(expected: &Json, got: &[String]) -> Option<String> {
    let (mut one, mut other) = (strings(expected), got.to_vec());
    one.sort();
    one.dedup();
    other.sort();
    other.dedup();
    (one != other).then(|| format!("expected {one:?}, got {other:?}"))
}

fn expression(case: &Json) -> Option<String> {
    let text = case["expr"].as_str().unwrap();
    let parsed = Expr::parse(text);
    if let Some(expected) = case.get("tokens") {
        return match expr::tokens(text) {
            Ok(tokens) => differ(
                expected,
                &json!(tokens.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ),
            Err(error) => Some(error.to_string()),
        };
    }
    if case.get("lexer_error").is_some() {
        return expr::tokens(text)
            .is_ok()
            .then(|| "the lexer accepts it".to_owned());
    }
    if case.get("parse_error").is_some() {
        return parsed.is_ok().then(|| "the parser accepts it".to_owned());
    }
    if let Some(tree) = case.get("tree") {
        return match parsed {
            Ok(parsed) => differ(tree, &json!(parsed.tree())),
            Err(error) => Some(error.to_string()),
        };
    }
    let evaluation = parsed
        .ok()
        .map(|parsed| parsed.evaluate(|name| case["variables"][name].as_str().map(str::to_owned)));
    if let Some(expected) = case.get("value") {
        let got = match evaluation.as_ref().map(|evaluation| &evaluation.value) {
            None => json!("syntax error"),
            Some(Outcome::Nil) => Json::Null,
            Some(Outcome::Bool(flag)) => json!(flag),
            Some(Outcome::Text(text)) => json!(&**text),
        };
        if expected != &got {
            return differ(expected, &got);
        }
    }
    case.get("truthful").and_then(|expected| {
        differ(
            expected,
            &json!(evaluation.is_some_and(|evaluation| evaluation.truthful())),
        )
    })
}

fn tree(node: &Node, case: &Json) -> Option<String> {
    let (map, extending) = if case["op"] == "extends" {
        (node.as_map().unwrap().get("input").unwrap().clone(), true)
    } else {
        (
            load(
                case["text"].as_str().unwrap().as_bytes(),
                0,
                Limits::default(),
            )
            .unwrap(),
            false,
        )
    };
    let root = map.as_map().unwrap().clone();
    let resolved = if extending {
        extends::resolve(root).map_err(|error| error.to_string())
    } else {
        reference::resolve(root).map_err(|error| error.to_string())
    };
    match (resolved, case["error"].as_str()) {
        (Err(message), Some(expected))
            if message == expected || (extending && message.contains(expected)) =>
        {
            None
        }
        (Err(message), _) => Some(message),
        (Ok(_), Some(expected)) => Some(format!("expected {expected}")),
        (Ok(map), None) => {
            let got = to_json(&Node::new(Value::Map(Arc::new(map)), Span::default()));
            match case.get("contains") {
                Some(part) => part
                    .as_object()
                    .unwrap()
                    .iter()
                    .find_map(|(key, value)| differ(value, &got[key])),
                None => differ(&case["output"], &got),
            }
        }
    }
}

fn interpolation(case: &Json) -> Option<String> {
    let given = case["inputs"].as_object().map(to_map).unwrap_or_default();
    match inputs::load_with_inputs(
        case["text"].as_str().unwrap(),
        0,
        &given,
        &variable_list(&case["variables"]),
        Limits::default(),
    ) {
        Ok(node) if case.get("error").is_none() => differ(&case["result"], &to_json(&node)),
        Ok(node) => Some(format!(
            "expected {}, got {}",
            case["error"],
            to_json(&node)
        )),
        Err(error) if case["error"] == json!(true) || case["error"] == json!(error.to_string()) => {
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

fn direct(case: &Json) -> Option<String> {
    let variables = variable_list(&case["variables"]);
    let option = |key: &str, default| case["options"][key].as_bool().unwrap_or(default);
    let options = DirectOptions {
        expand_file_refs: option("expand_file_refs", true),
        fail_on_masked: option("fail_on_masked", false),
    };
    let text = case["value"].as_str().unwrap();
    let both = [
        ("expand", variables::expand(text, &variables, options)),
        (
            "expand_existing",
            variables::expand_existing(text, &variables, options),
        ),
    ];
    both.into_iter()
        .find_map(|(key, got)| match (got, case["error"].as_str()) {
            (Ok(got), None) => differ(&case[key], &json!(got)),
            (Err(error), Some(expected)) if error.to_string() == expected => None,
            (got, _) => Some(format!("{key}: {got:?}")),
        })
}

fn collection(case: &Json) -> Option<String> {
    let list = variable_list(&case["variables"]);
    let option = |key: &str, default| case["options"][key].as_bool().unwrap_or(default);
    let options = SortOptions {
        keep_undefined: option("keep_undefined", false),
        expand_raw_refs: option("expand_raw_refs", true),
        expand_file_refs: option("expand_file_refs", true),
    };
    let expanded = variables::sort_and_expand(&list, options);
    if let Some(message) = case.get("error") {
        let got = expanded.as_ref().err().map(ToString::to_string);
        if got.as_deref() != message.as_str() {
            return Some(format!("expected {message}, got {got:?}"));
        }
    }
    if let Some(keys) = case.get("sorted_keys") {
        let got = variables::sorted(&list).map(|order| {
            order
                .into_iter()
                .map(|index| list[index].key.clone())
                .collect::<Vec<_>>()
        });
        if let Some(fault) = differ(keys, &json!(got.unwrap_or_default())) {
            return Some(fault);
        }
    }
    let values: serde_json::Map<String, Json> = expanded
        .unwrap_or(list)
        .into_iter()
        .map(|variable| (variable.key, json!(variable.value)))
        .collect();
    ["expanded", "to_hash"].iter().find_map(|key| {
        case.get(*key)
            .and_then(|expected| differ(expected, &Json::Object(values.clone())))
    })
}

fn path_patterns(case: &Json) -> Option<String> {
    let list = variable_list(&case["variables"]);
    let list = variables::sort_and_expand(&list, SortOptions::default()).unwrap_or(list);
    let mut files = strings(&case["paths"]);
    let got = if case["kind"] == "changes" {
        paths::changes(
            &strings(&case["globs"]),
            (!case["paths"].is_null()).then_some(&files),
            &list,
        )
    } else {
        files.sort();
        paths::exists(&strings(&case["globs"]), &files, &list)
    };
    differ(&case["match"], &json!(got.matched))
}

fn duration(case: &Json) -> Option<String> {
    let text = case["duration"].as_str().unwrap();
    let never = text.eq_ignore_ascii_case("never");
    if case["never"] == json!(true) {
        return (!never).then(|| "not read as never".to_owned());
    }
    let got = durations::parse(text).ok().flatten();
    differ(&case["valid"], &json!(got.is_some())).or_else(|| {
        case["seconds"]
            .as_f64()
            .and_then(|seconds| (got != Some(seconds)).then(|| format!("got {got:?}")))
    })
}

/// The verdict over a case of one of these shapes; `None` for a whole configuration.
pub fn judge(node: &Node, case: &Json) -> Option<Option<String>> {
    let has = |key: &str| case.get(key).is_some();
    Some(if has("files") {
        return None;
    } else if has("expr") {
        expression(case)
    } else if has("op") {
        tree(node, case)
    } else if has("text") {
        interpolation(case)
    } else if has("spec") {
        match inputs::check(
            &to_map(case["spec"].as_object().unwrap()),
            &to_map(case["inputs"].as_object().unwrap()),
        ) {
            Ok(values) if !has("errors") => differ(
                &case["result"],
                &to_json(&Node::new(Value::Map(Arc::new(values)), Span::default())),
            ),
            Ok(_) => Some(format!("expected {}", case["errors"])),
            Err(errors) => same_set(&case["errors"], &errors),
        }
    } else if has("functions") {
        let functions = strings(&case["functions"]);
        let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
        match inputs::run_functions(
            &functions,
            from_json(&case["input"]),
            &variable_list(&case["variables"]),
        ) {
            Ok(value) if !has("errors") => differ(&case["result"], &to_json(&value)),
            Ok(value) => Some(format!(
                "expected {}, got {}",
                case["errors"],
                to_json(&value)
            )),
            Err(errors) => same_set(&case["errors"], &errors),
        }
    } else if has("globs") {
        path_patterns(case)
    } else if has("value") {
        direct(case)
    } else if has("variables") {
        collection(case)
    } else if has("duration") {
        duration(case)
    } else {
        Some("a case of a shape that nobody knows".to_owned())
    })
}
