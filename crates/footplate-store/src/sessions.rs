//! Sessions of the pages.

use footplate_model::{Timestamp, UserId};

use crate::{Result, Tx, sql};

/// A signed-in browser.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub user_id: UserId,
    /// What forms must bring.
    pub csrf_token: String,
}

/// Inserts a session.
pub async fn insert(
    tx: &mut Tx<'_>,
    hash: &[u8],
    session: &Session,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    tx.query(sql!("INSERT INTO sessions (token_hash, user_id, csrf_token, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)"))
        .bind(hash)
        .bind(session.user_id)
        .bind(&session.csrf_token)
        .bind(now)
        .bind(expires_at)
        .execute()
        .await?;
    Ok(())
}

/// The session of a cookie, unless it has ended.
pub async fn find(tx: &mut Tx<'_>, hash: &[u8], now: Timestamp) -> Result<Option<Session>> {
    tx.query(sql!(
        "SELECT user_id, csrf_token FROM sessions WHERE token_hash = $1 AND expires_at > $2"
    ))
    .bind(hash)
    .bind(now)
    .optional(|row| {
        Ok(Session {
            user_id: row.get(0)?,
            csrf_token: row.get(1)?,
        })
    })
    .await
}

/// Ends a session.
pub async fn delete(tx: &mut Tx<'_>, hash: &[u8]) -> Result<()> {
    tx.query(sql!("DELETE FROM sessions WHERE token_hash = $1"))
        .bind(hash)
        .execute()
        .await?;
    Ok(())
}

/// Removes those that have ended.
pub async fn delete_ended(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64> {
    tx.query(sql!("DELETE FROM sessions WHERE expires_at <= $1"))
        .bind(now)
        .execute()
        .await
}

/// Ends all sessions of a user: a new password, a blocked account. How many there were.
pub async fn delete_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<u64> {
    tx.query(sql!("DELETE FROM sessions WHERE user_id = $1"))
        .bind(user)
        .execute()
        .await
}
