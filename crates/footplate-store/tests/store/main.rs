//! The store on both engines: statements, schemas, the seam.

mod engines;
mod schema;
mod seam;
mod statements;
