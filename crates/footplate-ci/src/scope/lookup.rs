//! Variables by their names.

use crate::{keywords::variables::YamlVariable, variables::Variable, why::Level};

/// A variable that was found.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'v> {
    /// Its value, unexpanded.
    pub value: &'v str,
    /// Its value is used literally.
    pub raw: bool,
    /// Its value becomes a file.
    pub file: bool,
    /// Its value is shown to nobody.
    pub masked: bool,
}

impl<'v> From<&'v Variable> for Seen<'v> {
    fn from(variable: &'v Variable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw,
            file: variable.file,
            masked: variable.masked,
        }
    }
}

impl<'v> From<&'v YamlVariable> for Seen<'v> {
    fn from(variable: &'v YamlVariable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw.unwrap_or(false),
            file: false,
            masked: false,
        }
    }
}

/// Variables by their names.
pub trait Lookup {
    /// The variable that counts, if there is one.
    fn seen(&self, name: &str) -> Option<Seen<'_>>;

    /// Levels that define it, the one that counts first.
    fn levels(&self, name: &str) -> Vec<Level>;
}

impl Lookup for &[Variable] {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        let mut newest_first = self.iter().rev();
        newest_first
            .find(|variable| variable.key == name)
            .map(Seen::from)
    }

    fn levels(&self, name: &str) -> Vec<Level> {
        levels_in(self, name)
    }
}

/// Levels of a list, the strongest first.
pub(super) fn levels_in(list: &[Variable], name: &str) -> Vec<Level> {
    let newest_first = list.iter().rev();
    let mut levels: Vec<Level> = newest_first
        .filter(|variable| variable.key == name)
        .map(|variable| variable.level)
        .collect();
    levels.dedup();
    levels
}
