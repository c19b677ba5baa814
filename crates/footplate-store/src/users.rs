//! Users.

use footplate_model::{NamespaceId, Timestamp, User, UserId, UserState};

use crate::{Result, Row, Tx, sql};

macro_rules! columns {
    () => {
        "id, username, name, email, state, admin, bot, namespace_id, created_at"
    };
}

fn read(row: &Row<'_>) -> Result<User> {
    let mut c = row.columns();
    Ok(User {
        id: c.next()?,
        username: c.next()?,
        name: c.next()?,
        email: c.next()?,
        state: c.next()?,
        admin: c.next()?,
        bot: c.next()?,
        namespace_id: c.next()?,
        created_at: c.next()?,
    })
}

/// What a new account needs.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login.
    pub username: String,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// argon2; `None` = no sign-in by password.
    pub password_hash: Option<String>,
    /// Administrator.
    pub admin: bool,
    /// For project and group tokens.
    pub bot: bool,
    /// The personal namespace.
    pub namespace_id: NamespaceId,
}

/// Inserts an active user.
pub async fn insert(tx: &mut Tx<'_>, new: &NewUser, now: Timestamp) -> Result<User> {
    tx.query(sql!(concat!(
        "INSERT INTO users (username, name, email, password_hash, state, admin, bot, namespace_id, created_at) \
         VALUES ($1, $2, $3, $4, 'active', $5, $6, $7, $8) RETURNING ",
        columns!()
    )))
    .bind(&new.username)
    .bind(&new.name)
    .bind(&new.email)
    .bind(&new.password_hash)
    .bind(new.admin)
    .bind(new.bot)
    .bind(new.namespace_id)
    .bind(now)
    .one("user", read)
    .await
}

/// The user with this id.
pub async fn find(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE id = $1"
    )))
    .bind(id)
    .optional(read)
    .await
}

/// The user with this login, without regard to case.
pub async fn find_by_username(tx: &mut Tx<'_>, username: &str) -> Result<Option<User>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE lower(username) = lower($1)"
    )))
    .bind(username)
    .optional(read)
    .await
}

/// The user with this e-mail address, without regard to case.
pub async fn find_by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<User>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE lower(email) = lower($1)"
    )))
    .bind(email)
    .optional(read)
    .await
}

/// Several users; `ids` is a JSON list.
pub async fn list_by_ids(tx: &mut Tx<'_>, ids: &str) -> Result<Vec<User>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))"
    )))
    .bind(ids)
    .all(read)
    .await
}

/// The argon2 hash for a login.
pub async fn find_password(tx: &mut Tx<'_>, id: UserId) -> Result<Option<String>> {
    let row = tx
        .query(sql!("SELECT password_hash FROM users WHERE id = $1"))
        .bind(id)
        .optional(|row| row.get::<Option<String>>(0))
        .await?;
    Ok(row.flatten())
}

/// A page of users, newest first; `search` looks into login, name and address, empty = all.
pub async fn list(tx: &mut Tx<'_>, search: &str, limit: i64, offset: i64) -> Result<Vec<User>> {
    tx.query(sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE ($1 = '' OR lower(username) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\' OR lower(email) LIKE $2 ESCAPE '\\') \
         ORDER BY id DESC LIMIT $3 OFFSET $4"
    )))
    .bind(search)
    .bind(like(search))
    .bind(limit)
    .bind(offset)
    .all(read)
    .await
}

/// How many users that search finds.
pub async fn count(tx: &mut Tx<'_>, search: &str) -> Result<i64> {
    tx.query(sql!(
        "SELECT COUNT(*) FROM users WHERE ($1 = '' OR lower(username) LIKE $2 ESCAPE '\\' OR lower(name) LIKE $2 ESCAPE '\\' OR lower(email) LIKE $2 ESCAPE '\\')"
    ))
    .bind(search)
    .bind(like(search))
    .one("count", |row| row.get(0))
    .await
}

/// Changes state, password or administrator flag; `None` leaves as it is.
pub async fn update(tx: &mut Tx<'_>, user: &User, password_hash: Option<&str>) -> Result<()> {
    tx.query(sql!("UPDATE users SET name = $2, email = $3, state = $4, admin = $5, password_hash = COALESCE($6, password_hash) WHERE id = $1"))
        .bind(user.id)
        .bind(&user.name)
        .bind(&user.email)
        .bind(user.state)
        .bind(user.admin)
        .bind(password_hash)
        .execute()
        .await?;
    Ok(())
}

/// Sets the state of an account.
pub async fn set_state(tx: &mut Tx<'_>, id: UserId, state: UserState) -> Result<()> {
    tx.query(sql!("UPDATE users SET state = $2 WHERE id = $1"))
        .bind(id)
        .bind(state)
        .execute()
        .await?;
    Ok(())
}

/// Deletes an account.
pub async fn delete(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    tx.query(sql!("DELETE FROM users WHERE id = $1"))
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// A LIKE pattern for «contains», lower case, with its special characters escaped.
pub(crate) fn like(search: &str) -> String {
    let escaped = search
        .to_lowercase()
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}
