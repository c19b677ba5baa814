//! `artifacts` (`ci-yaml.md §15`).

use serde_json::Value as Json;

use crate::{
    check::{Check, given, json as to_json, text},
    yaml::{Map, Node},
};

const KEYS: [&str; 10] = [
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
];
const REPORTS: [&str; 27] = [
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
];
const COVERAGE_FORMATS: [&str; 2] = ["cobertura", "jacoco"];

pub fn artifacts(check: &mut Check, at: &str, node: &Node) -> Option<Json> {
    let map = check.map(at, node)?;
    let faults = check.faults();
    check.unknown_keys(at, map, &KEYS);
    check.exclusive_keys(at, node, map, &["access", "public"]);
    collected(check, at, map);
    if let Some(expose) = given(map, "expose_as") {
        expose_as(check, at, expose, given(map, "paths"));
    }
    let reports_map =
        given(map, "reports").and_then(|reports| check.map_field(at, "reports", reports));
    if let Some(when) = given(map, "when") {
        check.one_of(at, "when", when, &["on_success", "on_failure", "always"]);
    }
    if let Some(expire) = given(map, "expire_in") {
        lasting(check, at, expire);
    }
    if let Some(access) = given(map, "access") {
        let words = ["none", "developer", "all", "maintainer"];
        check.one_of(at, "access", access, &words);
    }
    if !check.sound_since(faults) {
        return None;
    }
    let mut out = to_json(node);
    if let Some(reports_map) = reports_map {
        out["reports"] = reports(check, &format!("{at}:reports"), reports_map);
    }
    Some(out)
}

/// What goes into the archive, and who may see it.
fn collected(check: &mut Check, at: &str, map: &Map) {
    if let Some(name) = given(map, "name") {
        check.string(at, "name", name);
    }
    for key in ["untracked", "public"] {
        if let Some(value) = given(map, key) {
            check.boolean(at, key, value);
        }
    }
    for key in ["paths", "exclude"] {
        if let Some(value) = given(map, key) {
            check.strings(at, key, value);
        }
    }
}

/// A duration, or `never`.
pub(super) fn lasting(check: &mut Check, at: &str, node: &Node) {
    let never = node
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case("never"));
    if !never {
        check.duration(at, "expire in", node, None);
    }
}

fn expose_as(check: &mut Check, at: &str, node: &Node, paths: Option<&Node>) {
    let name = text(node);
    check.string(at, "expose as", node);
    check.at_most(at, "expose as", node, 100);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(word) || !name.chars().all(|c| word(c) || c == '-' || c == ' ') {
        check.error(
            node.span,
            format!("{at} expose as can contain only letters, digits, '-', '_' and spaces"),
        );
    }
    check.present(at, "paths", node.span, paths);
    let starred = |path: &Node| path.as_str().is_some_and(|path| path.contains('*'));
    if let Some(paths) = paths
        && paths.as_seq().is_some_and(|list| list.iter().any(starred))
    {
        check.error(
            paths.span,
            format!("{at} paths can't contain '*' when used with 'expose_as'"),
        );
    }
}

fn reports(check: &mut Check, at: &str, map: &Map) -> Json {
    let faults = check.faults();
    check.unknown_keys(at, map, &REPORTS);
    let mut out = serde_json::Map::new();
    for name in REPORTS.iter().filter(|name| **name != "coverage_report") {
        if let Some(value) = given(map, name) {
            let attribute = name.replace('_', " ");
            out.extend(
                check
                    .string_or_strings(at, &attribute, value)
                    .map(|value| ((*name).to_owned(), value.into())),
            );
        }
    }
    if let Some(value) = given(map, "coverage_report").filter(|_| check.sound_since(faults)) {
        coverage_report(check, &format!("{at}:coverage_report"), value);
        out.insert("coverage_report".to_owned(), to_json(value));
    }
    Json::Object(out)
}

fn coverage_report(check: &mut Check, at: &str, node: &Node) {
    let Some(map) = check.map(at, node) else {
        return;
    };
    check.unknown_keys(at, map, &["coverage_format", "path"]);
    let format = given(map, "coverage_format");
    check.present(at, "coverage format", node.span, format);
    if !format
        .and_then(Node::as_str)
        .is_some_and(|word| COVERAGE_FORMATS.contains(&word))
    {
        check.error(
            format.map_or(node.span, |format| format.span),
            format!(
                "{at} coverage format must be one of supported formats: {}.",
                COVERAGE_FORMATS.join(", ")
            ),
        );
    }
    check.needed_string(at, "path", node.span, given(map, "path"));
}
