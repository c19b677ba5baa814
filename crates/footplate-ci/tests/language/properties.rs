//! Properties: the compiler is deterministic, never panics, and stays within its budgets.
