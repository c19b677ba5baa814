//! `spec:inputs`: typed inputs of a file, their values, and `$[[ … ]]` in its body (`ci-yaml.md §3`).
//!
//! Files that a header includes are asked for elsewhere (`include`); here they are definitions like any others.

mod definition;
mod fault;
mod functions;
mod header;
mod interpolate;
mod rules;
mod shown;
mod specification;

pub use definition::check;
pub use fault::{Fault, HeaderError};
pub use functions::run as run_functions;
pub use header::load_with_inputs;
pub(crate) use header::{Opened, fill, open, plain};
pub(crate) use shown::shown;
pub(crate) use specification::{Specification, definitions, specification};
