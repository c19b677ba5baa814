//! `[egress]`: what the server fetches from outside, for `include: remote`.

use std::time::Duration;

use footplate_app::egress::{AllowList, EgressSettings};

/// The one client that fetches.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Hosts (`files.example.com`, with or without a port), addresses and networks (`10.0.0.0/8`) that are open: by plain
    /// HTTP, and although their addresses are private.
    pub allow: Vec<String>,
    /// One fetch with all its redirects may take so long.
    pub timeout_seconds: u64,
    /// All files of one configuration together may take so long.
    pub configuration_seconds: u64,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            timeout_seconds: 10,
            configuration_seconds: 30,
        }
    }
}

impl Egress {
    /// What the application is told.
    ///
    /// # Errors
    /// The entry of the allow-list that is none.
    pub fn settings(&self) -> Result<EgressSettings, String> {
        Ok(EgressSettings {
            allow: AllowList::parse(self.allow.iter().map(String::as_str))?,
            time: Duration::from_secs(self.timeout_seconds),
            time_of_all: Duration::from_secs(self.configuration_seconds),
        })
    }
}
