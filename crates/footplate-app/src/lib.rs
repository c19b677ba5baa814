//! What can be done: one use case a file; joins store, git, blob, ci and pipeline.
