//! How a job runs: scripts, tags, retry, timeout, tokens, steps (`ci-yaml.md §8`, `§19`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, text},
    yaml::{Map, Node, Value},
};

const MONTH: f64 = 2_592_000.0;

pub fn script(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check.script(at, node).map(Json::from)
}

pub fn hooks(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &["pre_get_sources_script"]);
    let lines = given(map, "pre_get_sources_script")
        .and_then(|node| check.script(&format!("{at}:pre_get_sources_script"), node));
    Some(json!({"pre_get_sources_script": lines.unwrap_or_default()}))
}

pub fn tags(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let mut list = Vec::new();
    let fits = node
        .as_seq()
        .is_some_and(|items| crate::check::flatten(items, 1, &mut list));
    if !fits {
        check.error(
            node.span,
            format!("{at} config should be an array of strings"),
        );
        return None;
    }
    if list.len() >= 50 {
        check.error(
            node.span,
            format!("{at} config must be less than the limit of 50 tags"),
        );
        return None;
    }
    Some(list.into())
}

pub fn timeout(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check
        .duration(at, "config", node, Some(MONTH))
        .map(|seconds| Json::from(seconds as i64))
}

pub fn interruptible(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    check.boolean(at, "config", node).map(Json::from)
}

const REASONS: [&str; 22] = [
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "runner_system_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "server_timeout_running",
    "server_timeout_canceling",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
];

pub fn retry(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Int(_) => retry_max(check, at, "config", node).map(|max| json!({"max": max})),
        Value::Map(map) => retry_map(check, at, map),
        _ => {
            check.error(
                node.span,
                format!("{at} config has to be either an integer or a hash"),
            );
            None
        }
    }
}

fn retry_max(check: &mut Check, at: &str, attribute: &str, node: &Node) -> Option<i64> {
    let Value::Int(max) = node.value else {
        check.error(node.span, format!("{at} {attribute} must be an integer"));
        return None;
    };
    let bound = if max < 0 {
        Some("greater than or equal to 0")
    } else {
        (max > 2).then_some("less than or equal to 2")
    };
    if let Some(bound) = bound {
        check.error(node.span, format!("{at} {attribute} must be {bound}"));
        return None;
    }
    i64::try_from(max).ok()
}

fn retry_map(check: &mut Check, at: &str, map: &Map) -> Option<Json> {
    check.unknown_keys(at, map, &["max", "when", "exit_codes"]);
    let mut out = serde_json::Map::new();
    if let Some(max) = given(map, "max").and_then(|node| retry_max(check, at, "max", node)) {
        out.insert("max".to_owned(), max.into());
    }
    if let Some(node) = given(map, "when") {
        let reasons = check.string_or_strings(at, "when", node)?;
        let unknown: Vec<&str> = reasons
            .iter()
            .map(String::as_str)
            .filter(|reason| !REASONS.contains(reason))
            .collect();
        if !unknown.is_empty() {
            let message = if node.as_seq().is_some() {
                format!("contains unknown values: {}", unknown.join(", "))
            } else {
                "is not included in the list".to_owned()
            };
            check.error(node.span, format!("{at} when {message}"));
        }
        out.insert("when".to_owned(), reasons.into());
    }
    if let Some(codes) =
        given(map, "exit_codes").and_then(|node| check.integers(at, "exit codes", node))
    {
        out.insert("exit_codes".to_owned(), codes.into());
    }
    Some(Json::Object(out))
}

pub fn id_tokens(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    for entry in map.iter() {
        let at = format!("{at}:{}", text(&entry.key));
        let Some(token) = check.map(&at, &entry.value) else {
            continue;
        };
        check.unknown_keys(&at, token, &["aud"]);
        match given(token, "aud") {
            None => check.error(
                entry.key.span,
                format!("{at} config missing required keys: aud"),
            ),
            Some(aud) => {
                check.string_or_strings(&at, "aud", aud);
            }
        }
    }
    Some(to_json(node))
}

const PROVIDERS: [&str; 5] = [
    "vault",
    "gcp_secret_manager",
    "azure_key_vault",
    "aws_secrets_manager",
    "gitlab_secrets_manager",
];

pub fn secrets(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    for entry in map.iter() {
        let at = format!("{at}:{}", text(&entry.key));
        let Some(secret) = check.map(&at, &entry.value) else {
            continue;
        };
        let mut allowed = PROVIDERS.to_vec();
        allowed.extend(["file", "token"]);
        check.unknown_keys(&at, secret, &allowed);
        if PROVIDERS
            .iter()
            .filter(|provider| secret.get(provider).is_some())
            .count()
            != 1
        {
            check.error(
                entry.key.span,
                format!(
                    "{at} config must use exactly one of these keys: {}",
                    PROVIDERS.join(", ")
                ),
            );
        }
        if let Some(file) = given(secret, "file") {
            check.boolean(&at, "file", file);
        }
        if secret.get("gcp_secret_manager").is_some() && given(secret, "token").is_none() {
            check.error(
                entry.key.span,
                format!("{at} token is required with gcp secrets manager"),
            );
        }
    }
    Some(to_json(node))
}

pub fn identity(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    if node.as_str() != Some("google_cloud") {
        check.error(
            node.span,
            format!("{at} config should be one of: google_cloud"),
        );
    }
    Some(to_json(node))
}

pub fn pages(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Bool(_) => Some(to_json(node)),
        Value::Map(map) => {
            check.unknown_keys(at, map, &["publish", "path_prefix", "expire_in"]);
            for (key, attribute) in [("publish", "publish"), ("path_prefix", "path prefix")] {
                if let Some(value) = given(map, key) {
                    check.string(at, attribute, value);
                }
            }
            if let Some(value) =
                given(map, "expire_in").filter(|value| value.as_str() != Some("never"))
            {
                check.duration(at, "expire in", value, None);
            }
            Some(to_json(node))
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config should be a hash or a boolean value"),
            );
            None
        }
    }
}

pub fn dast_configuration(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &["site_profile", "scanner_profile"]);
    for (key, attribute) in [
        ("site_profile", "site profile"),
        ("scanner_profile", "scanner profile"),
    ] {
        if let Some(value) = given(map, key) {
            check.string(at, attribute, value);
        }
    }
    Some(to_json(node))
}

pub fn inputs(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    if map.len() > 50 {
        check.error(
            node.span,
            format!("{at} config has too many inputs (maximum 50)"),
        );
    }
    for entry in map.iter() {
        if entry
            .value
            .as_map()
            .and_then(|definition| definition.get("default"))
            .is_none()
        {
            check.error(
                entry.key.span,
                format!(
                    "{at}:{} config missing required keys: default",
                    text(&entry.key)
                ),
            );
        }
    }
    Some(to_json(node))
}

/// Steps; their faults are worded by a JSON schema (`ci-yaml.md §8.12`).
pub fn run(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let job = at.strip_suffix(":run").unwrap_or(at).to_owned();
    let Some(steps) = node.as_seq() else {
        check.error(
            node.span,
            format!("{job} run value at root is not an array"),
        );
        return None;
    };
    for (number, step) in steps.iter().enumerate() {
        let fail = |check: &mut Check, message: String| {
            check.error(step.span, format!("{job} run {message}"));
        };
        let Some(map) = step.as_map() else {
            fail(check, format!("value at `/{number}` is not an object"));
            continue;
        };
        if given(map, "name").is_none() {
            fail(
                check,
                format!("object at `/{number}` is missing required properties: name"),
            );
        } else if ["step", "func", "script"]
            .iter()
            .all(|key| given(map, key).is_none())
        {
            fail(
                check,
                format!("object at `/{number}` is missing required properties: step"),
            );
        }
        for entry in map.iter() {
            let key = text(&entry.key);
            if !["name", "step", "func", "script", "env", "inputs"].contains(&key.as_str()) {
                fail(
                    check,
                    format!(
                        "object property at `/{number}/{key}` is a disallowed additional property"
                    ),
                );
            }
        }
        for entry in given(map, "env")
            .and_then(Node::as_map)
            .into_iter()
            .flat_map(Map::iter)
        {
            if entry.value.as_str().is_none() {
                fail(
                    check,
                    format!(
                        "value at `/{number}/env/{}` is not a string",
                        text(&entry.key).to_lowercase()
                    ),
                );
            }
        }
    }
    Some(to_json(node))
}
