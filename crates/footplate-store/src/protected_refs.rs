//! Protected branches and tags.

use footplate_model::{ProjectId, ProtectedRef};

use crate::{Result, Row, Tx, sql};

macro_rules! columns {
    () => {
        "id, project_id, tag, name, push_access_level, merge_access_level, allow_force_push, created_at"
    };
}

fn read(row: &Row<'_>) -> Result<ProtectedRef> {
    let mut c = row.columns();
    Ok(ProtectedRef {
        id: c.next()?,
        project_id: c.next()?,
        tag: c.next()?,
        name: c.next()?,
        push_access_level: c.next()?,
        merge_access_level: c.next()?,
        allow_force_push: c.next()?,
        created_at: c.next()?,
    })
}

/// Inserts one; `new.id` is not looked at.
pub async fn insert(tx: &mut Tx<'_>, new: &ProtectedRef) -> Result<ProtectedRef> {
    tx.query(sql!(concat!(
        "INSERT INTO protected_refs (project_id, tag, name, push_access_level, merge_access_level, allow_force_push, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ",
        columns!()
    )))
    .bind(new.project_id)
    .bind(new.tag)
    .bind(&new.name)
    .bind(new.push_access_level)
    .bind(new.merge_access_level)
    .bind(new.allow_force_push)
    .bind(new.created_at)
    .one("protected ref", read)
    .await
}

/// All of a project: branches and tags.
pub async fn list(tx: &mut Tx<'_>, project: ProjectId) -> Result<Vec<ProtectedRef>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM protected_refs WHERE project_id = $1 ORDER BY id"
    )))
    .bind(project)
    .all(read)
    .await
}

/// Changes levels and the force-push flag.
pub async fn update(tx: &mut Tx<'_>, changed: &ProtectedRef) -> Result<()> {
    tx.query(sql!("UPDATE protected_refs SET push_access_level = $2, merge_access_level = $3, allow_force_push = $4 WHERE id = $1"))
        .bind(changed.id)
        .bind(changed.push_access_level)
        .bind(changed.merge_access_level)
        .bind(changed.allow_force_push)
        .execute()
        .await?;
    Ok(())
}

/// Removes the protection of a name; whether there was one.
pub async fn delete(tx: &mut Tx<'_>, project: ProjectId, tag: bool, name: &str) -> Result<bool> {
    Ok(tx
        .query(sql!(
            "DELETE FROM protected_refs WHERE project_id = $1 AND tag = $2 AND name = $3"
        ))
        .bind(project)
        .bind(tag)
        .bind(name)
        .execute()
        .await?
        > 0)
}
