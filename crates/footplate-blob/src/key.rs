//! Names of blobs.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// A relative path of at most 16 parts; parts are letters, digits, `_`, `-` and `.`, and do not begin with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let mut parts = text.split('/');
        let valid = text.len() <= 512
            && text.split('/').count() <= 16
            && parts.all(|part| {
                !part.is_empty()
                    && !part.starts_with('.')
                    && part.len() <= 200
                    && part.bytes().all(allowed)
            });
        if !valid {
            return Err(Error::InvalidKey(text.chars().take(200).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn keys_stay_inside() {
        for good in ["a", "artifacts/0f/12/artifacts.zip", "a-b_c.d"] {
            assert!(Key::parse(good).is_ok(), "{good}");
        }
        let deep = ["a"; 17].join("/");
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            ".a",
            "a/.b",
            "a b",
            "a\0",
            "ä",
            "a\\b",
            &deep,
            &"a".repeat(201),
        ] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }
}
