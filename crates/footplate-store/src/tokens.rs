//! Access tokens.

use footplate_model::{AccessToken, NamespaceId, ProjectId, Timestamp, TokenId, UserId};

use crate::{Result, Row, Tx, sql};

macro_rules! columns {
    () => {
        "id, user_id, name, description, scopes, project_id, group_id, impersonation, revoked, created_at, last_used_at, expires_at"
    };
}

fn read(row: &Row<'_>) -> Result<AccessToken> {
    let mut c = row.columns();
    Ok(AccessToken {
        id: c.next()?,
        user_id: c.next()?,
        name: c.next()?,
        description: c.next()?,
        scopes: c.json()?,
        project_id: c.next()?,
        group_id: c.next()?,
        impersonation: c.next()?,
        revoked: c.next()?,
        created_at: c.next()?,
        last_used_at: c.next()?,
        expires_at: c.next()?,
    })
}

/// Inserts a token; `token.id` is not looked at.
pub async fn insert(tx: &mut Tx<'_>, token: &AccessToken, hash: &[u8]) -> Result<AccessToken> {
    tx.query(sql!(concat!(
        "INSERT INTO access_tokens (user_id, token_hash, name, description, scopes, project_id, group_id, impersonation, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ",
        columns!()
    )))
    .bind(token.user_id)
    .bind(hash)
    .bind(&token.name)
    .bind(&token.description)
    .bind(serde_json::to_string(&token.scopes).unwrap_or_default())
    .bind(token.project_id)
    .bind(token.group_id)
    .bind(token.impersonation)
    .bind(token.created_at)
    .bind(token.expires_at)
    .one("access token", read)
    .await
}

/// The token with this id.
pub async fn find(tx: &mut Tx<'_>, id: TokenId) -> Result<Option<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The token with this SHA-256.
pub async fn find_by_hash(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE token_hash = $1"
    )))
    .bind(hash)
    .optional(read)
    .await
}

/// All tokens of a user, newest first.
pub async fn list(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE user_id = $1 ORDER BY id DESC"
    )))
    .bind(user)
    .all(read)
    .await
}

/// Makes a token useless.
pub async fn revoke(tx: &mut Tx<'_>, id: TokenId) -> Result<()> {
    tx.query(sql!(
        "UPDATE access_tokens SET revoked = TRUE WHERE id = $1"
    ))
    .bind(id)
    .execute()
    .await?;
    Ok(())
}

/// Writes down a use; callers do so at most every few minutes.
pub async fn touch(tx: &mut Tx<'_>, id: TokenId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE access_tokens SET last_used_at = $2 WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The tokens of a project, newest first.
pub async fn list_of_project(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE project_id = $1 ORDER BY id DESC"
    )))
    .bind(project)
    .all(read)
    .await
}

/// The tokens of a group, newest first.
pub async fn list_of_group(tx: &mut Tx<'_>, group: NamespaceId) -> Result<Vec<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE group_id = $1 ORDER BY id DESC"
    )))
    .bind(group)
    .all(read)
    .await
}

/// A page of everybody's personal tokens, newest first, for administrators; ids below `beyond`, `None` = from the newest.
pub async fn list_all(
    tx: &mut Tx<'_>,
    beyond: Option<i64>,
    limit: i64,
    offset: i64,
) -> Result<Vec<AccessToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM access_tokens WHERE project_id IS NULL AND group_id IS NULL AND id < $1 ORDER BY id DESC LIMIT $2 OFFSET $3"
    )))
    .bind(beyond.unwrap_or(i64::MAX))
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// Replaces a token by a new one of the same family: the old one no longer works.
pub async fn rotate(
    tx: &mut Tx<'_>,
    old: TokenId,
    new: &AccessToken,
    hash: &[u8],
) -> Result<AccessToken> {
    revoke(tx, old).await?;
    let token = insert(tx, new, hash).await?;
    tx.query(sql!(
        "UPDATE access_tokens SET family_id = (SELECT COALESCE(o.family_id, o.id) FROM access_tokens o WHERE o.id = $2) WHERE id = $1"
    ))
    .bind(token.id)
    .bind(old)
    .execute()
    .await?;
    Ok(token)
}

/// Makes a token and all that it was rotated from or into useless: somebody used one that was replaced.
pub async fn revoke_family(tx: &mut Tx<'_>, id: TokenId) -> Result<u64> {
    tx.query(sql!(
        "UPDATE access_tokens SET revoked = TRUE WHERE revoked = FALSE AND (id = (SELECT COALESCE(o.family_id, o.id) FROM access_tokens o WHERE o.id = $1) \
         OR family_id = (SELECT COALESCE(o.family_id, o.id) FROM access_tokens o WHERE o.id = $1))"
    ))
    .bind(id)
    .execute()
    .await
}
