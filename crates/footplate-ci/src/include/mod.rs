//! Where included files come from when nobody has to be asked.

mod templates;

pub use templates::{builtin_template, builtin_template_names};
