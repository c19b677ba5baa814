//! The store on both engines: statements, schemas, the seam.

mod claims;
mod new_jobs;
mod pipeline_lists;
mod schema;
mod seam;
mod statements;
