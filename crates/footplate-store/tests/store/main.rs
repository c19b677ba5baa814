//! The store on both engines: statements, schemas, the seam.

mod pipeline_lists;
mod schema;
mod seam;
mod statements;
