//! Members of projects and groups.

use footplate_model::{AccessLevel, Member, MemberOf, NamespaceId, ProjectId, Timestamp, UserId};

use crate::{Result, Row, Tx, sql};

fn read(of: MemberOf) -> impl Fn(&Row<'_>) -> Result<Member> {
    move |row| {
        let mut c = row.columns();
        Ok(Member {
            user_id: c.next()?,
            of,
            access_level: c.next()?,
            created_at: c.next()?,
            created_by: c.next()?,
            expires_at: c.next()?,
        })
    }
}

/// Inserts a member.
pub async fn insert(tx: &mut Tx<'_>, member: &Member) -> Result<()> {
    let (query, id) = match member.of {
        MemberOf::Project(id) => (
            tx.query(sql!("INSERT INTO project_members (project_id, user_id, access_level, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6)")),
            id.0,
        ),
        MemberOf::Group(id) => (
            tx.query(sql!("INSERT INTO group_members (group_id, user_id, access_level, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6)")),
            id.0,
        ),
    };
    query
        .bind(id)
        .bind(member.user_id)
        .bind(member.access_level)
        .bind(member.created_at)
        .bind(member.created_by)
        .bind(member.expires_at)
        .execute()
        .await?;
    Ok(())
}

/// Changes role and end.
pub async fn update(tx: &mut Tx<'_>, member: &Member) -> Result<()> {
    let (query, id) = match member.of {
        MemberOf::Project(id) => (tx.query(sql!("UPDATE project_members SET access_level = $3, expires_at = $4 WHERE project_id = $1 AND user_id = $2")), id.0),
        MemberOf::Group(id) => (tx.query(sql!("UPDATE group_members SET access_level = $3, expires_at = $4 WHERE group_id = $1 AND user_id = $2")), id.0),
    };
    query
        .bind(id)
        .bind(member.user_id)
        .bind(member.access_level)
        .bind(member.expires_at)
        .execute()
        .await?;
    Ok(())
}

/// Removes a member; whether there was one.
pub async fn delete(tx: &mut Tx<'_>, of: MemberOf, user: UserId) -> Result<bool> {
    let (query, id) = match of {
        MemberOf::Project(id) => (
            tx.query(sql!(
                "DELETE FROM project_members WHERE project_id = $1 AND user_id = $2"
            )),
            id.0,
        ),
        MemberOf::Group(id) => (
            tx.query(sql!(
                "DELETE FROM group_members WHERE group_id = $1 AND user_id = $2"
            )),
            id.0,
        ),
    };
    Ok(query.bind(id).bind(user).execute().await? > 0)
}

/// Direct members, in the order of their ids.
pub async fn list(tx: &mut Tx<'_>, of: MemberOf) -> Result<Vec<Member>> {
    let (query, id) = match of {
        MemberOf::Project(id) => (
            tx.query(sql!("SELECT user_id, access_level, created_at, created_by, expires_at FROM project_members WHERE project_id = $1 ORDER BY user_id")),
            id.0,
        ),
        MemberOf::Group(id) => (
            tx.query(sql!("SELECT user_id, access_level, created_at, created_by, expires_at FROM group_members WHERE group_id = $1 ORDER BY user_id")),
            id.0,
        ),
    };
    query.bind(id).all(read(of)).await
}

/// The highest role of a user in a project: direct, through its groups, or as owner of the personal namespace.
pub async fn project_level(
    tx: &mut Tx<'_>,
    project: ProjectId,
    user: UserId,
    now: Timestamp,
) -> Result<AccessLevel> {
    let found: Option<Option<AccessLevel>> = tx
        .query(sql!(
            "WITH RECURSIVE around (id, parent_id, user_id) AS ( \
               SELECT n.id, n.parent_id, n.user_id FROM namespaces n JOIN projects p ON p.namespace_id = n.id WHERE p.id = $1 \
               UNION ALL SELECT n.id, n.parent_id, n.user_id FROM namespaces n JOIN around a ON n.id = a.parent_id) \
             SELECT MAX(access_level) FROM ( \
               SELECT access_level FROM project_members WHERE project_id = $1 AND user_id = $2 AND (expires_at IS NULL OR expires_at > $3) \
               UNION ALL SELECT g.access_level FROM group_members g JOIN around a ON g.group_id = a.id WHERE g.user_id = $2 AND (g.expires_at IS NULL OR g.expires_at > $3) \
               UNION ALL SELECT CAST(50 AS BIGINT) FROM around WHERE user_id = $2) AS levels"
        ))
        .bind(project)
        .bind(user)
        .bind(now)
        .optional(|row| row.get(0))
        .await?;
    Ok(found.flatten().unwrap_or(AccessLevel::NONE))
}

/// The highest role of a user in a group, inherited ones included.
pub async fn group_level(
    tx: &mut Tx<'_>,
    group: NamespaceId,
    user: UserId,
    now: Timestamp,
) -> Result<AccessLevel> {
    let found: Option<Option<AccessLevel>> = tx
        .query(sql!(
            "WITH RECURSIVE around (id, parent_id, user_id) AS ( \
               SELECT n.id, n.parent_id, n.user_id FROM namespaces n WHERE n.id = $1 \
               UNION ALL SELECT n.id, n.parent_id, n.user_id FROM namespaces n JOIN around a ON n.id = a.parent_id) \
             SELECT MAX(access_level) FROM ( \
               SELECT g.access_level FROM group_members g JOIN around a ON g.group_id = a.id WHERE g.user_id = $2 AND (g.expires_at IS NULL OR g.expires_at > $3) \
               UNION ALL SELECT CAST(50 AS BIGINT) FROM around WHERE user_id = $2) AS levels"
        ))
        .bind(group)
        .bind(user)
        .bind(now)
        .optional(|row| row.get(0))
        .await?;
    Ok(found.flatten().unwrap_or(AccessLevel::NONE))
}

/// A direct member.
pub async fn find(tx: &mut Tx<'_>, of: MemberOf, user: UserId) -> Result<Option<Member>> {
    let (query, id) = match of {
        MemberOf::Project(id) => (
            tx.query(sql!("SELECT user_id, access_level, created_at, created_by, expires_at FROM project_members WHERE project_id = $1 AND user_id = $2")),
            id.0,
        ),
        MemberOf::Group(id) => (
            tx.query(sql!("SELECT user_id, access_level, created_at, created_by, expires_at FROM group_members WHERE group_id = $1 AND user_id = $2")),
            id.0,
        ),
    };
    query.bind(id).bind(user).optional(read(of)).await
}

/// Members of a project or group and of all groups around it, each with the highest role, in the order of their ids.
pub async fn list_all(tx: &mut Tx<'_>, of: MemberOf, now: Timestamp) -> Result<Vec<Member>> {
    let mut all = match of {
        MemberOf::Project(_) => list(tx, of).await?,
        MemberOf::Group(_) => Vec::new(),
    };
    all.extend(list_of_groups_around(tx, of).await?);
    all.retain(|member| member.expires_at.is_none_or(|end| end > now));
    // The highest role first; of equal ones the closest, which the sorts keep in front.
    all.sort_by_key(|member| (member.user_id, std::cmp::Reverse(member.access_level)));
    all.dedup_by_key(|member| member.user_id);
    Ok(all)
}

/// Members of the groups around, a group itself included, the closest first.
async fn list_of_groups_around(tx: &mut Tx<'_>, of: MemberOf) -> Result<Vec<Member>> {
    let (query, id) = match of {
        MemberOf::Project(id) => (
            tx.query(sql!(
                "WITH RECURSIVE around (id, parent_id, distance) AS (SELECT n.id, n.parent_id, 0 FROM namespaces n JOIN projects p ON p.namespace_id = n.id \
                 WHERE p.id = $1 UNION ALL SELECT n.id, n.parent_id, a.distance + 1 FROM namespaces n JOIN around a ON n.id = a.parent_id) \
                 SELECT g.group_id, g.user_id, g.access_level, g.created_at, g.created_by, g.expires_at FROM group_members g JOIN around a ON a.id = g.group_id \
                 ORDER BY a.distance, g.user_id"
            )),
            id.0,
        ),
        MemberOf::Group(id) => (
            tx.query(sql!(
                "WITH RECURSIVE around (id, parent_id, distance) AS (SELECT n.id, n.parent_id, 0 FROM namespaces n WHERE n.id = $1 \
                 UNION ALL SELECT n.id, n.parent_id, a.distance + 1 FROM namespaces n JOIN around a ON n.id = a.parent_id) \
                 SELECT g.group_id, g.user_id, g.access_level, g.created_at, g.created_by, g.expires_at FROM group_members g JOIN around a ON a.id = g.group_id \
                 ORDER BY a.distance, g.user_id"
            )),
            id.0,
        ),
    };
    query
        .bind(id)
        .all(|row| {
            let mut c = row.columns();
            Ok(Member {
                of: MemberOf::Group(c.next()?),
                user_id: c.next()?,
                access_level: c.next()?,
                created_at: c.next()?,
                created_by: c.next()?,
                expires_at: c.next()?,
            })
        })
        .await
}

/// Removes memberships whose last day has come; how many.
pub async fn delete_ended(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64> {
    let of_projects = tx
        .query(sql!("DELETE FROM project_members WHERE expires_at <= $1"))
        .bind(now)
        .execute()
        .await?;
    let of_groups = tx
        .query(sql!("DELETE FROM group_members WHERE expires_at <= $1"))
        .bind(now)
        .execute()
        .await?;
    Ok(of_projects + of_groups)
}
