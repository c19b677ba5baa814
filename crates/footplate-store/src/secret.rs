//! Secrets at rest: a key file outside the database, AES-256-GCM, SHA-256 for tokens.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Nonce},
};
use base64::Engine as _;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use crate::{
    Tx,
    error::{Error, Result},
    settings,
};

const NONCE: usize = 12;

/// Encrypts and decrypts what must be readable again: variables, job tokens.
#[derive(Clone)]
pub struct Keys(Arc<Aes256Gcm>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Reads the key file, or makes one of 32 random bytes (mode 0600).
    ///
    /// # Errors
    /// The file cannot be read or written, or does not hold 32 bytes.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |error: std::io::Error| Error::ReadOnly(format!("{}: {error}", path.display()));
        if !path.exists() {
            let mut key = [0_u8; 32];
            rand::rng().fill_bytes(&mut key);
            let temporary = path.with_extension("new");
            let mut file = fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)
                .map_err(io)?;
            file.write_all(&key)
                .and_then(|()| file.sync_all())
                .map_err(io)?;
            fs::rename(&temporary, path).map_err(io)?;
            if let Some(folder) = path.parent() {
                fs::File::open(folder)
                    .and_then(|folder| folder.sync_all())
                    .map_err(io)?;
            }
        }
        let key = fs::read(path).map_err(io)?;
        let cipher = Aes256Gcm::new_from_slice(&key)
            .map_err(|_| Error::Secret("the key file must hold 32 bytes"))?;
        Ok(Self(Arc::new(cipher)))
    }

    /// Nonce and ciphertext.
    ///
    /// # Errors
    /// Texts of more than 64 GiB.
    pub fn encrypt(&self, text: &str) -> Result<Vec<u8>> {
        let mut sealed = vec![0_u8; NONCE];
        rand::rng().fill_bytes(&mut sealed);
        let nonce =
            Nonce::<Aes256Gcm>::try_from(&sealed[..]).map_err(|_| Error::Secret("nonce"))?;
        sealed.extend(
            self.0
                .encrypt(&nonce, text.as_bytes())
                .map_err(|_| Error::Secret("too long"))?,
        );
        Ok(sealed)
    }

    /// The text again.
    ///
    /// # Errors
    /// Another key file, or damaged bytes.
    pub fn decrypt(&self, sealed: &[u8]) -> Result<String> {
        let (nonce, body) = sealed
            .split_at_checked(NONCE)
            .ok_or(Error::Secret("too short"))?;
        let nonce = Nonce::<Aes256Gcm>::try_from(nonce).map_err(|_| Error::Secret("nonce"))?;
        let text = self
            .0
            .decrypt(&nonce, body)
            .map_err(|_| Error::Secret("wrong key or damaged"))?;
        String::from_utf8(text).map_err(|_| Error::Secret("not text"))
    }
}

/// Name of the setting that tells whether the key file belongs to the database.
const CHECK: &str = "key_check";

impl Keys {
    /// Refuses a key file that is not the one this database was written with; remembers it in a new database. A lost key file
    /// would otherwise be replaced by a new one in silence, and every secret be unreadable.
    ///
    /// # Errors
    /// [`Error::Secret`] for another key file, and those of the engine.
    pub async fn verify(&self, tx: &mut Tx<'_>) -> Result<()> {
        let Some(kept) = settings::find(tx, CHECK).await? else {
            let sealed = base64::engine::general_purpose::STANDARD.encode(self.encrypt(CHECK)?);
            return settings::put(tx, CHECK, &sealed).await;
        };
        let other = Error::Secret(
            "it is not the one that this database was written with: restore the old one",
        );
        let sealed = base64::engine::general_purpose::STANDARD
            .decode(kept)
            .map_err(|_| other.clone())?;
        match self.decrypt(&sealed) {
            Ok(text) if text == CHECK => Ok(()),
            Ok(_) | Err(_) => Err(other),
        }
    }
}

/// What is kept of a token.
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_reads_it() {
        let folder = std::env::temp_dir().join(format!("footplate-keys-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let keys = Keys::open(&folder.join("a")).unwrap();
        let sealed = keys.encrypt("hunter2").unwrap();
        assert_eq!(
            Keys::open(&folder.join("a"))
                .unwrap()
                .decrypt(&sealed)
                .unwrap(),
            "hunter2"
        );
        assert!(
            Keys::open(&folder.join("b"))
                .unwrap()
                .decrypt(&sealed)
                .is_err()
        );
        assert!(keys.decrypt(b"x").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
