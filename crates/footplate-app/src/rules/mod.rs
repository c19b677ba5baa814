//! Small pure rules of the server that belong neither to the language nor to the engine.

pub mod coverage;
pub mod dotenv;
pub mod skip_token;
pub mod slug;
