//! What the YAML means: text in, a compiled pipeline or diagnostics out, with the why of every decision.
