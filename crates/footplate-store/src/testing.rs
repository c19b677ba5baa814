//! Fresh databases for tests of this and other crates (feature `testing`).
//!
//! PostgreSQL is the server that `FOOTPLATE_TEST_POSTGRES_URL` names (an administrator's URL: every test makes a database of its
//! own there and drops it). Without the variable a throw-away server is started by `scripts/postgres` and ends with the process;
//! where `CI` is set that is a failure instead, so that no run ever tests one engine and believes it tested two.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::OnceLock,
};

use tokio_postgres::NoTls;

use crate::{Db, Error, Result};

/// Names the server where databases may be made.
pub const URL_VARIABLE: &str = "FOOTPLATE_TEST_POSTGRES_URL";

/// A migrated database of its own that goes away with the value.
pub struct Fresh {
    /// The database.
    pub db: Db,
    /// File of SQLite, URL of PostgreSQL: for tests that look past the seam.
    pub place: String,
    folder: Option<tempfile::TempDir>,
    server: Option<(String, String)>,
}

impl Fresh {
    /// Opens the same database once more, as another process would.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn reopen(&self) -> Result<Db> {
        match self.folder {
            Some(_) => Db::open_sqlite(Path::new(&self.place)).await,
            None => Db::open_postgres(&self.place).await,
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else {
            return;
        };
        // A destructor cannot await, and the runtime of the test may be about to end: a thread with a runtime of its own can.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Error::Engine(error.to_string()))?
                .block_on(administer(
                    &server,
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                ))
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("a test database could not be dropped");
        }
    }
}

/// A fresh SQLite file.
///
/// # Errors
/// Those of opening.
pub async fn sqlite() -> Result<Fresh> {
    let folder = tempfile::tempdir().map_err(|error| Error::Engine(error.to_string()))?;
    let path = folder.path().join("test.db");
    Ok(Fresh {
        db: Db::open_sqlite(&path).await?,
        place: path.display().to_string(),
        folder: Some(folder),
        server: None,
    })
}

/// A fresh PostgreSQL database.
///
/// # Errors
/// No server can be found or started, or those of opening.
pub async fn postgres() -> Result<Fresh> {
    let server = server_url()?;
    let name = format!("footplate_test_{:016x}", rand::random::<u64>());
    administer(&server, &format!("CREATE DATABASE {name}")).await?;
    let url = with_database(&server, &name)?;
    Ok(Fresh {
        db: Db::open_postgres(&url).await?,
        place: url,
        folder: None,
        server: Some((server, name)),
    })
}

/// One of each.
///
/// # Errors
/// Those of the two.
pub async fn both() -> Result<[Fresh; 2]> {
    Ok([sqlite().await?, postgres().await?])
}

/// The administrator's URL of the server that tests use; starts one when none is named.
///
/// # Errors
/// None is named where `CI` is set, or none can be started.
pub fn server_url() -> Result<String> {
    choose(
        std::env::var(URL_VARIABLE).ok(),
        std::env::var_os("CI").is_some(),
        || {
            static STARTED: OnceLock<Result<(String, ChildStdin)>> = OnceLock::new();
            match STARTED.get_or_init(start) {
                Ok((url, _)) => Ok(url.clone()),
                Err(error) => Err(error.clone()),
            }
        },
    )
}

fn choose(
    named: Option<String>,
    ci: bool,
    start: impl FnOnce() -> Result<String>,
) -> Result<String> {
    match named {
        Some(url) if !url.is_empty() => Ok(url),
        _ if ci => Err(Error::Engine(format!(
            "both engines are always tested: {URL_VARIABLE} is not set, and CI is"
        ))),
        _ => start(),
    }
}

/// Starts `scripts/postgres` around a command that prints the URL and waits for the end of its input, which comes when this
/// process ends, however it ends; the script then stops the server and removes its folder.
fn start() -> Result<(String, ChildStdin)> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::Engine(format!(
            "no PostgreSQL for the tests: {error}; set {URL_VARIABLE} or install its server programs"
        ))
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    let mut child = Command::new(script)
        .args([
            "sh",
            "-c",
            &format!("echo \"${URL_VARIABLE}\"; cat >/dev/null"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(&"no pipes"));
    };
    let mut url = String::new();
    BufReader::new(output)
        .read_line(&mut url)
        .map_err(|error| failed(&error))?;
    match url.trim() {
        "" => Err(failed(&"scripts/postgres ended early")),
        url => Ok((url.to_owned(), input)),
    }
}

async fn administer(server: &str, statement: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(statement).await;
    drop(client);
    let _ = connection.await;
    Ok(done?)
}

/// The URL with another database in it; its parameters stay.
fn with_database(url: &str, name: &str) -> Result<String> {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address
        .split_once("://")
        .ok_or_else(|| Error::Engine(format!("{URL_VARIABLE} must begin with `postgres://`")))?;
    let server = rest.split('/').next().unwrap_or(rest);
    let mark = if parameters.is_empty() { "" } else { "?" };
    Ok(format!("{scheme}://{server}/{name}{mark}{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_without_a_server_fails_loudly() {
        let started = || Ok("started".to_owned());
        assert_eq!(choose(Some("u".to_owned()), true, started).unwrap(), "u");
        assert_eq!(choose(None, false, started).unwrap(), "started");
        for unset in [None, Some(String::new())] {
            let error = choose(unset, true, started).unwrap_err();
            assert!(error.to_string().contains(URL_VARIABLE), "{error}");
        }
    }

    #[test]
    fn the_database_is_replaced_and_parameters_stay() {
        for (url, expected) in [
            ("postgres://a@h:1/postgres", "postgres://a@h:1/x"),
            ("postgres://a@h:1", "postgres://a@h:1/x"),
            (
                "postgres://a@h/p?sslmode=disable",
                "postgres://a@h/x?sslmode=disable",
            ),
        ] {
            assert_eq!(with_database(url, "x").unwrap(), expected);
        }
        assert!(with_database("host=a", "x").is_err());
    }
}
