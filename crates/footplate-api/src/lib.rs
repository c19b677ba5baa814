//! How it is asked: HTTP on top of the application.
//!
//! Handlers parse, call one use case, present. Routing happens on the raw path, so `%2F` in a project's path and `.` in a
//! ref stay what they are. This crate owns `serve` and takes the pages as a router; rules and rows are elsewhere.

mod call;
mod discovery;
mod entity;
mod error;
mod footplate_v1;
mod git_http;
mod health;
mod page;
mod params;
mod serve;
mod v4;

pub use call::{Call, session_cookie};
pub use error::{Answer, Failure, answer, raw};
pub use serve::{router, serve};
