//! How a pipeline moves: a pure step function over snapshots.
