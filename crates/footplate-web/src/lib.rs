//! Pages for people: askama templates and embedded assets.

mod assets;
mod pages;
pub mod trace;

pub use pages::pages;
