//! `artifacts` (`ci-yaml.md §15`).

use serde_json::{Value as Json, json};

use crate::{
    check::{Check, given, json as to_json, text},
    yaml::{Map, Node, Value},
};

const KEYS: [&str; 11] = [
    "name",
    "untracked",
    "paths",
    "reports",
    "when",
    "expire_in",
    "expose_as",
    "exclude",
    "public",
    "access",
    "reports_access",
];
const REPORTS: [&str; 31] = [
    "accessibility",
    "annotations",
    "api_fuzzing",
    "browser_performance",
    "performance",
    "cluster_image_scanning",
    "codequality",
    "container_scanning",
    "coverage_fuzzing",
    "coverage_report",
    "cyclonedx",
    "dast",
    "dependency_scanning",
    "dotenv",
    "junit",
    "license_scanning",
    "load_performance",
    "lsif",
    "scip",
    "metrics",
    "repository_xray",
    "requirements",
    "requirements_v2",
    "sarif",
    "sast",
    "secret_detection",
    "terraform",
    "jacoco",
    "network_referee",
    "metrics_referee",
    "license_management",
];

pub fn artifacts(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &KEYS[..10]);
    let paths = given(map, "paths").and_then(|paths| check.strings(at, "paths", paths));
    if let Some(exclude) = given(map, "exclude") {
        check.strings(at, "exclude", exclude);
    }
    for key in ["untracked", "public"] {
        if let Some(value) = given(map, key) {
            check.boolean(at, key, value);
        }
    }
    if let Some(name) = given(map, "name") {
        check.string(at, "name", name);
    }
    if let Some(when) = given(map, "when") {
        check.one_of(at, "when", when, &["on_success", "on_failure", "always"]);
    }
    if let Some(access) = given(map, "access") {
        check.one_of(
            at,
            "access",
            access,
            &["none", "developer", "all", "maintainer"],
        );
        if given(map, "public").is_some() {
            check.error(
                access.span,
                format!("{at} config these keys cannot be used together: public, access"),
            );
        }
    }
    if let Some(expire) = given(map, "expire_in").filter(|expire| {
        expire
            .as_str()
            .is_none_or(|text| !text.eq_ignore_ascii_case("never"))
    }) {
        check.duration(at, "expire in", expire, None);
    }
    if let Some(expose) = given(map, "expose_as") {
        expose_as(check, at, expose, paths.as_deref());
    }
    let mut out = to_json(node);
    if let Some(reports_node) = given(map, "reports") {
        match reports_node.as_map() {
            Some(reports_map) => {
                out["reports"] = reports(check, &format!("{at}:reports"), reports_map);
            }
            None => check.error(reports_node.span, format!("{at} reports should be a hash")),
        }
    }
    Some(out)
}

fn expose_as(check: &mut Check, at: &str, node: &Node, paths: Option<&[String]>) {
    let Some(name) = check.string(at, "expose as", node) else {
        return;
    };
    if name.chars().count() > 100 {
        check.error(
            node.span,
            format!("{at} expose as is too long (maximum is 100 characters)"),
        );
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(word) || !name.chars().all(|c| word(c) || c == '-' || c == ' ') {
        check.error(
            node.span,
            format!("{at} expose as can contain only letters, digits, '-', '_' and spaces"),
        );
    }
    match paths {
        None | Some([]) => check.error(node.span, format!("{at} paths can't be blank")),
        Some(paths) if paths.iter().any(|path| path.contains('*')) => {
            check.error(
                node.span,
                format!("{at} paths can't contain '*' when used with 'expose_as'"),
            );
        }
        Some(_) => {}
    }
}

fn reports(check: &mut Check, at: &str, map: &Map) -> Json {
    check.unknown_keys(at, map, &REPORTS[..27]);
    let mut out = serde_json::Map::new();
    for entry in map.iter().filter(|entry| !entry.value.is_null()) {
        let key = text(&entry.key);
        if key == "coverage_report" {
            out.extend(
                coverage_report(check, &format!("{at}:coverage_report"), &entry.value)
                    .map(|value| (key, value)),
            );
        } else {
            let attribute = key.replace('_', " ");
            out.extend(
                check
                    .string_or_strings(at, &attribute, &entry.value)
                    .map(|value| (key, value.into())),
            );
        }
    }
    Json::Object(out)
}

fn coverage_report(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    check.unknown_keys(at, map, &["coverage_format", "path"]);
    match given(map, "coverage_format") {
        None => check.error(node.span, format!("{at} coverage format can't be blank")),
        Some(format) => {
            check.one_of(at, "coverage format", format, &["cobertura", "jacoco"]);
        }
    }
    match given(map, "path").map(|path| &path.value) {
        Some(Value::Str(path)) if !path.is_empty() => {}
        Some(Value::Str(_)) | None => check.error(node.span, format!("{at} path can't be blank")),
        Some(_) => check.error(node.span, format!("{at} path should be a string")),
    }
    Some(json!(to_json(node)))
}
