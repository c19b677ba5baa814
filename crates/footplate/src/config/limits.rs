//! `[limits]`: sizes that bound what a client may send.

/// Bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A job's trace; more fails the job with `trace_size_exceeded`.
    pub trace_bytes: u64,
    /// One artifact upload; more is refused with 413.
    pub artifact_bytes: u64,
    /// One push.
    pub push_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trace_bytes: 100 << 20,
            artifact_bytes: 100 << 20,
            push_bytes: 2 << 30,
        }
    }
}
