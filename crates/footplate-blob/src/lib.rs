//! Traces and artifacts: put, get range, append, delete.
