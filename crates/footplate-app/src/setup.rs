//! The first start: the administrator `root` (DESIGN §12).

use footplate_model::{User, UserId};
use footplate_store::{Tx, registration_tokens, settings, token_hash, users};

use crate::{
    App, Error, NewToken, NewUser, Result,
    secrets::{hash_password, random_text},
};

const SETUP_TOKEN: &str = "setup_token_hash";

/// What the operator gave for the first start.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Personal access token of `root`.
    pub token: Option<String>,
    /// Password of `root`.
    pub password: Option<String>,
}

/// What the first start found.
#[derive(Debug)]
pub enum FirstStart {
    /// There are users already; what was given is ignored.
    Known,
    /// `root` was made. Without token and password, a path where the password is set once.
    Made {
        /// The administrator.
        root: User,
        /// Path of the page that sets the password.
        link: Option<String>,
    },
}

impl App {
    /// Makes the administrator when there is nobody yet.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn first_start(&self, setup: Setup) -> Result<FirstStart> {
        let known = self
            .db()
            .read(async |tx: &mut Tx<'_>| users::find_by_username(tx, "root").await)
            .await?;
        if let Some(root) = known {
            // Killed between the user and the token: the token still has to come.
            self.ensure_root_token(root.id, setup.token).await?;
            return Ok(FirstStart::Known);
        }
        let link = (setup.token.is_none() && setup.password.is_none()).then(|| random_text(40));
        let root = self
            .create_user(NewUser {
                username: "root".to_owned(),
                name: "Administrator".to_owned(),
                email: "root@localhost.localdomain".to_owned(),
                password: setup.password.clone(),
                admin: true,
            })
            .await?;
        self.ensure_root_token(root.id, setup.token).await?;
        if let Some(link) = &link {
            self.put_setup_token(link.clone()).await?;
        }
        Ok(FirstStart::Made {
            root,
            link: link.map(|token| format!("/-/setup?token={token}")),
        })
    }

    async fn ensure_root_token(&self, root: UserId, token: Option<String>) -> Result<()> {
        let Some(text) = token else { return Ok(()) };
        let done = self
            .db()
            .read(async |tx: &mut Tx<'_>| settings::find(tx, "root_token").await)
            .await?;
        if done.is_some() {
            return Ok(());
        }
        let scopes = [
            "api",
            "read_repository",
            "write_repository",
            "sudo",
            "admin_mode",
        ];
        let new = NewToken {
            name: "root".to_owned(),
            scopes: scopes.map(str::to_owned).to_vec(),
            text: Some(text),
            ..NewToken::default()
        };
        match self.create_token(root, new).await {
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(self
            .db()
            .write(async |tx: &mut Tx<'_>| settings::put(tx, "root_token", "made").await)
            .await?)
    }

    async fn put_setup_token(&self, token: String) -> Result<()> {
        let hash = hex(&token_hash(&token));
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| settings::put(tx, SETUP_TOKEN, &hash).await)
            .await?)
    }

    /// Sets the password of `root` by the one-time link.
    ///
    /// # Errors
    /// 404 for a link that is unknown or used.
    pub async fn set_up_root(&self, token: String, password: String) -> Result<()> {
        if password.chars().count() < 8 {
            return Err(Error::invalid(
                "password",
                "is too short (minimum is 8 characters)",
            ));
        }
        let hashed = tokio::task::spawn_blocking(move || hash_password(&password))
            .await
            .map_err(Error::internal)??;
        let hash = hex(&token_hash(&token));
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if settings::find(tx, SETUP_TOKEN).await?.as_deref() != Some(hash.as_str()) {
                    return Err(Error::NOTHING_FOUND);
                }
                let root = users::find_by_username(tx, "root")
                    .await?
                    .ok_or(Error::NOTHING_FOUND)?;
                users::update(tx, &root, Some(&hashed)).await?;
                settings::delete(tx, SETUP_TOKEN).await?;
                Ok(())
            })
            .await
    }

    /// The registration token of the instance; made when it is not there.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn instance_registration_token(&self) -> Result<String> {
        let (keys, now) = (self.keys().clone(), self.now());
        let fresh = format!("GR1348941{}", random_text(20));
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let owner = registration_tokens::Owner::Instance;
                if let Some(known) = registration_tokens::find(tx, &keys, owner).await? {
                    return Ok(known);
                }
                registration_tokens::put(tx, &keys, owner, &fresh, now).await?;
                Ok::<_, footplate_store::Error>(fresh.clone())
            })
            .await?)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
