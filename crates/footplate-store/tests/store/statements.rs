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

/// Joins the literals and `name!()` columns of a `sql!(…)` body up to its closing bracket; the value and what follows.
fn pieces<'t>(mut text: &'t str, macros: &HashMap<String, String>) -> (String, &'t str) {
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
    (joined, text)
}

/// The text for one engine, a literal or a join; the value and what follows.
fn variant<'t>(text: &'t str, macros: &HashMap<String, String>) -> (String, &'t str) {
    match text.trim_start().strip_prefix("concat!(") {
        Some(joined) => pieces(joined, macros),
        None => literal(text.trim_start()),
    }
}

/// The column and condition macros of a file, whose bodies are literals or joins of others.
fn add_macros(source: &str, macros: &mut HashMap<String, String>) {
    for (at, _) in source.match_indices("macro_rules! ") {
        let rest = &source[at + "macro_rules! ".len()..];
        let name = rest.split_whitespace().next().unwrap().to_owned();
        let Some(body) = rest.split_once("=> {").map(|(_, body)| body.trim_start()) else {
            continue;
        };
        if body.starts_with('"') {
            macros.insert(name, literal(body).0);
        } else if let Some(joined) = body.strip_prefix("concat!(") {
            let (text, _) = pieces(joined, macros);
            macros.insert(name, text);
        }
    }
}

/// The statements of a file; `shared` are macros of other files.
fn collect(file: &str, source: &str, shared: &HashMap<String, String>) -> Vec<Found> {
    let mut macros = shared.clone();
    add_macros(source, &mut macros);
    let mut found = Vec::new();
    for (at, _) in source.match_indices("sql!(") {
        let line = source[..at].lines().count();
        let comment = source[..at]
            .lines()
            .last()
            .is_some_and(|line| line.trim_start().starts_with("//"));
        if comment {
            continue;
        }
        let body = source[at + "sql!(".len()..].trim_start();
        let place = format!("{file}:{line}");
        if let Some(variants) = body.strip_prefix("sqlite ") {
            let (sqlite, rest) = variant(variants, &macros);
            let rest = rest.trim_start_matches([',', ' ', '\n']);
            let (postgres, _) = variant(rest.trim_start_matches("postgres"), &macros);
            found.push(Found {
                place,
                sqlite,
                postgres,
            });
        } else if let Some(only) = body.strip_prefix("postgres") {
            let (postgres, _) = variant(only, &macros);
            let sqlite = "SELECT 1".to_owned();
            found.push(Found {
                place,
                sqlite,
                postgres,
            });
        } else {
            let (text, _) = pieces(body, &macros);
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
    let files: Vec<(String, String)> = fs::read_dir(source)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // tx.rs defines the macro.
        .filter(|path| path.extension().is_some_and(|is| is == "rs") && !path.ends_with("tx.rs"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    let mut shared = HashMap::new();
    for (_, text) in &files {
        for (at, _) in text.match_indices("pub(crate) use ") {
            let name = text[at + "pub(crate) use ".len()..]
                .split(';')
                .next()
                .unwrap();
            let mut macros = HashMap::new();
            add_macros(text, &mut macros);
            if let Some(body) = macros.remove(name) {
                shared.insert(name.to_owned(), body);
            }
        }
    }
    files
        .iter()
        .flat_map(|(name, text)| collect(name, text, &shared))
        .collect()
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
        &HashMap::new(),
    );
    assert_eq!(planted.len(), 2);
    assert_eq!(faults(&planted).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_fault_of_one_engine_is_caught() {
    let planted = collect(
        "planted.rs",
        "sql!(sqlite \"SELECT 1\", postgres \"SELECT datetime()\"); macro_rules! it { () => { concat!(\"GLOB '\", \"x'\") } } \
         sql!(concat!(\"SELECT 'y' \", it!()));",
        &HashMap::new(),
    );
    let faults = faults(&planted).await;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults.iter().all(|fault| fault.contains("PostgreSQL")),
        "{faults:?}"
    );
}

#[test]
fn few_statements_differ_between_the_engines() {
    let different = all()
        .iter()
        .filter(|found| found.sqlite != found.postgres)
        .count();
    assert!(
        different <= 5,
        "{different} statements have a variant for each engine"
    );
}
