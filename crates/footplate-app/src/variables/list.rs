//! A list of variables in order; the last of a name wins.

use footplate_ci::{Level, variables::Variable};

/// A variable on its way to a job.
#[derive(Clone, PartialEq, Eq)]
pub struct JobVariable {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// Shown to service containers.
    pub public: bool,
    /// Replaced in the trace.
    pub masked: bool,
    /// The value becomes a file.
    pub file: bool,
    /// Not expanded.
    pub raw: bool,
    /// Where it comes from, for the why.
    pub level: Level,
}

impl std::fmt::Debug for JobVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobVariable")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl From<&JobVariable> for Variable {
    fn from(variable: &JobVariable) -> Self {
        Self {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
            file: variable.file,
            masked: variable.masked,
            public: variable.public,
            level: variable.level,
        }
    }
}

/// Variables in order.
#[derive(Debug, Clone, Default)]
pub struct VariableList(pub Vec<JobVariable>);

impl VariableList {
    /// Appends one that everybody may see and that may refer to others.
    pub fn public(&mut self, key: &str, value: &str) {
        self.push(key, value, true, false, false);
    }

    /// Appends one whose value is text of people: `$` in it means nothing.
    pub fn raw(&mut self, key: &str, value: &str) {
        self.push(key, value, true, false, true);
    }

    /// Appends one that holds a token: service containers do not see it.
    pub fn hidden(&mut self, key: &str, value: &str) {
        self.push(key, value, false, false, false);
    }

    /// Appends one that is replaced in the trace.
    pub fn masked(&mut self, key: &str, value: &str) {
        self.push(key, value, false, true, false);
    }

    fn push(&mut self, key: &str, value: &str, public: bool, masked: bool, raw: bool) {
        self.0.push(JobVariable {
            key: key.to_owned(),
            value: value.to_owned(),
            public,
            masked,
            file: false,
            raw,
            level: Level::Predefined,
        });
    }

    /// The value of a name.
    pub fn last(&self, key: &str) -> Option<&str> {
        let mut found = self.0.iter().rev().filter(|variable| variable.key == key);
        found.next().map(|variable| variable.value.as_str())
    }

    /// Appends another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}
