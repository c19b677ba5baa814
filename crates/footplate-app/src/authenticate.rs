//! From a credential to an actor (`rest-api.md §1.4`).

use std::{collections::BTreeSet, time::Duration};

use footplate_model::{AccessToken, Timestamp, User};
use footplate_store::{Tx, jobs, queue, sessions, token_hash, tokens, users};

use crate::{
    Actor, App, Error, JobActor, Result, Unauthorized, UserActor,
    memory::users_of,
    secrets::{JOB_TOKEN_PREFIX, password_matches},
};

/// Tokens longer than this are not looked up.
const TOKEN_LIMIT: usize = 512;
/// A token's last use is written at most this often.
const TOUCH: Duration = Duration::from_secs(600);

/// What a request brought to show who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A personal, project or group access token.
    AccessToken(String),
    /// The token of a running job.
    JobToken(String),
    /// The cookie of a browser session.
    Session(String),
}

impl App {
    /// Who asks. An unknown or dead credential is an error even where anybody may read.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub async fn authenticate(&self, credential: Credential) -> Result<Actor> {
        match credential {
            Credential::None => Ok(Actor::Anonymous),
            Credential::AccessToken(text) => self.authenticate_token(text).await,
            Credential::JobToken(text) => self.authenticate_job(text).await.map(Actor::Job),
            Credential::Session(text) => self.authenticate_session(text).await,
        }
    }

    async fn authenticate_token(&self, text: String) -> Result<Actor> {
        // A job's token is no access token, wherever it stands.
        if text.len() > TOKEN_LIMIT || text.starts_with(JOB_TOKEN_PREFIX) {
            return Err(Error::UNAUTHORIZED);
        }
        let (now, app, moment) = (self.now(), self.clone(), self.moment());
        let found = self
            .db()
            .read(
                async move |tx: &mut Tx<'_>| -> Result<Option<(AccessToken, User)>> {
                    let Some(token) = tokens::find_by_hash(tx, &token_hash(&text)).await? else {
                        return Ok(None);
                    };
                    let users = users_of(tx, &app, BTreeSet::from([token.user_id])).await?;
                    app.keep(moment, |kept| kept.keep_users(&users));
                    let user = users.into_values().next();
                    Ok(user.map(|user| (token, (*user).clone())))
                },
            )
            .await?;
        let Some((token, user)) = found else {
            return Err(Error::UNAUTHORIZED);
        };
        if token.revoked {
            return Err(Error::Unauthorized(Unauthorized::Revoked));
        }
        if token.expired(now) {
            return Err(Error::Unauthorized(Unauthorized::Expired));
        }
        if !user.is_active() {
            return Err(Error::FORBIDDEN);
        }
        self.note_use(&token, now);
        Ok(Actor::User(UserActor {
            user,
            scopes: Some(token.scopes),
            token: Some(token.id),
        }))
    }

    /// Writes the last use down now and then, without making the request wait.
    fn note_use(&self, token: &AccessToken, now: Timestamp) {
        if token
            .last_used_at
            .is_some_and(|last| now.since(last) < TOUCH)
        {
            return;
        }
        let (db, id) = (self.db().clone(), token.id);
        tokio::spawn(async move {
            if let Err(error) = db
                .write(async move |tx: &mut Tx<'_>| tokens::touch(tx, id, now).await)
                .await
            {
                tracing::warn!(%error, token = %id, "the use of a token was not written down");
            }
        });
    }

    /// The running job of a token (`runner-protocol.md §7.2`).
    ///
    /// # Errors
    /// 401 when no executing job has this token or its user is blocked.
    pub async fn authenticate_job(&self, text: String) -> Result<JobActor> {
        if text.len() > TOKEN_LIMIT {
            return Err(Error::UNAUTHORIZED);
        }
        self.db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(running) = queue::find_running_by_token(tx, &token_hash(&text)).await?
                else {
                    return Err(Error::UNAUTHORIZED);
                };
                let Some(job) = jobs::find(tx, running.job_id).await? else {
                    return Err(Error::UNAUTHORIZED);
                };
                let user = match job.user_id {
                    Some(id) => users::find(tx, id).await?,
                    None => None,
                };
                match user {
                    Some(user)
                        if user.is_active()
                            && job.status.is_executing()
                            && job.erased_at.is_none() =>
                    {
                        Ok(JobActor {
                            job_id: job.id,
                            project_id: job.project_id,
                            user,
                        })
                    }
                    Some(_) | None => Err(Error::UNAUTHORIZED),
                }
            })
            .await
    }

    async fn authenticate_session(&self, text: String) -> Result<Actor> {
        let now = self.now();
        self.db()
            .read(async move |tx: &mut Tx<'_>| -> Result<Actor> {
                let Some(session) = sessions::find(tx, &token_hash(&text), now).await? else {
                    return Ok(Actor::Anonymous);
                };
                Ok(match users::find(tx, session.user_id).await? {
                    Some(user) if user.is_active() => Actor::User(UserActor {
                        user,
                        scopes: None,
                        token: None,
                    }),
                    Some(_) | None => Actor::Anonymous,
                })
            })
            .await
    }

    /// The user of a login and password (git over HTTP, sign-in). Login may be the e-mail address.
    ///
    /// # Errors
    /// 401 when they do not belong together; nothing tells which was wrong.
    pub async fn authenticate_password(&self, login: String, password: String) -> Result<User> {
        let found = self
            .db()
            .read(
                async move |tx: &mut Tx<'_>| -> Result<Option<(User, String)>> {
                    let user = match users::find_by_username(tx, &login).await? {
                        Some(user) => Some(user),
                        None => users::find_by_email(tx, &login).await?,
                    };
                    let Some(user) = user else { return Ok(None) };
                    Ok(users::find_password(tx, user.id)
                        .await?
                        .map(|hash| (user, hash)))
                },
            )
            .await?;
        // An unknown login costs as much as a wrong password.
        let (user, hash) = match found {
            Some((user, hash)) => (Some(user), hash),
            None => (None, DUMMY_HASH.to_owned()),
        };
        let matches = tokio::task::spawn_blocking(move || password_matches(&password, &hash))
            .await
            .map_err(Error::internal)?;
        user.filter(|user| matches && user.is_active())
            .ok_or(Error::UNAUTHORIZED)
    }
}

/// A hash that no password has.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
