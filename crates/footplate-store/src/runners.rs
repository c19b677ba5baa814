//! Runners, their projects and their machines.

use footplate_model::{
    NamespaceId, ProjectId, Runner, RunnerId, RunnerManager, RunnerManagerId, Timestamp, UserId,
};

use crate::{Columns, Result, Row, Tx, rows::hex, sql};

macro_rules! columns {
    () => {
        "id, runner_type, group_id, project_id, creator_id, short_token, legacy, description, maintenance_note, paused, locked, run_untagged, access_level, \
         maximum_timeout, tag_list, created_at, contacted_at, token_expires_at, polled"
    };
}

fn read(row: &Row<'_>) -> Result<Runner> {
    read_columns(&mut row.columns())
}

fn read_columns(c: &mut Columns<'_>) -> Result<Runner> {
    Ok(Runner {
        id: c.next()?,
        runner_type: c.next()?,
        group_id: c.next()?,
        project_id: c.next()?,
        creator_id: c.next()?,
        short_token: c.next()?,
        legacy: c.next()?,
        description: c.next()?,
        maintenance_note: c.next()?,
        paused: c.next()?,
        locked: c.next()?,
        run_untagged: c.next()?,
        access_level: c.next()?,
        maximum_timeout: c.next()?,
        tag_list: c.json()?,
        created_at: c.next()?,
        contacted_at: c.next()?,
        token_expires_at: c.next()?,
        polled: c.next()?,
    })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Inserts a runner; `new.id` is not looked at.
pub async fn insert(tx: &mut Tx<'_>, new: &Runner, hash: &[u8]) -> Result<Runner> {
    let runner = tx
        .query(sql!(concat!(
            "INSERT INTO runners (runner_type, group_id, project_id, creator_id, token_hash, short_token, legacy, description, maintenance_note, paused, locked, \
             run_untagged, access_level, maximum_timeout, tag_list, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING ",
            columns!()
        )))
        .bind(new.runner_type)
        .bind(new.group_id)
        .bind(new.project_id)
        .bind(new.creator_id)
        .bind(hash)
        .bind(&new.short_token)
        .bind(new.legacy)
        .bind(&new.description)
        .bind(&new.maintenance_note)
        .bind(new.paused)
        .bind(new.locked)
        .bind(new.run_untagged)
        .bind(new.access_level)
        .bind(new.maximum_timeout)
        .bind(json(&new.tag_list))
        .bind(new.created_at)
        .one("runner", read)
        .await?;
    if let Some(project) = new.project_id {
        assign(tx, runner.id, project).await?;
    }
    Ok(runner)
}

/// The runner with this id.
pub async fn find(tx: &mut Tx<'_>, id: RunnerId) -> Result<Option<Runner>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM runners WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The runner with this token.
pub async fn find_by_token(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<Runner>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM runners WHERE token_hash = $1"
    )))
    .bind(hash)
    .optional(read)
    .await
}

/// The runners of several tokens, each with its token's hash.
pub async fn list_by_tokens(tx: &mut Tx<'_>, hashes: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Runner)>> {
    let list: Vec<String> = hashes.iter().map(|hash| hex(hash)).collect();
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        ", token_hash FROM runners WHERE token_hash IN (SELECT unhex(value) FROM json_each($1))"
    )))
    .bind(json(&list))
    .all(|row| {
        let mut c = row.columns();
        let runner = read_columns(&mut c)?;
        Ok((c.next()?, runner))
    })
    .await
}

/// Several runners; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<Runner>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM runners WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// Every runner, newest first.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<Runner>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM runners ORDER BY id DESC"
    )))
    .all(read)
    .await
}

/// The runners that may serve a project: its own, its groups', the instance's.
pub async fn list_of_project(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<Runner>> {
    tx.query(sql!(concat!(
        "WITH RECURSIVE around (id, parent_id) AS (SELECT n.id, n.parent_id FROM namespaces n JOIN projects p ON p.namespace_id = n.id WHERE p.id = $1 \
         UNION ALL SELECT n.id, n.parent_id FROM namespaces n JOIN around a ON n.id = a.parent_id) SELECT ",
        columns!(),
        " FROM runners r WHERE runner_type = 'instance_type' OR (runner_type = 'group_type' AND group_id IN (SELECT id FROM around)) \
         OR EXISTS (SELECT 1 FROM runner_projects a WHERE a.runner_id = r.id AND a.project_id = $1) ORDER BY id DESC"
    )))
    .bind(project)
    .all(read)
    .await
}

/// The runners of a group itself.
pub async fn list_of_group(tx: &mut Tx<'_>, group: NamespaceId) -> Result<Vec<Runner>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM runners WHERE group_id = $1 ORDER BY id DESC"
    )))
    .bind(group)
    .all(read)
    .await
}

/// Changes what may change.
pub async fn update(tx: &mut Tx<'_>, runner: &Runner) -> Result<()> {
    tx.query(sql!(
        "UPDATE runners SET description = $2, maintenance_note = $3, paused = $4, locked = $5, run_untagged = $6, access_level = $7, maximum_timeout = $8, tag_list = $9 \
         WHERE id = $1"
    ))
    .bind(runner.id)
    .bind(&runner.description)
    .bind(&runner.maintenance_note)
    .bind(runner.paused)
    .bind(runner.locked)
    .bind(runner.run_untagged)
    .bind(runner.access_level)
    .bind(runner.maximum_timeout)
    .bind(json(&runner.tag_list))
    .execute()
    .await?;
    Ok(())
}

/// Gives a runner a new token; the old one dies.
pub async fn set_token(tx: &mut Tx<'_>, id: RunnerId, hash: &[u8], short: &str) -> Result<()> {
    tx.query(sql!(
        "UPDATE runners SET token_hash = $2, short_token = $3 WHERE id = $1"
    ))
    .bind(id)
    .bind(hash)
    .bind(short)
    .execute()
    .await?;
    Ok(())
}

/// A contact; `polled` when it was a job request.
pub async fn touch(tx: &mut Tx<'_>, id: RunnerId, polled: bool, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE runners SET contacted_at = $2, polled = (polled OR $3) WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .bind(polled)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a runner.
pub async fn delete(tx: &mut Tx<'_>, id: RunnerId) -> Result<()> {
    tx.query(sql!("DELETE FROM runners WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Lets a project runner serve a project; `false` when it already does.
pub async fn assign(tx: &mut Tx<'_>, runner: RunnerId, project: ProjectId) -> Result<bool> {
    Ok(tx
        .query(sql!("INSERT INTO runner_projects (runner_id, project_id) VALUES ($1, $2) ON CONFLICT (runner_id, project_id) DO NOTHING"))
        .bind(runner)
        .bind(project)
        .execute()
        .await?
        == 1)
}

/// Takes a project away; whether it was there.
pub async fn unassign(tx: &mut Tx<'_>, runner: RunnerId, project: ProjectId) -> Result<bool> {
    Ok(tx
        .query(sql!(
            "DELETE FROM runner_projects WHERE runner_id = $1 AND project_id = $2"
        ))
        .bind(runner)
        .bind(project)
        .execute()
        .await?
        == 1)
}

/// The projects of a project runner.
pub async fn list_projects(tx: &mut Tx<'_>, runner: RunnerId) -> Result<Vec<ProjectId>> {
    tx.query(sql!(
        "SELECT project_id FROM runner_projects WHERE runner_id = $1 ORDER BY project_id"
    ))
    .bind(runner)
    .all(|row| row.get(0))
    .await
}

macro_rules! manager_columns {
    () => {
        "id, runner_id, system_id, name, version, revision, platform, architecture, executor, ip_address, features, labels, created_at, contacted_at"
    };
}

fn read_manager(row: &Row<'_>) -> Result<RunnerManager> {
    let mut c = row.columns();
    Ok(RunnerManager {
        id: c.next()?,
        runner_id: c.next()?,
        system_id: c.next()?,
        name: c.next()?,
        version: c.next()?,
        revision: c.next()?,
        platform: c.next()?,
        architecture: c.next()?,
        executor: c.next()?,
        ip_address: c.next()?,
        features: c.next()?,
        labels: c.next()?,
        created_at: c.next()?,
        contacted_at: c.next()?,
    })
}

/// Inserts or refreshes a machine; id and creation are not looked at.
pub async fn upsert_manager(
    tx: &mut Tx<'_>,
    seen: &RunnerManager,
    now: Timestamp,
) -> Result<RunnerManager> {
    tx.query(sql!(concat!(
        "INSERT INTO runner_managers (runner_id, system_id, name, version, revision, platform, architecture, executor, ip_address, features, labels, created_at, \
         contacted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) ON CONFLICT (runner_id, system_id) DO UPDATE SET \
         name = COALESCE(excluded.name, runner_managers.name), version = COALESCE(excluded.version, runner_managers.version), \
         revision = COALESCE(excluded.revision, runner_managers.revision), platform = COALESCE(excluded.platform, runner_managers.platform), \
         architecture = COALESCE(excluded.architecture, runner_managers.architecture), executor = COALESCE(excluded.executor, runner_managers.executor), \
         ip_address = COALESCE(excluded.ip_address, runner_managers.ip_address), features = excluded.features, labels = excluded.labels, \
         contacted_at = excluded.contacted_at RETURNING ",
        manager_columns!()
    )))
    .bind(seen.runner_id)
    .bind(&seen.system_id)
    .bind(&seen.name)
    .bind(&seen.version)
    .bind(&seen.revision)
    .bind(&seen.platform)
    .bind(&seen.architecture)
    .bind(&seen.executor)
    .bind(&seen.ip_address)
    .bind(&seen.features)
    .bind(&seen.labels)
    .bind(now)
    .one("runner manager", read_manager)
    .await
}

/// The machines of several runners with these `system_id`s, of those that are known.
pub async fn list_managers_named(
    tx: &mut Tx<'_>,
    named: &[(RunnerId, &str)],
) -> Result<Vec<RunnerManager>> {
    let rows: Vec<_> = named
        .iter()
        .map(|(runner, system)| serde_json::json!({"runner": runner, "system": system}))
        .collect();
    tx.query(sql!(
        "SELECT m.id, m.runner_id, m.system_id, m.name, m.version, m.revision, m.platform, m.architecture, m.executor, m.ip_address, m.features, m.labels, \
         m.created_at, m.contacted_at FROM (SELECT CAST(json_extract(value, '$.runner') AS BIGINT) AS runner, json_extract(value, '$.system') AS system \
         FROM json_each($1)) named JOIN runner_managers m ON m.runner_id = named.runner AND m.system_id = named.system"
    ))
    .bind(json(&rows))
    .all(read_manager)
    .await
}

/// All machines of a runner, the newest contact first.
pub async fn list_managers(tx: &mut Tx<'_>, runner: RunnerId) -> Result<Vec<RunnerManager>> {
    tx.query(sql!(concat!(
        "SELECT ",
        manager_columns!(),
        " FROM runner_managers WHERE runner_id = $1 ORDER BY contacted_at DESC, id DESC"
    )))
    .bind(runner)
    .all(read_manager)
    .await
}

/// Several machines; `ids` is a JSON list.
pub async fn list_managers_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<RunnerManager>> {
    tx.query(sql!(concat!(
        "SELECT ",
        manager_columns!(),
        " FROM runner_managers WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read_manager)
    .await
}

/// Forgets a machine; whether it was there.
pub async fn delete_manager(tx: &mut Tx<'_>, runner: RunnerId, system_id: &str) -> Result<bool> {
    Ok(tx
        .query(sql!(
            "DELETE FROM runner_managers WHERE runner_id = $1 AND system_id = $2"
        ))
        .bind(runner)
        .bind(system_id)
        .execute()
        .await?
        == 1)
}

/// A contact of one machine.
pub async fn touch_manager(tx: &mut Tx<'_>, id: RunnerManagerId, now: Timestamp) -> Result<()> {
    tx.query(sql!(
        "UPDATE runner_managers SET contacted_at = $2 WHERE id = $1"
    ))
    .bind(id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The group and project runners that a user may administer: Owner of the group, Maintainer of a project it serves.
pub async fn list_administered(
    tx: &mut Tx<'_>,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Runner>> {
    tx.query(sql!(concat!(
        "WITH RECURSIVE owned (id, level) AS (SELECT g.group_id, g.access_level FROM group_members g WHERE g.user_id = $1 AND g.access_level >= 40 \
           AND (g.expires_at IS NULL OR g.expires_at > $2) UNION SELECT n.id, o.level FROM namespaces n JOIN owned o ON n.parent_id = o.id), \
         kept (id) AS (SELECT m.project_id FROM project_members m WHERE m.user_id = $1 AND m.access_level >= 40 AND (m.expires_at IS NULL OR m.expires_at > $2) \
           UNION SELECT p.id FROM projects p WHERE p.namespace_id IN (SELECT id FROM owned) \
           UNION SELECT p.id FROM projects p JOIN namespaces n ON n.id = p.namespace_id WHERE n.user_id = $1) SELECT ",
        columns!(),
        " FROM runners r WHERE (runner_type = 'group_type' AND group_id IN (SELECT id FROM owned WHERE level >= 50)) \
         OR (runner_type = 'project_type' AND EXISTS (SELECT 1 FROM runner_projects a WHERE a.runner_id = r.id AND a.project_id IN (SELECT id FROM kept))) \
         ORDER BY id DESC"
    )))
    .bind(user)
    .bind(now)
    .all(read)
    .await
}

/// Forgets machines that have not been heard of since `before`; how many.
pub async fn delete_silent_managers(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.query(sql!(
        "DELETE FROM runner_managers WHERE COALESCE(contacted_at, created_at) <= $1"
    ))
    .bind(before)
    .execute()
    .await
}
