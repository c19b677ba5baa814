//! Registration tokens of the instance, of groups and of projects (legacy; `runner-protocol.md §1.4`).
//!
//! Their owners may see them again, so they are encrypted; registration finds them by their hash.

use footplate_model::{NamespaceId, ProjectId, Timestamp, VariableOwner};

use crate::{Keys, Result, Tx, sql, token_hash};

/// Whose runners a registration token makes: the same three kinds of owner as variables have.
pub type Owner = VariableOwner;

fn ids(owner: Owner) -> (Option<NamespaceId>, Option<ProjectId>) {
    match owner {
        Owner::Instance => (None, None),
        Owner::Group(group) => (Some(group), None),
        Owner::Project(project) => (None, Some(project)),
    }
}

/// The token of an owner.
pub async fn find(tx: &mut Tx<'_>, keys: &Keys, owner: Owner) -> Result<Option<String>> {
    let (group, project) = ids(owner);
    let sealed = tx
        .query(sql!(
            "SELECT token FROM registration_tokens WHERE coalesce(project_id, 0) = coalesce(CAST($1 AS BIGINT), 0) \
             AND coalesce(group_id, 0) = coalesce(CAST($2 AS BIGINT), 0)"
        ))
        .bind(project)
        .bind(group)
        .optional(|row| row.get::<Vec<u8>>(0))
        .await?;
    sealed.map(|sealed| keys.decrypt(&sealed)).transpose()
}

/// Gives an owner a token; the old one dies.
pub async fn put(
    tx: &mut Tx<'_>,
    keys: &Keys,
    owner: Owner,
    token: &str,
    now: Timestamp,
) -> Result<()> {
    let (group, project) = ids(owner);
    tx.query(sql!(
        "INSERT INTO registration_tokens (group_id, project_id, token_hash, token, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (coalesce(project_id, 0), coalesce(group_id, 0)) DO UPDATE SET token_hash = excluded.token_hash, token = excluded.token, \
         created_at = excluded.created_at"
    ))
    .bind(group)
    .bind(project)
    .bind(token_hash(token))
    .bind(keys.encrypt(token)?)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Whose token has this hash.
pub async fn find_owner(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<Owner>> {
    tx.query(sql!(
        "SELECT group_id, project_id FROM registration_tokens WHERE token_hash = $1"
    ))
    .bind(hash)
    .optional(|row| {
        let (group, project): (Option<NamespaceId>, Option<ProjectId>) = (row.get(0)?, row.get(1)?);
        Ok(match (group, project) {
            (_, Some(project)) => Owner::Project(project),
            (Some(group), None) => Owner::Group(group),
            (None, None) => Owner::Instance,
        })
    })
    .await
}
