//! The schema that editors get: that it is one, and that it judges the conformance files as the server does where it can.

mod validator;

use std::path::{Path, PathBuf};

use footplate_ci::yaml::{Limits, load};
use serde_json::{Map, Value as Json, json};
use validator::Validator;

const SCHEMA: &str = include_str!("../assets/ci-schema.json");

/// What a schema cannot know, such as projects that are not there, is wrong in few files only: one in twenty may be misjudged.
const MISJUDGED: usize = 20;

fn schema() -> Json {
    serde_json::from_str(SCHEMA).unwrap_or_else(|error| panic!("{error}"))
}

fn conformance() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("FOOTPLATE_CONFORMANCE").map(PathBuf::from);
    let folder = root
        .join(named.unwrap_or_else(|| PathBuf::from("../shared/conformance")))
        .join("ci-schema");
    folder.is_dir().then_some(folder)
}

/// A file as JSON; `None` = it is no YAML.
fn read(path: &Path) -> Option<Json> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{error}"));
    let node = load(&text, 0, Limits::default()).ok()?;
    Some(footplate_ci::json(&node))
}

#[test]
fn it_is_a_schema_and_tells_of_every_keyword() {
    let schema = schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let validator = Validator::new(&schema);
    validator.assert_well_formed();
    let described = |keyword: &Json| {
        let target = keyword["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix("#/definitions/"));
        let target = target.map_or(keyword, |name| &schema["definitions"][name]);
        target["description"].is_string()
    };
    let keywords = schema["definitions"]["job"]["properties"]
        .as_object()
        .unwrap();
    let roots = schema["properties"].as_object().unwrap();
    for (name, keyword) in keywords.iter().chain(roots) {
        assert!(described(keyword), "{name} is not described");
    }
    // What the compiler knows, the schema knows too.
    for (known, _) in footplate_ci::keywords::PLAIN {
        assert!(keywords.contains_key(known), "{known} is missing");
    }
}

#[test]
fn the_conformance_files_are_judged_as_the_server_judges_them() {
    let Some(folder) = conformance() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "the conformance folder is absent"
        );
        eprintln!("THE CONFORMANCE FOLDER IS ABSENT: the schema was not tried on it");
        return;
    };
    let schema = schema();
    let validator = Validator::new(&schema);
    let expectations = read(&folder.join("expectations.yml")).unwrap_or_default();
    let (mut right, mut wrong) = (0, Vec::new());
    for (name, row) in expectations.as_object().unwrap() {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let positive = name.starts_with("positive/");
        let valid = match (row["expect"].as_str(), positive) {
            (Some("accept"), _) => true,
            (Some("reject"), false) => false,
            // Files that only the editor of GitLab minds, or lets through.
            _ => continue,
        };
        let found = match read(&path) {
            Some(config) => validator.fault(&config),
            None => Some("not YAML".to_owned()),
        };
        if found.is_none() == valid {
            right += 1;
        } else {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    println!(
        "ci-schema.json: {right} judged right, {} wrong",
        wrong.len()
    );
    println!("{}", wrong.join("\n"));
    assert!(wrong.len() * MISJUDGED <= right, "{}", wrong.join("\n"));
    assert!(right > 0);
}

#[test]
fn single_jobs_are_judged() {
    let schema = schema();
    let validator = Validator::new(&schema);
    let fault = |config: Json| validator.fault(&config);
    assert_eq!(
        fault(json!({".x": 5, "a": {"script": "x", "extends": ".x"}})),
        None
    );
    for wrong in [
        json!({"a": {"scrip": "x"}}),
        json!({"a": {"script": "x", "retry": 3}}),
        json!({"a": {"script": []}}),
        json!({"a": {"script": "x", "cache": [{}, {}, {}, {}, {}]}}),
        json!({"workflow": {"rules": [{"when": "manual"}]}}),
        json!({"include": [{"project": "g/p"}]}),
        json!({"default": {"stage": "x"}}),
        json!([]),
    ] {
        assert!(fault(wrong.clone()).is_some(), "{wrong}");
    }
    let empty = Json::Object(Map::new());
    assert_eq!(fault(empty), None);
}
