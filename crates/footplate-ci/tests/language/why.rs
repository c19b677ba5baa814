//! Why a job is in a pipeline, or not.
