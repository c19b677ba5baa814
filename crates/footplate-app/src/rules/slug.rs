//! Slugs and tiers; they are words of the model, because the compiler knows them too.

pub use footplate_model::{environment_slug, environment_tier, slugify};
