//! Making and checking what only one side may know: tokens and passwords.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use rand::RngExt;

use crate::error::{Error, Result};

/// Prefix of personal, project and group access tokens.
pub const ACCESS_TOKEN_PREFIX: &str = "glpat-";
/// Prefix of job tokens.
pub const JOB_TOKEN_PREFIX: &str = "glcbt-";
/// Prefix of runner authentication tokens.
pub const RUNNER_TOKEN_PREFIX: &str = "glrt-";
/// Prefix of agent tokens.
pub const AGENT_TOKEN_PREFIX: &str = "glagent-";

const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A fresh token: the prefix and 24 random characters (143 bits).
pub fn random_token(prefix: &str) -> String {
    format!("{prefix}{}", random_text(24))
}

/// Random letters and digits.
pub fn random_text(length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// Random lower-case hex digits, as queue tokens have them.
pub fn random_hex(length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(b"0123456789abcdef"[random.random_range(0..16)]))
        .collect()
}

/// SHA-256 as lower-case hex digits.
pub fn sha256_hex(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The argon2id hash of a password. Takes tens of milliseconds: call it off the async threads.
///
/// # Errors
/// When the system has no randomness.
pub fn hash_password(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(Error::internal)
}

/// Whether the password belongs to the hash. Takes tens of milliseconds: call it off the async threads.
pub fn password_matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_match_only_themselves() {
        let hash = hash_password("correct horse").unwrap();
        assert!(password_matches("correct horse", &hash));
        assert!(!password_matches("battery staple", &hash));
        assert!(!password_matches("correct horse", "not a hash"));
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(random_token("x-"), random_token("x-"));
        assert_eq!(random_token(RUNNER_TOKEN_PREFIX).len(), 29);
    }
}
