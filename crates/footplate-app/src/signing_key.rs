//! The key that signs id tokens: made once, kept encrypted among the instance's settings, its public half told to everybody.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use footplate_store::{Keys, Tx, settings};
use ring::{
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{self, KeyPair as _},
};
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::{App, Error, Result};

/// Where it is kept.
const SETTING: &str = "id_token_signing_key";
const BITS: usize = 2048;

/// An RSA key for RS256.
pub(crate) struct SigningKey(KeyPair);

impl SigningKey {
    fn of(der: &[u8]) -> Result<Self> {
        KeyPair::from_pkcs8(der).map(Self).map_err(Error::internal)
    }

    /// A JSON Web Token.
    pub(crate) fn token(&self, claims: &Json) -> Result<String> {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": self.id()});
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(Error::internal)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Modulus and exponent.
    fn numbers(&self) -> (String, String) {
        let public: signature::RsaPublicKeyComponents<Vec<u8>> = self.0.public_key().into();
        let text = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        (text(&public.n), text(&public.e))
    }

    /// The thumbprint of the public half (RFC 7638).
    fn id(&self) -> String {
        let (n, e) = self.numbers();
        let canonical = json!({"e": e, "kty": "RSA", "n": n}).to_string();
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    fn jwk(&self) -> Json {
        let (n, e) = self.numbers();
        json!({"kty": "RSA", "kid": self.id(), "e": e, "n": n, "use": "sig", "alg": "RS256"})
    }
}

fn generate() -> Result<Vec<u8>> {
    let key = rsa::PrivateKey::new(&mut rand::rng(), BITS).map_err(Error::internal)?;
    let der = key.to_pkcs8_der().map_err(Error::internal)?;
    Ok(der.as_bytes().to_vec())
}

fn seal(keys: &Keys, der: &[u8]) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(keys.encrypt(&URL_SAFE_NO_PAD.encode(der))?))
}

fn open(keys: &Keys, sealed: &str) -> Result<SigningKey> {
    let read = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(Error::internal);
    SigningKey::of(&read(&keys.decrypt(&read(sealed)?)?)?)
}

impl App {
    /// The key, made when it is needed first.
    pub(crate) async fn signing_key(&self) -> Result<SigningKey> {
        let known = self
            .db()
            .read(async |tx: &mut Tx<'_>| settings::find(tx, SETTING).await)
            .await?;
        if let Some(sealed) = known {
            return open(self.keys(), &sealed);
        }
        let der = tokio::task::spawn_blocking(generate)
            .await
            .map_err(Error::internal)??;
        let new = seal(self.keys(), &der)?;
        let kept = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                // Somebody may have been faster.
                if let Some(known) = settings::find(tx, SETTING).await? {
                    return Ok(known);
                }
                settings::put(tx, SETTING, &new).await?;
                Ok::<_, Error>(new.clone())
            })
            .await?;
        open(self.keys(), &kept)
    }

    /// The public keys for whoever checks id tokens, as a JSON Web Key Set.
    ///
    /// # Errors
    /// Faults of the database or of the kept key.
    pub async fn public_keys(&self) -> Result<Json> {
        Ok(json!({"keys": [self.signing_key().await?.jwk()]}))
    }
}
