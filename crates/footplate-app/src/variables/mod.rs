//! Variables of jobs: the facts, the predefined ones, and the layers in which they come together.

pub mod facts;
pub mod list;
pub mod predefined;
