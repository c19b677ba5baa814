//! Resource groups: a free place goes to the next job that waits (`pipeline-processing.md §11`).

use footplate_model::{ProcessMode, ProjectId};
use footplate_pipeline::Event;
use footplate_store::{Tx, jobs, resource_groups};

use crate::{
    App, Error, Result,
    background::{Work, plan},
    movement::key,
};

impl App {
    /// Gives a free group to whoever is next. The job hears of it by an event of its own pipeline.
    pub(crate) async fn pass_resource_on(&self, project: ProjectId, group: String) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let Some(found) = resource_groups::find(tx, project, &group).await? else {
                    return Ok(());
                };
                let holder = match found.holder {
                    Some(job) => Some(job),
                    None => {
                        let next = match found.process_mode {
                            ProcessMode::Unordered => {
                                resource_groups::find_waiting_job(tx, project, &group).await?
                            }
                            mode => {
                                resource_groups::find_next_job(tx, project, &group, mode).await?
                            }
                        };
                        let Some(next) = next else { return Ok(()) };
                        resource_groups::claim(tx, project, &group, next, now)
                            .await?
                            .then_some(next)
                    }
                };
                let Some(job) = holder else { return Ok(()) };
                // Also for a holder that has not heard of it: telling twice does no harm.
                if let Some(row) = jobs::find(tx, job).await? {
                    let (pipeline, event) = (row.pipeline_id, Event::ResourceGranted(key(job)));
                    plan(tx, &Work::Event { pipeline, event }, now).await?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}
