//! The kinds of includes.

/// How a file is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Project,
    Remote,
    Template,
    Artifact,
    Component,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Local,
        Self::Project,
        Self::Remote,
        Self::Template,
        Self::Artifact,
        Self::Component,
    ];
    /// What a header may include.
    pub(super) const OF_HEADERS: [Self; 3] = [Self::Local, Self::Remote, Self::Project];

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Project => "project",
            Self::Remote => "remote",
            Self::Template => "template",
            Self::Artifact => "artifact",
            Self::Component => "component",
        }
    }
}

/// Their keys.
pub(super) fn list(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`", kind.key()))
        .collect();
    names.join(", ")
}
