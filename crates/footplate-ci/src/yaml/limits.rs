//! Budgets of what is read.

/// What a text may cost (`ci-yaml.md §24`). Aliases count each time they are used.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deep size in bytes.
    pub bytes: usize,
    /// Nesting.
    pub depth: usize,
    /// Bytes of all included files together.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 2 << 20,
            depth: 100,
            total: 150 * (2 << 20),
        }
    }
}
