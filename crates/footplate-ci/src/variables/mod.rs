//! Expansion of variables: one text, or a whole list in order (`ci-yaml.md §20.2`).

mod collection;
mod reference;

pub(crate) use collection::Growth;
pub use collection::{CollectionError, SortOptions, sort_and_expand, sorted, strong_components};
pub use reference::{DirectOptions, MaskedRefused, expand, expand_existing, references};

/// A variable as expansion sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Variable {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// Its value is used literally.
    #[serde(default)]
    pub raw: bool,
    /// Its value becomes a file.
    #[serde(default)]
    pub file: bool,
    /// Replaced in traces.
    #[serde(default)]
    pub masked: bool,
    /// Shown to service containers.
    #[serde(default)]
    pub public: bool,
    /// Where it comes from, for the why.
    #[serde(default)]
    pub level: crate::why::Level,
}
