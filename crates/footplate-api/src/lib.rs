//! How it is asked: axum handlers that parse, call one use case and present.
