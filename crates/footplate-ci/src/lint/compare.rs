//! Two objects of [`super::report`] side by side.

use serde_json::{Map, Value as Json, json};

/// What is different in `b`: jobs that only one of them has, and the facts of jobs that both have.
pub fn compare(a: &Json, b: &Json) -> Json {
    let empty = Map::new();
    let (in_a, in_b) = (
        a["jobs"].as_object().unwrap_or(&empty),
        b["jobs"].as_object().unwrap_or(&empty),
    );
    let missing = |from: &Map<String, Json>, of: &Map<String, Json>| -> Vec<String> {
        let names = of.keys().filter(|name| !from.contains_key(*name));
        names.cloned().collect()
    };
    let changed: Map<String, Json> = in_a
        .iter()
        .filter_map(|(name, job)| {
            let facts = changed_facts(job, in_b.get(name)?);
            (!facts.is_empty()).then(|| (name.clone(), Json::Object(facts)))
        })
        .collect();
    let whole: Map<String, Json> = ["valid", "pipeline", "errors", "stages"]
        .into_iter()
        .filter(|key| a[*key] != b[*key])
        .map(|key| (key.to_owned(), json!({"a": a[key], "b": b[key]})))
        .collect();
    json!({
        "pipeline": whole, "only_in_a": missing(in_b, in_a), "only_in_b": missing(in_a, in_b), "changed": changed,
    })
}

fn changed_facts(a: &Json, b: &Json) -> Map<String, Json> {
    let keys = a.as_object().into_iter().chain(b.as_object());
    let mut changed = Map::new();
    for key in keys.flat_map(Map::keys) {
        if a[key] == b[key] || changed.contains_key(key) {
            continue;
        }
        // Every job sees dozens of variables: only those that differ are of interest.
        let (a, b) = if key == "scoped_variables" {
            (
                only_different(&a[key], &b[key]),
                only_different(&b[key], &a[key]),
            )
        } else {
            (a[key].clone(), b[key].clone())
        };
        changed.insert(key.clone(), json!({"a": a, "b": b}));
    }
    changed
}

fn only_different(own: &Json, other: &Json) -> Json {
    let own = own.as_object().into_iter().flatten();
    own.filter(|(key, value)| other.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_jobs_and_facts_that_differ() {
        let a = json!({"valid": true, "pipeline": "created", "errors": [], "stages": [], "jobs": {
            "build": {"when": "manual", "scoped_variables": {"A": "1", "B": "2"}}, "lint": {"when": "always"}, "same": {"x": 1}}});
        let b = json!({"valid": true, "pipeline": "created", "errors": [], "stages": [], "jobs": {
            "build": {"when": "on_success", "start_in": "1 day", "scoped_variables": {"A": "1", "B": "3", "C": "4"}},
            "deploy": {}, "same": {"x": 1}}});
        assert_eq!(
            compare(&a, &b),
            json!({"pipeline": {}, "only_in_a": ["lint"], "only_in_b": ["deploy"], "changed": {"build": {
                "when": {"a": "manual", "b": "on_success"},
                "scoped_variables": {"a": {"B": "2"}, "b": {"B": "3", "C": "4"}},
                "start_in": {"a": null, "b": "1 day"}}}})
        );
        assert_eq!(
            compare(&a, &a),
            json!({"pipeline": {}, "only_in_a": [], "only_in_b": [], "changed": {}})
        );
    }

    #[test]
    fn shows_what_became_of_the_pipeline() {
        let a =
            json!({"valid": true, "pipeline": "created", "errors": [], "stages": [], "jobs": {}});
        let b =
            json!({"valid": false, "pipeline": null, "errors": ["x"], "stages": [], "jobs": {}});
        assert_eq!(
            compare(&a, &b)["pipeline"],
            json!({"valid": {"a": true, "b": false}, "pipeline": {"a": "created", "b": null}, "errors": {"a": [], "b": ["x"]}})
        );
    }
}
