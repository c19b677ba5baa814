//! `secrets`: values that the runner fetches from a provider (`ci-yaml.md §19`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, text},
    yaml::{Map, Node, Value},
};

/// Providers: their fields, of which the first ones must be there.
const PROVIDERS: [(&str, &[&str], usize); 5] = [
    ("vault", &["engine", "path", "field"], 3),
    ("gcp_secret_manager", &["name", "version"], 1),
    ("azure_key_vault", &["name", "version"], 1),
    (
        "aws_secrets_manager",
        &[
            "secret_id",
            "version_id",
            "version_stage",
            "region",
            "role_arn",
            "role_session_name",
            "field",
        ],
        1,
    ),
    ("gitlab_secrets_manager", &["name", "source"], 1),
];
/// The engine of a Vault path that names none.
const ENGINE: &str = "kv-v2";

pub fn secrets(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    let mut out = serde_json::Map::new();
    for entry in map.iter() {
        let name = text(&entry.key);
        let at = format!("{at}:{name}");
        if let Some(inner) = check.map(&at, &entry.value) {
            out.insert(name, secret(check, &at, &entry.key, &entry.value, inner));
        }
    }
    Some(Json::Object(out))
}

fn secret(check: &mut Check, at: &str, key: &Node, node: &Node, map: &Map) -> Json {
    let faults = check.faults();
    let providers = PROVIDERS.map(|(name, _, _)| name);
    let allowed = [&providers[..], &["file", "token"]].concat();
    check.unknown_keys(at, map, &allowed);
    check.one_of_keys(at, key.span, map, &providers);
    if let Some(file) = given(map, "file") {
        check.boolean(at, "file", file);
    }
    if let Some(token) = given(map, "token") {
        check.string(at, "token", token);
    } else if map.get("gcp_secret_manager").is_some() {
        check.error(
            key.span,
            format!("{at} token is required with gcp secrets manager"),
        );
    }
    let mut out = to_json(node);
    if !check.sound_since(faults) {
        return out;
    }
    for (provider, fields, required) in PROVIDERS {
        if let Some(value) = map.get(provider) {
            let at = format!("{at}:{provider}");
            source(check, &at, value, fields, &fields[..required]);
            if let ("vault", Some(path)) = (provider, value.as_str()) {
                out["vault"] = vault(path);
            }
        }
    }
    out
}

fn source(check: &mut Check, at: &str, node: &Node, fields: &[&str], required: &[&str]) {
    let short = at.ends_with(":vault") || at.ends_with(":aws_secrets_manager");
    match &node.value {
        Value::Str(_) | Value::Symbol(_) if short => {
            check.present(at, "config", node.span, Some(node));
        }
        Value::Map(map) => {
            check.unknown_keys(at, map, fields);
            for field in required {
                let attribute = field.replace('_', " ");
                if *field == "engine" {
                    engine(check, at, node, given(map, field));
                } else {
                    check.needed_string(at, &attribute, node.span, given(map, field));
                }
            }
        }
        _ if short => check.error(
            node.span,
            format!("{at} config should be a hash or a string"),
        ),
        _ => check.error(node.span, format!("{at} config should be a hash")),
    }
}

fn engine(check: &mut Check, at: &str, secret: &Node, node: Option<&Node>) {
    check.present(at, "engine", secret.span, node);
    let Some(node) = node else { return };
    let at = format!("{at}:engine");
    if let Some(map) = check.map(&at, node) {
        check.unknown_keys(&at, map, &["name", "path"]);
        for field in ["name", "path"] {
            check.needed_string(&at, field, node.span, given(map, field));
        }
    }
}

/// `path/field@engine` in its long form.
fn vault(text: &str) -> Json {
    let (location, engine) = text.rsplit_once('@').unwrap_or((text, ENGINE));
    let (path, field) = location.rsplit_once('/').unwrap_or((location, ""));
    json!({"engine": {"name": ENGINE, "path": engine}, "path": path, "field": field})
}
