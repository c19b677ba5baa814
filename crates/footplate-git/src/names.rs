//! Object ids and reference names, parsed once.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// A full object id: 40 lower-case hex digits, or 64 in SHA-256 repositories.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha(Box<str>);

impl Sha {
    /// Parses a full object id; upper-case digits are accepted.
    pub fn parse(text: &str) -> Result<Self> {
        let full = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !full {
            return Err(Error::InvalidSha(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The id of nothing: all zeros, the old value of a new reference and the new value of a deleted one.
    pub fn zero() -> Self {
        Self("0".repeat(40).into())
    }

    /// Whether it is the id of nothing.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 8 digits, GitLab's `short_id`.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// From the raw bytes of a tree entry.
    pub(crate) fn from_raw(raw: &[u8]) -> Self {
        Self(raw.iter().map(|b| format!("{b:02x}")).collect())
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sha {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl AsRef<str> for Sha {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A valid full reference name and what it names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GitRef {
    /// `refs/heads/NAME`; the value is NAME.
    Branch(String),
    /// `refs/tags/NAME`; the value is NAME.
    Tag(String),
    /// Any other reference, in full.
    Other(String),
}

impl GitRef {
    /// Parses a full name (`refs/…`).
    pub fn parse(full: &str) -> Result<Self> {
        if !full.starts_with("refs/") || !is_valid_ref_name(full) {
            return Err(Error::InvalidRef(clipped(full)));
        }
        if let Some(name) = full.strip_prefix("refs/heads/") {
            return Self::branch(name);
        }
        if let Some(name) = full.strip_prefix("refs/tags/") {
            return Self::tag(name);
        }
        Ok(Self::Other(full.to_owned()))
    }

    /// A branch by its short name. As in git, it may not begin with `-` and not be `HEAD`.
    pub fn branch(name: &str) -> Result<Self> {
        let valid = !name.starts_with('-') && name != "HEAD" && valid_below("refs/heads/", name);
        valid
            .then(|| Self::Branch(name.to_owned()))
            .ok_or_else(|| Error::InvalidRef(clipped(name)))
    }

    /// A tag by its short name. It may not begin with `-`.
    pub fn tag(name: &str) -> Result<Self> {
        let valid = !name.starts_with('-') && name != "HEAD" && valid_below("refs/tags/", name);
        valid
            .then(|| Self::Tag(name.to_owned()))
            .ok_or_else(|| Error::InvalidRef(clipped(name)))
    }

    /// The full name, `refs/heads/main`.
    pub fn full(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Other(full) => full.clone(),
        }
    }

    /// The name as GitLab shows it: short for branches and tags.
    pub fn short(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) | Self::Other(name) => name,
        }
    }

    /// Whether it is a branch.
    pub fn is_branch(&self) -> bool {
        matches!(self, Self::Branch(_))
    }

    /// Whether it is a tag.
    pub fn is_tag(&self) -> bool {
        matches!(self, Self::Tag(_))
    }

    /// Whether the server alone writes it: hidden from pushes (`runner-protocol.md §2.7`).
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Other(full) if INTERNAL.iter().any(|space| {
            full.strip_prefix(space).is_some_and(|rest| rest.starts_with('/'))
        }))
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full())
    }
}

/// Name spaces that only the server writes.
pub(crate) const INTERNAL: [&str; 6] = [
    "refs/pipelines",
    "refs/merge-requests",
    "refs/keep-around",
    "refs/environments",
    "refs/footplate",
    "refs/tmp",
];

fn valid_below(space: &str, name: &str) -> bool {
    !name.is_empty() && is_valid_ref_name(&format!("{space}{name}"))
}

/// The rules of `git check-ref-format` for a name with at least two parts; at most 1024 bytes.
pub fn is_valid_ref_name(name: &str) -> bool {
    let forbidden = |b: u8| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b);
    let parts_valid = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    name.len() <= 1024
        && name.contains('/')
        && parts_valid
        && !name.bytes().any(forbidden)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
}

/// Whether git may be given the text as a revision: a name or id with `~N` and `^N` behind it and nothing else.
pub(crate) fn is_plain_revision(text: &str) -> bool {
    let base_end = text.find(['~', '^']).unwrap_or(text.len());
    let (base, steps) = text.split_at(base_end);
    let named = base == "HEAD" || base == "@" || is_valid_ref_name(&format!("refs/{base}"));
    !base.starts_with('-')
        && named
        && steps.len() <= 32
        && steps
            .bytes()
            .all(|b| b == b'~' || b == b'^' || b.is_ascii_digit())
}

fn clipped(name: &str) -> String {
    name.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{GitRef, Sha, is_plain_revision, is_valid_ref_name};

    #[test]
    fn follows_check_ref_format() {
        for good in [
            "a",
            "feature/x",
            "v1.0",
            "ümläut",
            "a@b",
            "-x/y",
            "a-b",
            "x{y",
        ] {
            assert!(is_valid_ref_name(&format!("refs/heads/{good}")), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a..b", "a b", "a~1", "a^",
            "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "a.", "a\n", "a\u{7f}", "a\0b",
        ] {
            assert!(!is_valid_ref_name(&format!("refs/heads/{bad}")), "{bad:?}");
        }
    }

    #[test]
    fn names_know_their_kind() {
        assert_eq!(
            GitRef::parse("refs/heads/a/b").unwrap(),
            GitRef::Branch("a/b".into())
        );
        assert_eq!(
            GitRef::parse("refs/tags/v1").unwrap(),
            GitRef::Tag("v1".into())
        );
        assert!(GitRef::parse("refs/pipelines/7").unwrap().is_internal());
        assert!(!GitRef::parse("refs/pipelinesque/7").unwrap().is_internal());
        assert!(GitRef::parse("HEAD").is_err());
        assert!(GitRef::branch("--upload-pack=x").is_err());
        assert!(GitRef::branch("HEAD").is_err());
        assert_eq!(GitRef::branch("a").unwrap().full(), "refs/heads/a");
    }

    #[test]
    fn revisions_carry_no_expressions() {
        for good in [
            "HEAD",
            "@",
            "main",
            "main~3",
            "main^2~1",
            "refs/heads/main",
            "0a1b2c3d",
        ] {
            assert!(is_plain_revision(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            ":/text",
            "main@{1}",
            "a..b",
            "main:file",
            "main^{tree}",
            "a b",
            "x\ny",
            "~1",
        ] {
            assert!(!is_plain_revision(bad), "{bad:?}");
        }
    }

    #[test]
    fn object_ids() {
        assert!(Sha::parse("abc").is_err());
        assert!(Sha::parse(&"g".repeat(40)).is_err());
        assert!(Sha::zero().is_zero());
        let sha = Sha::parse(&"AB".repeat(20)).unwrap();
        assert_eq!(sha.short(), "abababab");
        assert_eq!(Sha::from_raw(&[0xab; 20]), sha);
    }
}
