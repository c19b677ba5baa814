//! Joins the sources of configuration into one table and reads it once.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

use super::Config;

const PREFIX: &str = "FOOTPLATE_";
/// Variables of this prefix that belong to the project's tests and not to the server.
const FOREIGN: [&str; 2] = ["FOOTPLATE_TEST_", "FOOTPLATE_CONFORMANCE"];
/// Keys whose value may stand in a file that `KEY_FILE` names.
const FILES: [&str; 3] = ["DATABASE_URL", "ROOT_TOKEN", "ROOT_PASSWORD"];

/// What the command line may say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--data`
    pub data: Option<String>,
    /// `--database-url`
    pub database_url: Option<String>,
}

/// A configuration that cannot be used, in words for its author.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{source_name}: {message}")]
    Invalid {
        /// The file or variable.
        source_name: String,
        /// What is wrong.
        message: String,
    },
}

/// Reads the configuration: `flags` over `environment` over `file` over the defaults.
///
/// # Errors
/// An unreadable file, an unknown key, a value of the wrong kind.
pub fn load(
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    file: Option<&Path>,
) -> Result<Config, ConfigError> {
    let mut table = match file {
        Some(path) => read_file(path)?,
        None => Table::new(),
    };
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    for (name, text) in environment {
        if let Some(key) = own_key(name) {
            let (key, text) = from_named_file(key, text)?;
            set(&mut table, &defaults, &key, &text).map_err(|message| ConfigError::Invalid {
                source_name: name.clone(),
                message,
            })?;
        }
    }
    for (key, value) in [
        ("listen", &flags.listen),
        ("data", &flags.data),
        ("database_url", &flags.database_url),
    ] {
        if let Some(text) = value {
            table.insert(key.to_owned(), Value::String(text.clone()));
        }
    }
    let source_name = file.map_or_else(
        || "configuration".to_owned(),
        |path| path.display().to_string(),
    );
    Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Invalid {
            source_name,
            message: error.message().to_owned(),
        })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = read(path)?;
    text.parse()
        .map_err(|error: toml::de::Error| ConfigError::Invalid {
            source_name: path.display().to_string(),
            message: error.to_string(),
        })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
        path: path.display().to_string(),
        error,
    })
}

fn own_key(name: &str) -> Option<&str> {
    if FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
        return None;
    }
    name.strip_prefix(PREFIX)
}

/// `ROOT_TOKEN_FILE=/path` is `ROOT_TOKEN` with the content of that file, without its last line break.
fn from_named_file(key: &str, text: &str) -> Result<(String, String), ConfigError> {
    match key
        .strip_suffix("_FILE")
        .filter(|base| FILES.contains(base))
    {
        Some(base) => Ok((
            base.to_owned(),
            read(Path::new(text))?
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
        )),
        None => Ok((key.to_owned(), text.to_owned())),
    }
}

/// Sets `A__B` to `text`, read as the kind that the default has there.
fn set(table: &mut Table, defaults: &Table, key: &str, text: &str) -> Result<(), String> {
    let key = key.to_lowercase();
    let (section, name) = key
        .split_once("__")
        .map_or((None, key.as_str()), |(section, name)| {
            (Some(section), name)
        });
    let default = match section {
        Some(section) => defaults.get(section).and_then(|section| section.get(name)),
        None => defaults.get(name),
    };
    let value = match default {
        Some(Value::Integer(_)) => Value::Integer(
            text.trim()
                .parse()
                .map_err(|_| format!("`{text}` is not a whole number"))?,
        ),
        Some(Value::Boolean(_)) => Value::Boolean(
            text.trim()
                .parse()
                .map_err(|_| format!("`{text}` is not true or false"))?,
        ),
        // A list is written with commas.
        Some(Value::Array(_)) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Some(_) | None => Value::String(text.to_owned()),
    };
    let target = match section {
        Some(section) => table
            .entry(section.to_owned())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("`{section}` is not a section"))?,
        None => table,
    };
    target.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file() {
        let folder = std::env::temp_dir().join(format!("footplate-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("footplate.toml");
        std::fs::write(
            &file,
            "listen = \"a:1\"\ndata = \"d\"\n[runners]\nhold_seconds = 3\nsilent_seconds = 9\n",
        )
        .unwrap();
        let set = environment(&[
            ("FOOTPLATE_DATA", "e"),
            ("FOOTPLATE_RUNNERS__HOLD_SECONDS", "4"),
            ("FOOTPLATE_TEST_X", "1"),
        ]);
        let flags = Flags {
            listen: Some("f:2".to_owned()),
            ..Flags::default()
        };
        let config = load(&flags, &set, Some(&file)).unwrap();
        assert_eq!(
            (config.listen.as_str(), config.data.to_str()),
            ("f:2", Some("e"))
        );
        assert_eq!(
            (
                config.runners.hold_seconds,
                config.runners.silent_seconds,
                config.tick_seconds
            ),
            (4, 9, 30)
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn unknown_keys_and_wrong_kinds_are_errors() {
        let flags = Flags::default();
        let error = load(&flags, &environment(&[("FOOTPLATE_LISTN", "x")]), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("listn"), "{error}");
        let error = load(
            &flags,
            &environment(&[("FOOTPLATE_RUNNERS__HOLD", "1")]),
            None,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("hold"), "{error}");
        let error = load(
            &flags,
            &environment(&[("FOOTPLATE_TICK_SECONDS", "soon")]),
            None,
        )
        .unwrap_err()
        .to_string();
        assert_eq!(
            error,
            "FOOTPLATE_TICK_SECONDS: `soon` is not a whole number"
        );
    }

    #[test]
    fn lists_are_written_with_commas() {
        let set = environment(&[(
            "FOOTPLATE_EGRESS__ALLOW",
            "10.0.0.0/8, files.example.com:8443",
        )]);
        let config = load(&Flags::default(), &set, None).unwrap();
        assert_eq!(
            config.egress.allow,
            ["10.0.0.0/8", "files.example.com:8443"]
        );
    }

    #[test]
    fn secrets_come_from_files() {
        let file = std::env::temp_dir().join(format!("footplate-token-{}", std::process::id()));
        std::fs::write(&file, "glpat-x\n").unwrap();
        let set = environment(&[("FOOTPLATE_ROOT_TOKEN_FILE", file.to_str().unwrap())]);
        assert_eq!(
            load(&Flags::default(), &set, None)
                .unwrap()
                .root_token
                .as_deref(),
            Some("glpat-x")
        );
        std::fs::remove_file(&file).unwrap();
    }
}
