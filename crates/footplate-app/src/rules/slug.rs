//! Slugs of refs, jobs and environments (`pipeline-processing.md §19`).

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

/// Lower case, everything outside `a-z0-9` becomes `-`, at most 63 bytes, no `-` at the ends.
pub fn slugify(text: &str) -> String {
    let mut slug: String = text
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .collect();
    slug.truncate(63);
    slug.trim_matches('-').to_owned()
}

/// An environment's slug: begins with a letter, at most 24 characters, with a hash suffix when the name was changed.
pub fn environment_slug(name: &str) -> String {
    let mut slug: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .collect();
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug.insert_str(0, "env-");
    }
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    if slug.len() <= 24 && slug == name && !slug.ends_with('-') {
        return slug;
    }
    slug.truncate(17);
    // The last six digits of the digest in base 36.
    let modulus = 36u64.pow(6);
    let mut rest = Sha256::digest(name.as_bytes())
        .iter()
        .fold(0, |number, byte| {
            (number * 256 + u64::from(*byte)) % modulus
        });
    let mut suffix = String::new();
    for _ in 0..6 {
        let digit = u32::try_from(rest % 36).unwrap_or(0);
        suffix.insert(0, char::from_digit(digit, 36).unwrap_or('0'));
        rest /= 36;
    }
    format!("{}-{suffix}", slug.trim_end_matches('-'))
}

/// The tier guessed from an environment's name (`pipeline-processing.md §17`), the first hit.
pub fn environment_tier(name: &str) -> &'static str {
    TIERS
        .iter()
        .find(|(pattern, _)| pattern.is_match(name))
        .map_or("other", |(_, tier)| tier)
}

static TIERS: LazyLock<[(Regex, &'static str); 4]> = LazyLock::new(|| {
    [
        ("(?i)(dev|review|trunk)", "development"),
        (
            "(?i)(test|tst|int|ac(ce)?pt|qa|qc|control|quality)",
            "testing",
        ),
        ("(?i)(sta?g|mode?l|pre|demo|non)", "staging"),
        ("(?i)(pro?d|live)", "production"),
    ]
    .map(|(pattern, tier)| {
        (
            Regex::new(pattern).unwrap_or_else(|error| unreachable!("constant pattern: {error}")),
            tier,
        )
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs() {
        assert_eq!(slugify("Feature/ABC_1!"), "feature-abc-1");
        assert_eq!(slugify(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn environments() {
        assert_eq!(environment_slug("production"), "production");
        let changed = environment_slug("review/My Branch");
        assert!(
            changed.starts_with("review-my-branch-") && changed.len() <= 24,
            "{changed}"
        );
        assert_eq!(environment_slug("Stage Domain"), "stage-domain-ip33nk");
        assert_eq!(environment_tier("Production EU"), "production");
        assert_eq!(environment_tier("review/x"), "development");
    }
}
