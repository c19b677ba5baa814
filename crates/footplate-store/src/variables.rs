//! CI variables of instance, groups and projects; values are encrypted with the key file.

use footplate_model::{CiVariable, NamespaceId, ProjectId, VariableId, VariableOwner};

use crate::{Keys, Result, Row, Tx, sql};

macro_rules! columns {
    () => {
        "id, group_id, project_id, key, value, variable_type, protected, masked, hidden, raw, environment_scope, description"
    };
}

fn read(keys: &Keys) -> impl Fn(&Row<'_>) -> Result<CiVariable> + '_ {
    move |row| {
        let mut c = row.columns();
        let id = c.next()?;
        let group: Option<NamespaceId> = c.next()?;
        let project: Option<ProjectId> = c.next()?;
        let owner = match (project, group) {
            (Some(project), _) => VariableOwner::Project(project),
            (None, Some(group)) => VariableOwner::Group(group),
            (None, None) => VariableOwner::Instance,
        };
        let key = c.next()?;
        let sealed: Vec<u8> = c.next()?;
        Ok(CiVariable {
            id,
            owner,
            key,
            value: keys.decrypt(&sealed)?,
            variable_type: c.next()?,
            protected: c.next()?,
            masked: c.next()?,
            hidden: c.next()?,
            raw: c.next()?,
            environment_scope: c.next()?,
            description: c.next()?,
        })
    }
}

fn ids(owner: VariableOwner) -> (Option<NamespaceId>, Option<ProjectId>) {
    match owner {
        VariableOwner::Instance => (None, None),
        VariableOwner::Group(group) => (Some(group), None),
        VariableOwner::Project(project) => (None, Some(project)),
    }
}

/// Inserts a variable; `new.id` is not looked at. [`crate::Error::Taken`] when key and scope exist.
pub async fn insert(tx: &mut Tx<'_>, keys: &Keys, new: &CiVariable) -> Result<CiVariable> {
    let (group, project) = ids(new.owner);
    tx.query(sql!(concat!(
        "INSERT INTO ci_variables (group_id, project_id, key, value, variable_type, protected, masked, hidden, raw, environment_scope, description) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING ",
        columns!()
    )))
    .bind(group)
    .bind(project)
    .bind(&new.key)
    .bind(keys.encrypt(&new.value)?)
    .bind(new.variable_type)
    .bind(new.protected)
    .bind(new.masked)
    .bind(new.hidden)
    .bind(new.raw)
    .bind(&new.environment_scope)
    .bind(&new.description)
    .one("variable", read(keys))
    .await
}

/// All variables of one owner, by key.
pub async fn list(tx: &mut Tx<'_>, keys: &Keys, owner: VariableOwner) -> Result<Vec<CiVariable>> {
    let (group, project) = ids(owner);
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM ci_variables WHERE coalesce(project_id, 0) = coalesce(CAST($1 AS BIGINT), 0) AND coalesce(group_id, 0) = coalesce(CAST($2 AS BIGINT), 0) \
         ORDER BY key, environment_scope"
    )))
    .bind(project)
    .bind(group)
    .all(read(keys))
    .await
}

/// The variables of the instance, of groups and of one project, by key; `groups` is a JSON list.
pub async fn list_around(
    tx: &mut Tx<'_>,
    keys: &Keys,
    project: ProjectId,
    groups: &str,
) -> Result<Vec<CiVariable>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM ci_variables WHERE coalesce(project_id, 0) IN (0, CAST($1 AS BIGINT)) \
         AND coalesce(group_id, 0) IN (SELECT 0 UNION ALL SELECT CAST(value AS BIGINT) FROM json_each($2)) ORDER BY key, environment_scope"
    )))
    .bind(project)
    .bind(groups)
    .all(read(keys))
    .await
}

/// Changes everything but key and owner.
pub async fn update(tx: &mut Tx<'_>, keys: &Keys, changed: &CiVariable) -> Result<()> {
    tx.query(sql!(
        "UPDATE ci_variables SET value = $2, variable_type = $3, protected = $4, masked = $5, raw = $6, environment_scope = $7, description = $8 WHERE id = $1"
    ))
    .bind(changed.id)
    .bind(keys.encrypt(&changed.value)?)
    .bind(changed.variable_type)
    .bind(changed.protected)
    .bind(changed.masked)
    .bind(changed.raw)
    .bind(&changed.environment_scope)
    .bind(&changed.description)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a variable.
pub async fn delete(tx: &mut Tx<'_>, id: VariableId) -> Result<()> {
    tx.query(sql!("DELETE FROM ci_variables WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}
