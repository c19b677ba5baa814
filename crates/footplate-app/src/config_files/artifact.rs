//! A configuration that a job of the parent pipeline generated (`pipeline-processing.md §12.2`).

use footplate_ci::Answer;
use footplate_store::Tx;
use futures_util::TryStreamExt;

use super::Files;
use crate::{App, Error, Result};

/// A generated configuration may be so large, in bytes.
const ARTIFACT_LIMIT: u64 = 5 << 20;

impl App {
    /// A file in the artifacts of a job of the parent pipeline.
    pub(super) async fn artifact_file(
        &self,
        job: &str,
        path: &str,
        files: &Files,
    ) -> Result<Answer> {
        let problem = || {
            Answer::Problem(format!(
                "Job `{job}` not found in parent pipeline or does not have artifacts!"
            ))
        };
        let Some(parent) = files.parent else {
            return Ok(problem());
        };
        let name = job.to_owned();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let jobs = footplate_store::jobs::list_of_pipeline(tx, parent).await?;
                let found = jobs
                    .into_iter()
                    .find(|job| job.name == name && !job.retried);
                Ok::<_, Error>(match found {
                    Some(job) => footplate_store::artifacts::find(tx, job.id, "archive").await?,
                    None => None,
                })
            })
            .await?;
        let Some(artifact) = found else {
            return Ok(problem());
        };
        let too_large = || {
            Answer::Problem(format!(
                "Artifacts archive for job `{job}` is too large: max 5 MB"
            ))
        };
        let download = self.open_artifact(artifact).await?;
        let Ok(file) = self.archive_file(&download, path).await else {
            return Ok(Answer::Problem(format!(
                "Path `{path}` does not exist inside the `{job}` artifacts archive!"
            )));
        };
        if file.size > ARTIFACT_LIMIT {
            return Ok(too_large());
        }
        let bytes = file
            .bytes
            .try_fold(Vec::new(), async |mut all, chunk| {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
            .map_err(Error::internal)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Answer::Problem(format!("File `{path}` is empty!")));
        }
        Ok(Answer::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
