//! Locations of files, and what is said of one where nothing is.

use super::{Includer, item::Wanted, kind::Kind};
use crate::ask::Request;

/// An address with a scheme that GitLab fetches from.
pub(super) fn is_address(location: &str) -> bool {
    ["http://", "https://", "ssh://", "git://"]
        .iter()
        .any(|scheme| location.trim_start().starts_with(scheme))
}

/// As `/.+\.(yml|yaml)$/i` on the last part of the path.
pub(super) fn is_yaml(location: &str) -> bool {
    let name = location.trim_end_matches('/');
    let name = name.rsplit('/').next().unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty()
            && ["yml", "yaml"]
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// There is no such file.
pub(super) fn absent(file: &Wanted<'_>, location: &str) -> String {
    match (&file.request, file.kind) {
        (Request::File { origin, .. }, Kind::Project) => format!(
            "Project `{}` file `{location}` does not exist!",
            origin.project.as_deref().unwrap_or_default()
        ),
        (_, Kind::Local) => format!("Local file `{location}` does not exist!"),
        _ => format!("Included file `{location}` is empty or does not exist!"),
    }
}

/// There is nothing in it.
pub(super) fn empty(file: &Wanted<'_>, location: &str) -> String {
    match (&file.request, file.kind) {
        (Request::File { origin, .. }, Kind::Project) => format!(
            "Project `{}` file `{location}` is empty!",
            origin.project.as_deref().unwrap_or_default()
        ),
        (_, Kind::Local) => format!("Local file `{location}` is empty!"),
        (_, Kind::Template) => format!("Template file `{location}` is empty!"),
        (_, Kind::Artifact) => format!("File `{location}` is empty!"),
        _ => format!("Included file `{location}` is empty or does not exist!"),
    }
}

impl Includer<'_> {
    /// Who answers knows paths and projects; that a path was named as local only we know.
    pub(super) fn problem(&self, file: &Wanted<'_>, message: &str) -> String {
        if file.kind == Kind::Local
            && let Request::File { origin, path } = &file.request
            && let Some(project) = &origin.project
            && let Some(end) = message.strip_prefix(&format!("Project `{project}` file `{path}`"))
        {
            return self.masked(&format!("Local file `{path}`{end}"));
        }
        self.masked(message)
    }
}
