//! Agents for Kubernetes, their tokens and whom they let in.

use footplate_model::{
    Agent, AgentAuthorization, AgentGrantee, AgentId, AgentToken, AgentTokenId, NamespaceId,
    ProjectId, Timestamp, UserId,
};

use crate::{Result, Row, Tx, sql};

fn read(row: &Row<'_>) -> Result<Agent> {
    let mut c = row.columns();
    Ok(Agent {
        id: c.next()?,
        project_id: c.next()?,
        name: c.next()?,
        created_by_user_id: c.next()?,
        created_at: c.next()?,
    })
}

/// Registers an agent. [`crate::Error::Taken`] when the project has one of this name.
pub async fn insert(
    tx: &mut Tx<'_>,
    project: ProjectId,
    name: &str,
    by: UserId,
    now: Timestamp,
) -> Result<Agent> {
    tx.query(sql!(
        "INSERT INTO agents (project_id, name, created_by_user_id, created_at) VALUES ($1, $2, $3, $4) RETURNING id, project_id, name, created_by_user_id, created_at"
    ))
    .bind(project)
    .bind(name)
    .bind(by)
    .bind(now)
    .one("agent", read)
    .await
}

/// The agents of a project.
pub async fn list(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<Agent>> {
    tx.query(sql!("SELECT id, project_id, name, created_by_user_id, created_at FROM agents WHERE project_id = $1 ORDER BY id")).bind(project).all(read).await
}

/// The agent with this id.
pub async fn find(tx: &mut Tx<'_>, id: AgentId) -> Result<Option<Agent>> {
    tx.query(sql!(
        "SELECT id, project_id, name, created_by_user_id, created_at FROM agents WHERE id = $1"
    ))
    .bind(id)
    .optional(read)
    .await
}

/// Removes an agent with its tokens and authorizations.
pub async fn delete(tx: &mut Tx<'_>, id: AgentId) -> Result<()> {
    tx.query(sql!("DELETE FROM agents WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Replaces what an agent's configuration lets in.
pub async fn replace_authorizations(
    tx: &mut Tx<'_>,
    agent: AgentId,
    list: &[AgentAuthorization],
) -> Result<()> {
    tx.query(sql!("DELETE FROM agent_authorizations WHERE agent_id = $1"))
        .bind(agent)
        .execute()
        .await?;
    for entry in list {
        let (project, group) = match entry.grantee {
            AgentGrantee::Project(id) => (Some(id), None),
            AgentGrantee::Group(id) => (None, Some(id)),
        };
        tx.query(sql!("INSERT INTO agent_authorizations (agent_id, project_id, group_id, configuration) VALUES ($1, $2, $3, $4)"))
            .bind(agent)
            .bind(project)
            .bind(group)
            .bind(&entry.configuration)
            .execute()
            .await?;
    }
    Ok(())
}

/// The authorizations of a project itself.
pub async fn list_authorizations_of_project(
    tx: &mut Tx<'_>,
    project: ProjectId,
) -> Result<Vec<AgentAuthorization>> {
    tx.query(sql!("SELECT agent_id, configuration FROM agent_authorizations WHERE project_id = $1 ORDER BY agent_id"))
        .bind(project)
        .all(|row| Ok(AgentAuthorization { agent_id: row.get(0)?, grantee: AgentGrantee::Project(project), configuration: row.get(1)? }))
        .await
}

/// The authorizations of a group itself.
pub async fn list_authorizations_of_group(
    tx: &mut Tx<'_>,
    group: NamespaceId,
) -> Result<Vec<AgentAuthorization>> {
    tx.query(sql!("SELECT agent_id, configuration FROM agent_authorizations WHERE group_id = $1 ORDER BY agent_id"))
        .bind(group)
        .all(|row| Ok(AgentAuthorization { agent_id: row.get(0)?, grantee: AgentGrantee::Group(group), configuration: row.get(1)? }))
        .await
}

macro_rules! token_columns {
    () => {
        "id, agent_id, name, description, revoked, created_by_user_id, created_at, last_used_at"
    };
}

fn read_token(row: &Row<'_>) -> Result<AgentToken> {
    let mut c = row.columns();
    Ok(AgentToken {
        id: c.next()?,
        agent_id: c.next()?,
        name: c.next()?,
        description: c.next()?,
        revoked: c.next()?,
        created_by_user_id: c.next()?,
        created_at: c.next()?,
        last_used_at: c.next()?,
    })
}

/// Inserts a token; `new.id` is not looked at.
pub async fn insert_token(tx: &mut Tx<'_>, new: &AgentToken, hash: &[u8]) -> Result<AgentToken> {
    tx.query(sql!(concat!(
        "INSERT INTO agent_tokens (agent_id, token_hash, name, description, created_by_user_id, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
        token_columns!()
    )))
    .bind(new.agent_id)
    .bind(hash)
    .bind(&new.name)
    .bind(&new.description)
    .bind(new.created_by_user_id)
    .bind(new.created_at)
    .one("agent token", read_token)
    .await
}

/// The tokens of an agent that still work.
pub async fn list_tokens(tx: &mut Tx<'_>, agent: AgentId) -> Result<Vec<AgentToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        token_columns!(),
        " FROM agent_tokens WHERE agent_id = $1 AND revoked = FALSE ORDER BY id DESC"
    )))
    .bind(agent)
    .all(read_token)
    .await
}

/// Makes a token useless.
pub async fn revoke_token(tx: &mut Tx<'_>, id: AgentTokenId) -> Result<()> {
    tx.query(sql!("UPDATE agent_tokens SET revoked = TRUE WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// The token with this SHA-256, if it still works.
pub async fn find_token_by_hash(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<AgentToken>> {
    tx.query(sql!(concat!(
        "SELECT ",
        token_columns!(),
        " FROM agent_tokens WHERE token_hash = $1 AND revoked = FALSE"
    )))
    .bind(hash)
    .optional(read_token)
    .await
}

/// Writes down a use; callers do so at most every few minutes.
pub async fn touch_token(tx: &mut Tx<'_>, id: AgentTokenId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE agent_tokens SET last_used_at = $2 WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Several agents; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Agent>> {
    tx.query(sql!(
        "SELECT id, project_id, name, created_by_user_id, created_at FROM agents WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) ORDER BY id"
    ))
    .bind(ids)
    .all(read)
    .await
}
