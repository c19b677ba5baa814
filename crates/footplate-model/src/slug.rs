//! Names made fit for addresses: slugs of refs, jobs and environments, tiers, group names of jobs (`pipeline-processing.md §17`, `§19`).

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

/// A slug has at most so many bytes.
const SLUG_LIMIT: usize = 63;
/// An environment's slug has at most so many.
const ENVIRONMENT_LIMIT: usize = 24;
/// What is left of a longer one before its suffix.
const ENVIRONMENT_STEM: usize = 17;

/// Lower case, everything outside `a-z0-9` becomes `-`.
fn plain(text: &str) -> String {
    let keep = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower = text.to_lowercase();
    lower
        .chars()
        .map(|c| if keep(c) { c } else { '-' })
        .collect()
}

/// Lower case, everything outside `a-z0-9` becomes `-`, at most 63 bytes, no `-` at the ends.
pub fn slugify(text: &str) -> String {
    let mut slug = plain(text);
    slug.truncate(SLUG_LIMIT);
    slug.trim_matches('-').to_owned()
}

/// An environment's slug: begins with a letter, at most 24 characters, with a hash suffix when the name was changed.
pub fn environment_slug(name: &str) -> String {
    let mut slug = plain(name);
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug.insert_str(0, "env-");
    }
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    if slug.len() <= ENVIRONMENT_LIMIT && slug == name {
        return slug.strip_suffix('-').unwrap_or(&slug).to_owned();
    }
    slug.truncate(ENVIRONMENT_STEM);
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

/// The tier guessed from an environment's name, the first hit.
pub fn environment_tier(name: &str) -> &'static str {
    TIERS
        .iter()
        .find(|(pattern, _)| pattern.is_match(name))
        .map_or("other", |(_, tier)| tier)
}

/// A job's name without the matrix values or the numbers of `parallel` behind it.
pub fn group_name(job: &str) -> &str {
    GROUP
        .find(job)
        .map_or(job, |tail| &job[..tail.start()])
        .trim()
}

fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
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
    .map(|(pattern, tier)| (constant(pattern), tier))
});

// At most three tails, such as `: [linux, amd64]`, ` 2/5`, ` 2:5`.
static GROUP: LazyLock<Regex> =
    LazyLock::new(|| constant(r"([\x08\s:]+(\[.*\]|[0-9]+[\s:/\\]+[0-9]+)){1,3}\s*$"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs() {
        assert_eq!(slugify("Feature/ABC_1!"), "feature-abc-1");
        assert_eq!(slugify(&"x".repeat(80)).len(), 63);
        assert_eq!(slugify("-1.0-"), "1-0");
    }

    #[test]
    fn environments() {
        assert_eq!(environment_slug("production"), "production");
        assert_eq!(environment_slug("ends-"), "ends");
        let changed = environment_slug("review/My Branch");
        assert!(
            changed.starts_with("review-my-branch-") && changed.len() <= 24,
            "{changed}"
        );
        assert_eq!(environment_slug("Stage Domain"), "stage-domain-ip33nk");
        assert_eq!(environment_tier("Production EU"), "production");
        assert_eq!(environment_tier("review/x"), "development");
    }

    #[test]
    fn groups_of_jobs() {
        for (job, group) in [
            ("rspec", "rspec"),
            ("rspec 1/10", "rspec"),
            ("rspec 1:10", "rspec"),
            ("rspec: [linux, amd64]", "rspec"),
            ("rspec: [a] 1/2", "rspec"),
            // One number alone belongs to the name.
            ("rspec 3", "rspec 3"),
            ("python3", "python3"),
            ("[odd]", "[odd]"),
        ] {
            assert_eq!(group_name(job), group);
        }
    }
}
