//! The compiler's questions answered: files from git, templates, components, other projects, artifacts and the web (`ci-yaml.md §4`).
//!
//! [`App::compile`] asks and answers until the compiler is done. What one round asks for is fetched at the same time, with
//! the permissions of whoever the pipeline is for, and everything together within the instance's time
//! for it. Texts and path
//! lists of a commit never change: they come from memory when they were read before.

mod answer;
mod artifact;
mod compile;
mod component;
mod memory;
mod remote;
mod repository;
mod root;

pub(crate) use compile::{Compilation, Faults, Files, Overrides, Reading, cross_out, masked};
pub(crate) use memory::ConfigMemory;
pub(crate) use repository::Place;
pub(crate) use root::RootText;

/// A file of a configuration may be so large, in bytes.
const FILE_LIMIT: u64 = 2 << 20;
