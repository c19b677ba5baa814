//! The built-in runner: a protocol client and shell execution.
