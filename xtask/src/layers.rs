//! The dependency law: the table in ARCHITECTURE.md, compared with what cargo says.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Crate by crate: what it may depend on inside the workspace.
type Law = BTreeMap<String, BTreeSet<String>>;

/// Crates that nothing may bring in, with the reason.
const BANNED: [(&str, &str); 4] = [
    ("openssl-sys", "one TLS stack: rustls"),
    ("native-tls", "one TLS stack: rustls"),
    ("aws-lc-rs", "one crypto backend: ring"),
    ("serde_yaml", "the compiler reads YAML as Psych does"),
];

/// Outside crates that may stand in these manifests only; the benchmark needs them for its yardsticks.
const CONFINED: [(&str, &[&str]); 4] = [
    ("rusqlite", &["footplate-store", "footplate-bench"]),
    ("tokio-postgres", &["footplate-store", "footplate-bench"]),
    ("deadpool-postgres", &["footplate-store"]),
    (
        "axum",
        &["footplate-api", "footplate-web", "footplate-bench"],
    ),
];

/// Checks the workspace.
///
/// # Errors
/// One line for each fault.
pub fn check() -> Result<String, String> {
    let architecture = std::fs::read_to_string("ARCHITECTURE.md")
        .map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let law = read_law(&architecture)?;
    let faults = faults(&law, &metadata);
    if faults.is_empty() {
        Ok(format!("layers: {} crates keep the law", law.len()))
    } else {
        Err(faults.join("\n"))
    }
}

/// Reads the table whose rows are `| crate | may use |`.
fn read_law(text: &str) -> Result<Law, String> {
    let names = |cell: &str| {
        cell.split(',')
            .map(|name| name.trim().trim_matches('`').to_owned())
            .filter(|name| !name.is_empty() && name != "–")
            .collect()
    };
    let law: Law = text
        .lines()
        .skip_while(|line| !line.starts_with("| crate | may use |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let (name, rest) = line.split_once("` |")?;
            Some((name.to_owned(), names(rest.split('|').next()?)))
        })
        .collect();
    if law.is_empty() {
        Err("ARCHITECTURE.md has no table `| crate | may use |`".to_owned())
    } else {
        Ok(law)
    }
}

fn faults(law: &Law, metadata: &Value) -> Vec<String> {
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    let members: BTreeSet<String> = list(&metadata["workspace_members"])
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            faults.push(format!("{name} is banned: {reason}"));
        }
        if !members.contains(package["id"].as_str().unwrap_or_default()) {
            continue;
        }
        let Some(allowed) = law.get(&name) else {
            faults.push(format!("{name} is not in the table of ARCHITECTURE.md"));
            continue;
        };
        seen.insert(name.clone());
        for dependency in list(&package["dependencies"])
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
        {
            let on = dependency["name"].as_str().unwrap_or_default();
            if on.starts_with("footplate") && !allowed.contains(on) {
                faults.push(format!("{name} must not depend on {on}"));
            }
            if CONFINED
                .iter()
                .any(|(confined, homes)| *confined == on && !homes.contains(&name.as_str()))
            {
                faults.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    faults.extend(
        law.keys().filter(|name| !seen.contains(*name)).map(|name| {
            format!("{name} is in the table of ARCHITECTURE.md but not in the workspace")
        }),
    );
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &str = "x\n| crate | may use |\n|---|---|\n| `footplate-a` | `footplate-b` |\n| `footplate-b` | – |\n\nend";

    fn metadata(edges: &[(&str, &str)]) -> Value {
        let package = |name: &str| {
            let dependencies: Vec<Value> = edges
                .iter()
                .filter(|(from, _)| *from == name)
                .map(|(_, to)| json!({"name": to, "kind": null}))
                .collect();
            json!({"name": name, "id": name, "dependencies": dependencies})
        };
        json!({"workspace_members": ["footplate-a", "footplate-b"], "packages": [package("footplate-a"), package("footplate-b")]})
    }

    #[test]
    fn passes_what_keeps_the_law() {
        let law = read_law(TABLE).unwrap();
        assert_eq!(
            faults(
                &law,
                &metadata(&[("footplate-a", "footplate-b"), ("footplate-a", "tokio")])
            ),
            [""; 0]
        );
    }

    #[test]
    fn catches_a_broken_edge_and_a_foreign_one() {
        let law = read_law(TABLE).unwrap();
        assert_eq!(
            faults(&law, &metadata(&[("footplate-b", "footplate-a")])),
            ["footplate-b must not depend on footplate-a"]
        );
        assert_eq!(
            faults(&law, &metadata(&[("footplate-b", "rusqlite")])),
            ["footplate-b must not depend on rusqlite"]
        );
    }

    #[test]
    fn catches_a_table_that_is_not_the_workspace() {
        let law = read_law(
            "| crate | may use |\n|---|---|\n| `footplate-a` | – |\n| `footplate-z` | – |\n",
        )
        .unwrap();
        let found = faults(&law, &metadata(&[]));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
