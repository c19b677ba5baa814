//! CI variables of the instance, groups and projects.

use crate::{NamespaceId, ProjectId, VariableId, VariableType};

/// Where a variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableOwner {
    /// Everywhere.
    Instance,
    /// In a group and what is below it.
    Group(NamespaceId),
    /// In a project.
    Project(ProjectId),
}

/// A CI variable with its value in the clear; never print it.
#[derive(Clone, PartialEq, Eq)]
pub struct CiVariable {
    /// Id.
    pub id: VariableId,
    /// Where it is set.
    pub owner: VariableOwner,
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// Environment or file.
    pub variable_type: VariableType,
    /// Only on protected refs.
    pub protected: bool,
    /// Replaced in traces.
    pub masked: bool,
    /// Its value is never shown again.
    pub hidden: bool,
    /// Not expanded.
    pub raw: bool,
    /// Pattern of environment names, `*` = all.
    pub environment_scope: String,
    /// Description.
    pub description: Option<String>,
}

impl std::fmt::Debug for CiVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CiVariable")
            .field("id", &self.id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
