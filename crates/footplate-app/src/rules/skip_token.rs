//! `[skip ci]` and its spellings in a commit message (`pipeline-processing.md §2.1` row 7).

use std::sync::LazyLock;

use regex::Regex;

static SKIP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\[(ci[ _-]skip|skip[ _-]ci)\]")
        .unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
});

/// Whether the message asks for no pipeline.
pub fn asks_to_skip(message: &str) -> bool {
    SKIP.is_match(message)
}

#[cfg(test)]
mod tests {
    use super::asks_to_skip;

    #[test]
    fn knows_the_spellings() {
        for message in ["x [skip ci]", "[CI SKIP] y", "[ci-skip]", "[skip_ci]"] {
            assert!(asks_to_skip(message), "{message}");
        }
        for message in ["skip ci", "[skipci]", "[no ci]"] {
            assert!(!asks_to_skip(message), "{message}");
        }
    }
}
