//! Names and values of parallel instances, and the group a name belongs to (`ci-yaml.md §7.1`, `§14`).

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;

/// Endings that tell instances of one group apart: `build 1/3`, `build: [a, b]`.
static INSTANCE_ENDING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)(?::\s*\[.*\]|(?:\s|:)*\d+(?:\s|[/:\\])+\d+\s*)+\z").ok());

/// `rspec 1/5`.
pub fn numbered_name(base: &str, index: usize, total: usize) -> String {
    format!("{base} {index}/{total}")
}

/// `deploy: [aws, app1]`.
pub fn matrix_name(base: &str, values: &IndexMap<String, String>) -> String {
    let values: Vec<&str> = values.values().map(String::as_str).collect();
    format!("{base}: [{}]", values.join(", "))
}

/// The name without the ending of its instance; the whole name if nothing would be left.
pub fn group_name(name: &str) -> &str {
    let Some(pattern) = INSTANCE_ENDING.as_ref() else {
        return name;
    };
    let stem = pattern
        .find(name)
        .map_or(name, |ending| &name[..ending.start()])
        .trim();
    if stem.is_empty() { name } else { stem }
}

/// The cartesian product of every entry, the first variable slowest, entries one after the other. `None` when there
/// would be more than `limit`, without making them.
pub fn matrix_instances(
    entries: &[IndexMap<String, Vec<String>>],
    limit: usize,
) -> Option<Vec<IndexMap<String, String>>> {
    let mut total = 0_usize;
    for entry in entries {
        let product = entry
            .values()
            .try_fold(1_usize, |product, values| product.checked_mul(values.len()))?;
        total = total.checked_add(product)?;
    }
    (total <= limit).then(|| entries.iter().flat_map(product).collect())
}

fn product(entry: &IndexMap<String, Vec<String>>) -> Vec<IndexMap<String, String>> {
    let mut rows = vec![IndexMap::new()];
    for (name, values) in entry {
        rows = rows
            .iter()
            .flat_map(|row| {
                values.iter().map(|value| {
                    let mut longer = row.clone();
                    longer.insert(name.clone(), value.clone());
                    longer
                })
            })
            .collect();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &[&str])]) -> IndexMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(name, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), values)
            })
            .collect()
    }

    #[test]
    fn the_first_variable_varies_slowest_and_entries_follow_each_other() {
        let entries = [
            entry(&[("A", &["x", "y"]), ("B", &["1", "2"])]),
            entry(&[("A", &["z"])]),
        ];
        let names: Vec<String> = matrix_instances(&entries, 200)
            .unwrap_or_default()
            .iter()
            .map(|values| matrix_name("job", values))
            .collect();
        assert_eq!(
            names,
            [
                "job: [x, 1]",
                "job: [x, 2]",
                "job: [y, 1]",
                "job: [y, 2]",
                "job: [z]"
            ]
        );
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_made() {
        let many: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let bomb: IndexMap<String, Vec<String>> =
            (0..12).map(|n| (format!("V{n}"), many.clone())).collect();
        assert_eq!(matrix_instances(&[bomb], 200), None);
        let just = entry(&[("A", &["1", "2"])]);
        assert!(matrix_instances(std::slice::from_ref(&just), 2).is_some());
        assert!(matrix_instances(&[just], 1).is_none());
    }

    #[test]
    fn endings_of_instances_are_dropped_from_group_names() {
        for (name, group) in [
            ("rspec 1/3", "rspec"),
            ("rspec:1 3", "rspec"),
            ("rspec 01\\03", "rspec"),
            ("deploy: [aws, app]", "deploy"),
            ("deploy: [a] 1/2", "deploy"),
            ("rspec:windows 1", "rspec:windows 1"),
            ("1/2", "1/2"),
            ("plain", "plain"),
        ] {
            assert_eq!(group_name(name), group, "{name}");
        }
        assert_eq!(numbered_name("rspec", 2, 5), "rspec 2/5");
    }
}
