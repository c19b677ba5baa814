//! Variables of jobs: the facts, the predefined ones, and the layers in which they come together.

pub mod facts;
pub(crate) mod id_tokens;
pub(crate) mod job;
pub mod list;
pub(crate) mod material;
pub mod predefined;
pub(crate) mod secrets;
