//! Where included files come from: the built-in templates, and the patterns of local files.

mod templates;
mod wildcard;

pub use templates::{builtin_template, builtin_template_names};
pub use wildcard::Wildcard;
