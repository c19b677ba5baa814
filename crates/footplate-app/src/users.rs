//! Users, their tokens and sessions (`rest-api.md §11.1`).

use std::time::Duration;

use footplate_model::{
    AccessToken, NamespaceId, Timestamp, TokenId, User, UserId, UserState, Visibility,
};
use footplate_store::{Tx, namespaces, sessions, token_hash, tokens, users};
use subtle::ConstantTimeEq;

use crate::{
    Actor, App, Error, Result, UserActor,
    secrets::{ACCESS_TOKEN_PREFIX, hash_password, random_text, random_token},
};

/// A browser stays signed in so long.
const SESSION: Duration = Duration::from_secs(14 * 24 * 3600);
/// What a token may be for.
pub const SCOPES: [&str; 12] = [
    "api",
    "read_user",
    "read_api",
    "read_repository",
    "write_repository",
    "read_registry",
    "write_registry",
    "sudo",
    "admin_mode",
    "create_runner",
    "manage_runner",
    "self_rotate",
];

/// A user to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// Login.
    pub username: String,
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: Option<String>,
    /// Administrator.
    pub admin: bool,
}

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// End.
    pub expires_at: Option<Timestamp>,
    /// Made by an administrator for another user.
    pub impersonation: bool,
    /// The token itself, where it is given and not random.
    pub text: Option<String>,
}

impl App {
    /// Makes a user with a namespace of the same name.
    ///
    /// # Errors
    /// 400 and 409 in GitLab's words.
    pub async fn create_user(&self, new: NewUser) -> Result<User> {
        let mut faults = std::collections::BTreeMap::new();
        if !is_path(&new.username) {
            faults.insert("username".to_owned(), vec!["can contain only letters, digits, '_', '-' and '.'. Cannot start with '-' or end in '.', '.git' or '.atom'.".to_owned()]);
        }
        if !new.email.contains('@') {
            faults.insert("email".to_owned(), vec!["is invalid".to_owned()]);
        }
        if new
            .password
            .as_ref()
            .is_some_and(|password| password.chars().count() < 8)
        {
            faults.insert(
                "password".to_owned(),
                vec!["is too short (minimum is 8 characters)".to_owned()],
            );
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let hash = match new.password.clone() {
            Some(password) => Some(
                tokio::task::spawn_blocking(move || hash_password(&password))
                    .await
                    .map_err(Error::internal)??,
            ),
            None => None,
        };
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if users::find_by_username(tx, &new.username).await?.is_some()
                    || namespaces::find_by_path(tx, &new.username).await?.is_some()
                {
                    return Err(Error::refused(409, "Username has already been taken"));
                }
                if users::find_by_email(tx, &new.email).await?.is_some() {
                    return Err(Error::refused(409, "Email has already been taken"));
                }
                let namespace = namespaces::insert(
                    tx,
                    &namespaces::NewNamespace {
                        name: new.name.clone(),
                        path: new.username.clone(),
                        full_path: new.username.clone(),
                        full_name: new.name.clone(),
                        parent_id: None,
                        description: String::new(),
                        visibility: Visibility::Public,
                    },
                    now,
                )
                .await?;
                let user = users::insert(
                    tx,
                    &users::NewUser {
                        username: new.username.clone(),
                        name: new.name.clone(),
                        email: new.email.clone(),
                        password_hash: hash.clone(),
                        admin: new.admin,
                        bot: false,
                        namespace_id: namespace.id,
                    },
                    now,
                )
                .await?;
                namespaces::set_user(tx, namespace.id, user.id).await?;
                Ok(user)
            })
            .await
    }

    /// Makes an access token of a user; the text is shown only now.
    ///
    /// # Errors
    /// 400 for unknown scopes.
    pub async fn create_token(&self, user: UserId, new: NewToken) -> Result<(AccessToken, String)> {
        if new.scopes.is_empty() {
            return Err(Error::invalid("scopes", "can't be blank"));
        }
        if new
            .scopes
            .iter()
            .any(|scope| !SCOPES.contains(&scope.as_str()))
        {
            return Err(Error::invalid(
                "scopes",
                "can only contain available scopes",
            ));
        }
        let now = self.now();
        let text = new
            .text
            .clone()
            .unwrap_or_else(|| random_token(ACCESS_TOKEN_PREFIX));
        let shown = text.clone();
        let token = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let token = AccessToken {
                    id: TokenId(0),
                    user_id: user,
                    name: new.name.clone(),
                    description: new.description.clone(),
                    scopes: new.scopes.clone(),
                    project_id: None,
                    group_id: None,
                    impersonation: new.impersonation,
                    revoked: false,
                    created_at: now,
                    last_used_at: None,
                    expires_at: new.expires_at,
                };
                tokens::insert(tx, &token, &token_hash(&text)).await
            })
            .await?;
        Ok((token, shown))
    }

    /// Tokens of a user, newest first.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_tokens(&self, user: UserId) -> Result<Vec<AccessToken>> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| tokens::list(tx, user).await)
            .await?)
    }

    /// A token by id.
    ///
    /// # Errors
    /// 404.
    pub async fn find_token(&self, id: TokenId) -> Result<AccessToken> {
        self.db()
            .read(async move |tx: &mut Tx<'_>| tokens::find(tx, id).await)
            .await?
            .ok_or(Error::NOTHING_FOUND)
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn revoke_token(&self, id: TokenId) -> Result<()> {
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| tokens::revoke(tx, id).await)
            .await?)
    }

    /// Signs a browser in; the text of its cookie.
    ///
    /// # Errors
    /// 401.
    pub async fn sign_in(&self, login: String, password: String) -> Result<String> {
        let user = self.authenticate_password(login, password).await?;
        let (now, text) = (self.now(), random_text(48));
        let hash = token_hash(&text);
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let session = sessions::Session {
                    user_id: user.id,
                    csrf_token: random_text(32),
                };
                sessions::insert(tx, &hash, &session, now, now.plus(SESSION)).await
            })
            .await?;
        Ok(text)
    }

    /// Signs a browser out.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn sign_out(&self, session: String) -> Result<()> {
        let hash = token_hash(&session);
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| sessions::delete(tx, &hash).await)
            .await?)
    }

    /// The token that forms of a session carry.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn csrf_token(&self, session: String) -> Result<Option<String>> {
        let (hash, now) = (token_hash(&session), self.now());
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| sessions::find(tx, &hash, now).await)
            .await?;
        Ok(found.map(|session| session.csrf_token))
    }

    /// Whether a form comes from a page of this session.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn csrf_matches(&self, session: String, given: String) -> Result<bool> {
        let known = self.csrf_token(session).await?;
        Ok(known.is_some_and(|known| bool::from(known.as_bytes().ct_eq(given.as_bytes()))))
    }

    /// An administrator acts as another user.
    ///
    /// # Errors
    /// 404.
    pub async fn sudo(&self, wanted: String) -> Result<Actor> {
        let name = wanted.clone();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| match wanted.parse::<i64>() {
                Ok(id) => users::find(tx, UserId(id)).await,
                Err(_) => users::find_by_username(tx, &wanted).await,
            })
            .await?;
        let user = found.ok_or_else(|| {
            Error::NotFoundText(format!("404 User with ID or username '{name}' Not Found"))
        })?;
        Ok(Actor::User(UserActor {
            user,
            scopes: Some(vec!["api".to_owned()]),
            token: None,
        }))
    }

    /// A user by id.
    ///
    /// # Errors
    /// 404.
    pub async fn find_user(&self, id: UserId) -> Result<User> {
        self.db()
            .read(async move |tx: &mut Tx<'_>| users::find(tx, id).await)
            .await?
            .ok_or(Error::NotFound("404 User Not Found"))
    }

    /// Users by name, login or address.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_users(
        &self,
        search: String,
        username: Option<String>,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<User>, i64)> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                if let Some(name) = &username {
                    let found: Vec<User> = users::find_by_username(tx, name)
                        .await?
                        .into_iter()
                        .collect();
                    let count = i64::try_from(found.len()).unwrap_or(0);
                    return Ok((found, count));
                }
                let rows = users::list(tx, &search, limit, offset).await?;
                Ok::<_, footplate_store::Error>((rows, users::count(tx, &search).await?))
            })
            .await?)
    }

    /// Blocks or unblocks a user.
    ///
    /// # Errors
    /// 404.
    pub async fn set_user_state(&self, id: UserId, state: UserState) -> Result<()> {
        self.find_user(id).await?;
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| users::set_state(tx, id, state).await)
            .await?)
    }
}

/// Whether a text may be part of a path.
pub(crate) fn is_path(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty()
        && text.len() <= 255
        && text.chars().all(allowed)
        && !text.starts_with(['-', '.'])
        && ![".", ".git", ".atom"].iter().any(|end| text.ends_with(end))
}

/// A namespace by id or path.
pub(crate) async fn find_namespace(
    tx: &mut Tx<'_>,
    by: &str,
) -> Result<Option<footplate_model::Namespace>> {
    Ok(match by.parse::<i64>() {
        Ok(id) => namespaces::find(tx, NamespaceId(id)).await?,
        Err(_) => namespaces::find_by_path(tx, by).await?,
    })
}
