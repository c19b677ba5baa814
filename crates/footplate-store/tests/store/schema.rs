//! The two migrated schemas are the same: tables, columns, nullability, keys, indexes.

use std::collections::BTreeMap;

use footplate_store::testing;

type Schema = BTreeMap<String, String>;

fn kind(name: &str) -> &'static str {
    match name {
        "INTEGER" | "bigint" | "boolean" | "timestamp with time zone" | "integer" | "BIGINT" => {
            "number"
        }
        "TEXT" | "text" => "text",
        "REAL" | "double precision" => "real",
        "BLOB" | "bytea" => "bytes",
        _ => "other",
    }
}

fn sqlite_schema(path: &str) -> Schema {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut schema = Schema::new();
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in names {
        let mut columns = connection
            .prepare(&format!(
                "SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')"
            ))
            .unwrap();
        let rows = columns
            .query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, bool>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })
            .unwrap();
        for (name, of, not_null, key) in rows.map(Result::unwrap) {
            schema.insert(
                format!("{table}.{name}"),
                format!(
                    "{} {}",
                    kind(&of),
                    if not_null || key > 0 {
                        "not null"
                    } else {
                        "null"
                    }
                ),
            );
        }
        let mut indexes = connection
            .prepare(&format!(
                "SELECT name, \"unique\" FROM pragma_index_list('{table}') WHERE origin = 'c'"
            ))
            .unwrap();
        let rows = indexes
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
            })
            .unwrap();
        for (name, unique) in rows.map(Result::unwrap) {
            schema.insert(
                format!("index {name}"),
                format!("{table} {}", if unique { "unique" } else { "plain" }),
            );
        }
        let mut keys = connection.prepare(&format!("SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list('{table}')")).unwrap();
        let rows = keys
            .query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .unwrap();
        for (from, to_table, to, delete) in rows.map(Result::unwrap) {
            schema.insert(
                format!("key {table}.{from}"),
                format!("{to_table}.{to} {delete}"),
            );
        }
    }
    schema
}

async fn postgres_schema(url: &str) -> Schema {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut schema = Schema::new();
    let columns = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text FROM information_schema.columns WHERE table_schema = 'public'";
    for row in client.query(columns, &[]).await.unwrap() {
        let (table, column, of, nullable): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        schema.insert(
            format!("{table}.{column}"),
            format!(
                "{} {}",
                kind(&of),
                if nullable == "NO" { "not null" } else { "null" }
            ),
        );
    }
    let indexes = "SELECT i.relname::text, t.relname::text, x.indisunique FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
                   JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public' AND NOT x.indisprimary";
    for row in client.query(indexes, &[]).await.unwrap() {
        let (name, table, unique): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        schema.insert(
            format!("index {name}"),
            format!("{table} {}", if unique { "unique" } else { "plain" }),
        );
    }
    let keys = "SELECT t.relname::text, a.attname::text, f.relname::text, b.attname::text, c.confdeltype::text FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
                JOIN pg_class f ON f.oid = c.confrelid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] \
                JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = c.confkey[1] WHERE c.contype = 'f'";
    for row in client.query(keys, &[]).await.unwrap() {
        let (table, from, to_table, to, delete): (String, String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
        schema.insert(
            format!("key {table}.{from}"),
            format!(
                "{to_table}.{to} {}",
                if delete == "c" {
                    "CASCADE"
                } else {
                    "NO ACTION"
                }
            ),
        );
    }
    schema
}

fn differences(one: &Schema, other: &Schema) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| format!("{name}: {:?} / {:?}", one.get(name), other.get(name)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_schemas_are_the_same_and_a_planted_difference_is_caught() {
    let (sqlite, postgres) = (
        testing::sqlite().await.unwrap(),
        testing::postgres().await.unwrap(),
    );
    let (one, other) = (
        sqlite_schema(&sqlite.place),
        postgres_schema(&postgres.place).await,
    );
    assert!(one.len() > 200, "only {} facts found", one.len());
    let found = differences(&one, &other);
    assert!(found.is_empty(), "{}", found.join("\n"));

    rusqlite::Connection::open(&sqlite.place)
        .unwrap()
        .execute_batch("ALTER TABLE users ADD COLUMN planted TEXT; DROP INDEX jobs_runner;")
        .unwrap();
    assert_eq!(differences(&sqlite_schema(&sqlite.place), &other).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_in_plain_words() {
    let sqlite = testing::sqlite().await.unwrap();
    rusqlite::Connection::open(&sqlite.place)
        .unwrap()
        .execute_batch("UPDATE schema_version SET version = 999")
        .unwrap();
    let error = footplate_store::Db::open_sqlite(std::path::Path::new(&sqlite.place))
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("newer version"), "{error}");
}
