//! Settings of the instance: a few named texts.

use crate::{Result, Tx, sql};

/// The value of a key.
pub async fn find(tx: &mut Tx<'_>, key: &str) -> Result<Option<String>> {
    tx.query(sql!("SELECT value FROM instance_settings WHERE key = $1"))
        .bind(key)
        .optional(|row| row.get(0))
        .await
}

/// Sets a key.
pub async fn put(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<()> {
    tx.query(sql!("INSERT INTO instance_settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"))
        .bind(key)
        .bind(value)
        .execute()
        .await?;
    Ok(())
}

/// Removes a key; whether it was there.
pub async fn delete(tx: &mut Tx<'_>, key: &str) -> Result<bool> {
    Ok(tx
        .query(sql!("DELETE FROM instance_settings WHERE key = $1"))
        .bind(key)
        .execute()
        .await?
        > 0)
}
