//! A why is cut to its size.

use super::{Looked, MAX_BYTES, Why};

/// A text in it is cut after so many characters.
const MAX_TEXT: usize = 120;

impl Why {
    /// Cut to [`MAX_BYTES`]: long texts first, then the earliest entries, then variables; what decided always stays.
    #[must_use]
    pub(super) fn fitted(mut self) -> Self {
        self.looked_at.iter_mut().for_each(Looked::shorten);
        // The count is needed only where it may matter.
        while self.size_at_most() > MAX_BYTES && self.bytes() > MAX_BYTES {
            if self.looked_at.len() > 1 {
                self.looked_at.remove(0);
                self.omitted += 1;
            } else if let [fewer @ .., _] = &*self.variables {
                self.variables = fewer.into();
            } else {
                let Some(last) = self.looked_at.last_mut() else {
                    break;
                };
                if last.atoms.pop().is_none() && last.paths.pop().is_none() {
                    break;
                }
            }
        }
        self
    }

    fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(0, |text| text.len())
    }

    /// More than its JSON can need.
    fn size_at_most(&self) -> usize {
        let entries = self.looked_at.iter().map(|looked| {
            let atoms = looked.atoms.iter();
            let paths = looked.paths.iter();
            160 + 6 * looked.condition.as_ref().map_or(0, |text| text.len())
                + atoms
                    .map(|atom| 40 + 6 * (atom.text.len() + atom.value.len()))
                    .sum::<usize>()
                + paths
                    .map(|paths| 160 + 6 * paths.patterns.iter().map(String::len).sum::<usize>())
                    .sum::<usize>()
        });
        let variables = self.variables.iter().map(|variable| {
            160 + 6 * (variable.name.len() + variable.value.as_ref().map_or(0, String::len))
        });
        200 + entries.sum::<usize>() + variables.sum::<usize>()
    }
}

impl Looked {
    fn shorten(&mut self) {
        self.condition.iter_mut().for_each(shorten);
        for atom in &mut self.atoms {
            shorten(&mut atom.text);
            shorten(&mut atom.value);
        }
        for paths in &mut self.paths {
            const SHOWN: usize = 5;
            if paths.patterns.len() > SHOWN {
                let more = paths.patterns.len() - SHOWN;
                paths.patterns.truncate(SHOWN);
                paths.patterns.push(format!("… and {more} more"));
            }
            paths.patterns.iter_mut().for_each(shorten);
            paths.found.first.iter_mut().for_each(shorten);
        }
    }
}

/// Cuts a text.
pub(super) fn shorten<T: AsRef<str> + From<String>>(text: &mut T) {
    let written = text.as_ref();
    // No text has more characters than bytes.
    if written.len() <= MAX_TEXT {
        return;
    }
    if let Some((at, _)) = written.char_indices().nth(MAX_TEXT) {
        *text = format!("{}…", &written[..at]).into();
    }
}
