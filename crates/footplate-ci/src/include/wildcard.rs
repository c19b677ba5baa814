//! Patterns of `include: local` (`ci-yaml.md §4.2`); they are not the globs of `changes` and `exists`.

use regex::Regex;

/// A path pattern in which `*` stays inside a folder and `**` does not.
#[derive(Debug, Clone)]
pub struct Wildcard(Option<Regex>);

impl Wildcard {
    /// Whether a local path is a pattern at all.
    pub fn is_pattern(path: &str) -> bool {
        path.contains('*')
    }

    /// Reads a pattern; a leading slash means nothing. One too large to be compiled matches no path.
    pub fn new(pattern: &str) -> Self {
        let mut text = String::from(r"(?s)\A");
        let mut rest = pattern.trim_start_matches('/');
        while let Some(at) = rest.find('*') {
            text.push_str(&regex::escape(&rest[..at]));
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('*') {
                text.push_str(".*");
                rest = after;
            } else {
                text.push_str("[^/]*");
            }
        }
        text.push_str(&regex::escape(rest));
        text.push_str(r"\z");
        Self(Regex::new(&text).ok())
    }

    /// Whether a path, without leading slash, matches.
    pub fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_in_the_folder_and_two_do_not() {
        let paths = [
            "configs/a.yml",
            "configs/x/b.yml",
            "configs/x/y/c.yml",
            "other/a.yml",
        ];
        let matched = |pattern: &str| -> Vec<&str> {
            let wildcard = Wildcard::new(pattern);
            paths
                .into_iter()
                .filter(|path| wildcard.matches(path))
                .collect()
        };
        assert_eq!(matched("configs/*.yml"), ["configs/a.yml"]);
        assert_eq!(matched("/configs/**.yml"), paths[..3]);
        assert_eq!(matched("configs/**/*.yml"), paths[1..3]);
        assert!(Wildcard::is_pattern("configs/*.yml") && !Wildcard::is_pattern("a.yml"));
    }

    #[test]
    fn other_signs_are_plain_text() {
        assert!(!Wildcard::new("*.yml").matches("a-yml"));
        assert!(Wildcard::new("[a]*.yml").matches("[a]b.yml"));
    }
}
