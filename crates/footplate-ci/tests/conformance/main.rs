//! The compiler against recordings of GitLab and of the libraries underneath it.
//!
//! The folder is `FOOTPLATE_CONFORMANCE`, by default `../shared/conformance` beside the workspace. A case that is not right
//! yet stands in `tests/pending/SET.txt`; a failing case that is not listed fails the test, and so does a listed one that passes.

mod compile;
mod harness;
mod leaves;
mod ruby;
mod schema;
mod templates;
mod yaml;
