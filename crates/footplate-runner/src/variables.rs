//! Variables as a script sees them: expanded, files written (`runner-protocol.md §2.5`, `§2.8`).

use std::{collections::HashMap, io, path::Path};

use crate::payload::Variable;

/// Names and values of a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(HashMap<String, String>);

impl Environment {
    /// Expands the list; files are written below `folder`, their variables hold the paths.
    pub(crate) fn new(
        list: &[Variable],
        own: &[(&str, String)],
        folder: &Path,
    ) -> io::Result<Self> {
        let mut all: HashMap<&str, &Variable> = HashMap::new();
        for variable in list {
            all.insert(&variable.key, variable);
        }
        let mut plain: HashMap<String, String> = own
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        for variable in all.values() {
            let value = variable.value.clone().unwrap_or_default();
            if variable.file {
                std::fs::create_dir_all(folder)?;
                let path = folder.join(variable.key.replace(['/', '\0'], "_"));
                std::fs::write(&path, &value)?;
                plain.insert(variable.key.clone(), path.to_string_lossy().into_owned());
            } else if !own.iter().any(|(key, _)| *key == variable.key) {
                plain.insert(variable.key.clone(), value);
            }
        }
        let fixed = |key: &str| {
            all.get(key)
                .is_none_or(|variable| variable.raw || variable.file)
                || own.iter().any(|(own, _)| *own == key)
        };
        let expanded = plain
            .iter()
            .map(|(key, value)| {
                let value = if fixed(key) {
                    value.clone()
                } else {
                    expand(value, &plain)
                };
                (key.clone(), value)
            })
            .collect();
        Ok(Self(expanded))
    }

    /// The value of a name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// All of them, as a process can have them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let fits = |key: &str, value: &str| {
            !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0')
        };
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(move |(key, value)| fits(key, value))
    }

    /// A text with its variables.
    pub(crate) fn fill(&self, text: &str) -> String {
        expand(text, &self.0)
    }
}

/// `$NAME`, `${NAME}` and `$$`; unknown names vanish.
fn expand(text: &str, values: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let (name, after) = match braced {
            Some((name, after)) => (name, after),
            None => rest.split_at(
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len()),
            ),
        };
        if name.is_empty() {
            out.push('$');
            continue;
        }
        out.push_str(values.get(name).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_once() {
        let values = HashMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "$A".to_owned()),
        ]);
        assert_eq!(expand("x$A-${B}-$$-$C.", &values), "x1-$A-$-.");
        assert_eq!(expand("100%$", &values), "100%$");
    }
}
