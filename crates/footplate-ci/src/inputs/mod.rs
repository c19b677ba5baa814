//! `spec:inputs`: typed inputs of a file, their values, and `$[[ … ]]` in its body (`ci-yaml.md §3`).

mod definition;
mod functions;
mod header;
mod interpolate;

pub use definition::check;
pub use functions::run as run_functions;
pub use header::{HeaderError, load_with_inputs};
pub use interpolate::interpolate;
