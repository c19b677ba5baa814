//! Configuration: flag, environment, file, default, in this order (DESIGN §12). An unknown key is an error.

mod egress;
mod limits;
mod runners;
mod sources;

use std::path::PathBuf;

pub use egress::Egress;
pub use limits::Limits;
pub use runners::Runners;
pub use sources::{Flags, load};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; port 0 picks one.
    pub listen: String,
    /// The data directory.
    pub data: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; absent = `footplate.db` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// How the outside reaches this server; may have a path, which is then the root of everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
    /// A folder of templates for `include: template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<PathBuf>,
    /// On first start: the administrator's access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_token: Option<String>,
    /// On first start: the administrator's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_password: Option<String>,
    /// Seconds between two passes of the background tick.
    pub tick_seconds: u64,
    /// Spans of the runner protocol.
    pub runners: Runners,
    /// Sizes that bound requests and files.
    pub limits: Limits,
    /// What is fetched from outside.
    pub egress: Egress,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            data: PathBuf::from("footplate-data"),
            database_url: None,
            external_url: None,
            templates: None,
            root_token: None,
            root_password: None,
            tick_seconds: 30,
            runners: Runners::default(),
            limits: Limits::default(),
            egress: Egress::default(),
        }
    }
}
