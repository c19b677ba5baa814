//! Test servers, scripted runners, builders and a mock clock. A development dependency only.

pub mod client;
pub mod scripted_runner;
pub mod server;

pub use client::{Answer, Client};
pub use scripted_runner::{Outcome, ScriptedRunner, TakenJob};
pub use server::{BOTH, Engine, ROOT_PASSWORD, ROOT_TOKEN, TestServer};
