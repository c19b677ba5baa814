//! How a pipeline moves: [`step`] takes a snapshot, an event and the time, and gives back what has to change.
//!
//! Pure: no clock, no database, no I/O. `footplate-app` loads the snapshot, does the effects and carries what reaches
//! beyond one pipeline to the others. The rules are those of `pipeline-processing.md`.

mod cancel;
mod composite;
mod effect;
mod event;
mod finish;
mod machine;
mod process;
mod retry;
mod snapshot;

pub use composite::{Input, composite, has_warnings};
pub use effect::Effect;
pub use event::{Event, EventRecord, Illegal, replay};
pub use machine::step;
pub use snapshot::{JobKey, JobState, PipelineState, RetryPolicy, Snapshot, StageState};
