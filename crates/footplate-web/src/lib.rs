//! Pages for people: askama templates and embedded assets.

pub mod trace;
