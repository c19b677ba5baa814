//! `[runners]`: spans of the runner protocol. All count time during which the server was up.

/// Seconds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runners {
    /// A job request with the current queue token is held this long; 0 answers at once.
    pub hold_seconds: u64,
    /// A job that was taken and never heard of again goes back to pending.
    pub unacknowledged_seconds: u64,
    /// A running job without contact fails.
    pub silent_seconds: u64,
    /// A canceling job without contact is canceled.
    pub canceling_seconds: u64,
}

impl Default for Runners {
    fn default() -> Self {
        Self {
            hold_seconds: 10,
            unacknowledged_seconds: 120,
            silent_seconds: 600,
            canceling_seconds: 300,
        }
    }
}
