//! Every `sql!` of the source is prepared on both engines after migration.

use std::{collections::HashMap, fs, path::Path};

use footplate_store::testing;

/// A statement found in the source: where, and its text per engine.
#[derive(Debug)]
struct Found {
    place: String,
    sqlite: String,
    postgres: String,
}

/// Reads a Rust string literal that begins at `"`; its value and what follows.
fn literal(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('\n') => {
                    while chars.peek().is_some_and(|(_, c)| c.is_whitespace()) {
                        chars.next();
                    }
                }
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => break,
            },
            c => value.push(c),
        }
    }
    panic!("a literal without end: {text}");
}

/// Joins the literals and `name!()` columns of a `sql!(…)` body up to its closing bracket.
fn pieces(mut text: &str, macros: &HashMap<String, String>) -> String {
    let mut joined = String::new();
    let mut depth = 1;
    while depth > 0 {
        match text.as_bytes()[0] {
            b'"' => {
                let (value, rest) = literal(text);
                joined.push_str(&value);
                text = rest;
                continue;
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            c if c.is_ascii_alphabetic() || c == b'_' => {
                let end = text
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap();
                let word = &text[..end];
                if text[end..].starts_with("!()") {
                    joined.push_str(
                        macros
                            .get(word)
                            .unwrap_or_else(|| panic!("unknown macro {word}!")),
                    );
                    text = &text[end + 3..];
                    continue;
                }
                assert_eq!(
                    word, "concat",
                    "only literals and column macros stand in sql!"
                );
                text = &text[end + 1..];
                continue;
            }
            _ => {}
        }
        text = &text[1..];
    }
    joined
}

fn collect(file: &str, source: &str) -> Vec<Found> {
    let mut macros = HashMap::new();
    for (at, _) in source.match_indices("macro_rules! ") {
        let rest = &source[at + "macro_rules! ".len()..];
        let name = rest.split_whitespace().next().unwrap().to_owned();
        if let Some(body) = rest.split_once("=> {").map(|(_, body)| body.trim_start())
            && body.starts_with('"')
        {
            macros.insert(name, literal(body).0);
        }
    }
    let mut found = Vec::new();
    for (at, _) in source.match_indices("sql!(") {
        let line = source[..at].lines().count();
        let body = source[at + "sql!(".len()..].trim_start();
        let place = format!("{file}:{line}");
        if let Some(variants) = body.strip_prefix("sqlite ") {
            let (sqlite, rest) = literal(variants.trim_start());
            let (postgres, _) = literal(
                rest.trim_start_matches([',', ' ', '\n'])
                    .trim_start_matches("postgres")
                    .trim_start(),
            );
            found.push(Found {
                place,
                sqlite,
                postgres,
            });
        } else if body.starts_with('"') || body.starts_with("concat!") {
            let text = pieces(body, &macros);
            found.push(Found {
                place,
                sqlite: text.clone(),
                postgres: text,
            });
        }
    }
    found
}

fn all() -> Vec<Found> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        // tx.rs defines the macro; migrate.rs reads the version table, which is older than every migration.
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tx.rs") {
            found.extend(collect(
                &path.file_name().unwrap().to_string_lossy(),
                &fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    found
}

async fn faults(found: &[Found]) -> Vec<String> {
    let sqlite = testing::sqlite().await.unwrap();
    let lite = rusqlite::Connection::open(&sqlite.place).unwrap();
    let postgres = testing::postgres().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&postgres.place, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut faults = Vec::new();
    for statement in found {
        if let Err(error) = lite.prepare(&statement.sqlite) {
            faults.push(format!("{} on SQLite: {error}", statement.place));
        }
        if let Err(error) = client.prepare(&statement.postgres).await {
            faults.push(format!(
                "{} on PostgreSQL: {}",
                statement.place,
                error
                    .as_db_error()
                    .map_or_else(|| error.to_string(), |e| e.message().to_owned())
            ));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_prepares_on_both_engines() {
    let found = all();
    assert!(
        found.len() > 100,
        "only {} statements found: the collector is broken",
        found.len()
    );
    let faults = faults(&found).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_fault_is_caught() {
    let planted = collect(
        "planted.rs",
        "tx.query(sql!(\"SELECT no_such_column FROM users\")); tx.query(sql!(concat!(\"SELECT \", \"id FROM usrs\")));",
    );
    assert_eq!(planted.len(), 2);
    assert_eq!(faults(&planted).await.len(), 4);
}
