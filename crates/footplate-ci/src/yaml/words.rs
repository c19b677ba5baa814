//! Texts that a file says again and again: they are kept once.

use std::sync::Arc;

/// Texts that are remembered.
const WORDS: usize = 256;
/// Longer texts hardly ever come again.
const LONGEST: usize = 128;

/// The last text of each place; which place a text has depends on nothing but its letters.
pub(super) struct Words(Vec<Option<Arc<str>>>);

impl Words {
    pub(super) fn new() -> Self {
        Self(vec![None; WORDS])
    }

    /// The text, shared with whoever said the same before.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let place = &mut self.0[place(text)];
        if let Some(known) = place
            && **known == *text
        {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        *place = Some(Arc::clone(&new));
        new
    }
}

/// By the hash of Fowler, Noll and Vo. A text that meets another in its place loses nothing but the memory of it.
fn place(text: &str) -> usize {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    ((hash >> 16) ^ hash) as usize % WORDS
}
