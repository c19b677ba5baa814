//! The program as a library: command line, configuration and wiring. `main` only calls it, and the testkit starts servers
//! through it.

pub mod cli;
pub mod config;
pub mod data_directory;
pub mod demo;
pub mod server;
