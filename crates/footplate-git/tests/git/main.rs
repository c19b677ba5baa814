//! Repositories with the real git as client, over a small HTTP server.

mod clone;
mod locks;
mod push;
mod reading;
mod server;
mod writing;
