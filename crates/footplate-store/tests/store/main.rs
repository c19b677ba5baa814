//! The store on both engines: statements, schemas, the seam.

mod schema;
mod seam;
mod statements;
