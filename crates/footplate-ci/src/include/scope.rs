//! What a file may refer to: that follows from where it comes from (`ci-yaml.md §4.4`).

use std::sync::Arc;

use crate::{
    ask::{ComponentFile, Origin},
    yaml::{Map, Node, Span, Value},
};

/// Where nested files are looked up, and what is known there.
#[derive(Clone)]
pub(super) struct Scope {
    /// Whose files are local.
    pub origin: Origin,
    /// There are local files at all.
    pub has_project: bool,
    /// Variables may be used. What comes from outside the server sees none.
    pub has_variables: bool,
    /// The component that the file belongs to.
    pub component: Option<Arc<ComponentFile>>,
}

impl Scope {
    /// Of the root file.
    pub(super) fn of_pipeline(has_project: bool) -> Self {
        Self {
            origin: Origin::default(),
            has_project,
            has_variables: true,
            component: None,
        }
    }

    /// Of a file of another project.
    pub(super) fn in_project(&self, origin: Origin) -> Self {
        Self {
            origin,
            has_project: true,
            has_variables: self.has_variables,
            component: self.component.clone(),
        }
    }

    /// Of a file that belongs to no project: a remote one or a template.
    pub(super) fn outside(&self) -> Self {
        Self {
            origin: Origin::default(),
            has_project: false,
            has_variables: false,
            component: self.component.clone(),
        }
    }

    /// Of a component.
    pub(super) fn in_component(&self, file: &ComponentFile) -> Self {
        Self {
            component: Some(Arc::new(file.clone())),
            ..self.in_project(file.origin.clone())
        }
    }

    /// The facts of the component that a header asks for; none outside a component.
    pub(super) fn facts(&self, names: &[String]) -> Map {
        let mut facts = Map::default();
        let Some(file) = &self.component else {
            return facts;
        };
        let text = |text: &str| Node::new(Value::Str(text.into()), Span::default());
        for name in names {
            let fact = match name.as_str() {
                "name" => &file.name,
                "sha" => &file.sha,
                "version" => &file.version,
                "reference" => &file.reference,
                _ => continue,
            };
            facts.insert(text(name), text(fact));
        }
        facts
    }
}
