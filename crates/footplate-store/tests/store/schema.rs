//! The two migrated schemas are the same: tables, columns, nullability, keys, indexes.

use std::collections::BTreeMap;

use footplate_store::{Error, Tx, sql, testing};

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

/// All rows of a query as text.
fn lite(connection: &rusqlite::Connection, query: &str, of: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let parameters: &[&str] = if of.is_empty() { &[] } else { &[of] };
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| {
        (0..columns)
            .map(|column| {
                Ok(match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str_or_null()?.unwrap_or("(expression)").to_owned(),
                })
            })
            .collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn sqlite_schema(path: &str) -> Schema {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut schema = Schema::new();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    for table in lite(&connection, tables, "").concat() {
        let columns = "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)";
        let mut key = Vec::new();
        for row in lite(&connection, columns, &table) {
            let [name, of, not_null, position] = row.try_into().unwrap();
            let nullable = if not_null == "0" && position == "0" {
                "null"
            } else {
                "not null"
            };
            if position != "0" {
                key.push((position, name.clone()));
            }
            schema.insert(
                format!("{table}.{name}"),
                format!("{} {nullable}", kind(&of)),
            );
        }
        key.sort();
        let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        schema.insert(format!("primary key {table}"), key.join(", "));
        let indexes =
            "SELECT name, \"unique\", partial FROM pragma_index_list(?1) WHERE origin = 'c'";
        for row in lite(&connection, indexes, &table) {
            let [name, unique, partial] = row.try_into().unwrap();
            let columns =
                "SELECT name, \"desc\" FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno";
            let columns: Vec<String> = lite(&connection, columns, &name)
                .iter()
                .map(|column| format!("{} {}", column[0], column[1]))
                .collect();
            schema.insert(
                format!("index {name}"),
                format!(
                    "{table} unique {unique} partial {partial}: {}",
                    columns.join(", ")
                ),
            );
        }
        let keys = "SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list(?1)";
        for row in lite(&connection, keys, &table) {
            let [from, to_table, to, delete] = row.try_into().unwrap();
            schema.insert(
                format!("key {table}.{from}"),
                format!("{to_table}.{to} {delete}"),
            );
        }
    }
    schema
}

/// All rows of a query whose columns are text.
async fn texts(client: &tokio_postgres::Client, query: &str) -> Vec<Vec<String>> {
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter()
        .map(|row| (0..row.len()).map(|column| row.get(column)).collect())
        .collect()
}

const COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text FROM information_schema.columns WHERE table_schema = 'public'";

const INDEXES: &str = "SELECT i.relname::text, t.relname::text, x.indisunique::int::text, (x.indpred IS NOT NULL)::int::text, x.indisprimary::int::text, \
    (SELECT string_agg(coalesce(a.attname, '(expression)') || ' ' || (x.indoption[k.position - 1] & 1)::text, ', ' ORDER BY k.position) \
     FROM unnest(x.indkey::int[]) WITH ORDINALITY AS k (number, position) \
     LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number AND k.number > 0) \
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
    JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public'";

const KEYS: &str = "SELECT t.relname::text, a.attname::text, f.relname::text, b.attname::text, \
    CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'a' THEN 'NO ACTION' ELSE 'other' END \
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = c.confkey[1] \
    WHERE c.contype = 'f'";

async fn postgres_schema(url: &str) -> Schema {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut schema = Schema::new();
    for row in texts(&client, COLUMNS).await {
        let [table, column, of, nullable] = row.try_into().unwrap();
        let nullable = if nullable == "NO" { "not null" } else { "null" };
        schema.insert(
            format!("{table}.{column}"),
            format!("{} {nullable}", kind(&of)),
        );
    }
    for row in texts(&client, INDEXES).await {
        let [name, table, unique, partial, primary, columns] = row.try_into().unwrap();
        if primary == "1" {
            schema.insert(format!("primary key {table}"), columns.replace(" 0", ""));
        } else {
            schema.insert(
                format!("index {name}"),
                format!("{table} unique {unique} partial {partial}: {columns}"),
            );
        }
    }
    for row in texts(&client, KEYS).await {
        let [table, from, to_table, to, delete] = row.try_into().unwrap();
        schema.insert(
            format!("key {table}.{from}"),
            format!("{to_table}.{to} {delete}"),
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

    for (planted, names) in [
        ("ALTER TABLE users ADD COLUMN planted TEXT", "users.planted"),
        ("DROP INDEX jobs_runner", "index jobs_runner"),
        (
            "DROP INDEX users_email; CREATE INDEX users_email ON users (lower(email))",
            "index users_email",
        ),
        (
            "DROP INDEX jobs_definition; CREATE INDEX jobs_definition ON jobs (created_at)",
            "index jobs_definition",
        ),
        (
            "DROP INDEX jobs_pipeline; CREATE INDEX jobs_pipeline ON jobs (pipeline_id, id)",
            "index jobs_pipeline",
        ),
        (
            "DROP INDEX tasks_due; CREATE INDEX tasks_due ON tasks (run_at) WHERE attempts = 0",
            "index tasks_due",
        ),
        (
            "DROP TABLE job_token_allowlist; CREATE TABLE job_token_allowlist (project_id INTEGER NOT NULL REFERENCES projects (id), \
          target_project_id INTEGER NOT NULL DEFAULT 0, target_group_id INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (project_id, target_project_id, target_group_id))",
            "key job_token_allowlist.project_id",
        ),
        (
            "DROP TABLE job_counts; CREATE TABLE job_counts (project_id INTEGER REFERENCES projects (id) ON DELETE CASCADE, bucket INTEGER NOT NULL, \
          jobs INTEGER, PRIMARY KEY (bucket, project_id))",
            "primary key job_counts",
        ),
    ] {
        let spoiled = testing::sqlite().await.unwrap();
        rusqlite::Connection::open(&spoiled.place)
            .unwrap()
            .execute_batch(planted)
            .unwrap();
        let found = differences(&sqlite_schema(&spoiled.place), &other);
        assert!(
            found.iter().any(|found| found.starts_with(names)),
            "{planted}: {found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_in_plain_words() {
    for fresh in testing::both().await.unwrap() {
        fresh.reopen().await.unwrap();
        let raise = async |tx: &mut Tx<'_>| {
            tx.query(sql!("UPDATE schema_version SET version = 999"))
                .execute()
                .await
        };
        fresh.db.write(raise).await.unwrap();
        let error = fresh.reopen().await.err().unwrap();
        assert!(matches!(error, Error::NewerSchema { found: 999, .. }));
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
