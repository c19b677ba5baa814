//! A runner sends files (`runner-protocol.md §6.2`, `§6.3`).

use std::io;

use bytes::Bytes;
use footplate_blob::{Key, Received};
use footplate_model::{
    Artifact, ArtifactId, ArtifactSummary, GivenVariable, Job, JobId, ProjectId, Timestamp,
    VariableType,
};
use footplate_store::{Tx, artifacts, job_variables, jobs};
use futures_util::Stream;

use super::{TokenJob, job_of, note_contact};
use crate::{App, Error, Result, create_pipeline::seconds, rules::dotenv, secrets::random_hex};

/// Decompressed, a dotenv report may be so large.
const DOTENV_DECOMPRESSED: u64 = 64 * 1024;
/// Artifacts live so long when nothing else is said: 30 days.
const DEFAULT_LIFE: i64 = 30 * 24 * 3600;

/// Types and their formats (`runner-protocol.md §6.1`).
const TYPES: [(&str, &str); 32] = [
    ("archive", "zip"),
    ("lsif", "zip"),
    ("scip", "zip"),
    ("metadata", "gzip"),
    ("junit", "gzip"),
    ("dotenv", "gzip"),
    ("cobertura", "gzip"),
    ("jacoco", "gzip"),
    ("metrics", "gzip"),
    ("cyclonedx", "gzip"),
    ("annotations", "gzip"),
    ("repository_xray", "gzip"),
    ("metrics_referee", "gzip"),
    ("network_referee", "gzip"),
    ("accessibility", "raw"),
    ("codequality", "raw"),
    ("sast", "raw"),
    ("secret_detection", "raw"),
    ("dependency_scanning", "raw"),
    ("container_scanning", "raw"),
    ("cluster_image_scanning", "raw"),
    ("dast", "raw"),
    ("license_scanning", "raw"),
    ("performance", "raw"),
    ("browser_performance", "raw"),
    ("load_performance", "raw"),
    ("terraform", "raw"),
    ("requirements", "raw"),
    ("requirements_v2", "raw"),
    ("coverage_fuzzing", "raw"),
    ("api_fuzzing", "raw"),
    ("sarif", "raw"),
];

/// What goes with an uploaded file.
#[derive(Debug, Clone, Default)]
pub struct ArtifactUpload {
    /// Job token.
    pub token: String,
    /// `archive` or the type of a report.
    pub artifact_type: Option<String>,
    /// `zip`, `gzip`, `raw`.
    pub artifact_format: Option<String>,
    /// A duration.
    pub expire_in: Option<String>,
    /// Its file name.
    pub filename: String,
}

/// The upload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded;

impl App {
    /// Whether the token may upload for this job; asked before the body is read.
    ///
    /// # Errors
    /// 403.
    pub async fn authorize_upload(&self, id: JobId, token: String) -> Result<Job> {
        if token.is_empty() {
            return Err(Error::FORBIDDEN);
        }
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| job_of(tx, id, &token).await)
            .await?;
        let TokenJob::Executing(job, running) = found else {
            return Err(Error::FORBIDDEN);
        };
        let now = self.now();
        if self.contact_is_due(&running, now) {
            let seen = job.clone();
            let still = self
                .db()
                .write(async move |tx: &mut Tx<'_>| note_contact(tx, &seen, &running, now).await)
                .await?;
            if !still {
                return Err(Error::FORBIDDEN);
            }
        }
        Ok(*job)
    }

    /// Streams a file to the disk, without a name yet.
    ///
    /// # Errors
    /// 413 beyond the limit.
    pub async fn receive_file<E: std::fmt::Display + Send>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Received> {
        use futures_util::StreamExt;
        let limit = self.settings().artifact_limit;
        let body =
            Box::pin(body.map(|chunk| chunk.map_err(|error| io::Error::other(error.to_string()))));
        Ok(self.blobs().receive(body, limit).await?)
    }

    /// Keeps a received file as an artifact of the job.
    ///
    /// # Errors
    /// 400 for types, formats and reports that do not fit, 403 when the job does not execute any more.
    pub async fn keep_artifact(
        &self,
        id: JobId,
        upload: ArtifactUpload,
        received: Received,
    ) -> Result<Uploaded> {
        let file_type = upload
            .artifact_type
            .clone()
            .unwrap_or_else(|| "archive".to_owned());
        let Some((_, expected)) = TYPES.iter().find(|(known, _)| *known == file_type) else {
            return Err(Error::Parameter(
                "artifact_type does not have a valid value".to_owned(),
            ));
        };
        let format = upload
            .artifact_format
            .clone()
            .unwrap_or_else(|| "zip".to_owned());
        if !["zip", "gzip", "raw", "zipzstd", "tarzstd"].contains(&format.as_str()) {
            return Err(Error::Parameter(
                "artifact_format does not have a valid value".to_owned(),
            ));
        }
        if upload.artifact_format.is_some() && format != *expected {
            return Err(Error::BadRequest(format!(
                "Invalid file format with specified file type `{file_type}`"
            )));
        }
        let job = self.authorize_upload(id, upload.token.clone()).await?;
        let variables = match file_type.as_str() {
            "dotenv" => Some(read_dotenv(&received).await?),
            _ => None,
        };
        let stored = received.stored().clone();
        let (project, kind) = (job.project_id, file_type.clone());
        let existing = self
            .db()
            .read(async move |tx: &mut Tx<'_>| artifacts::find(tx, id, &kind).await)
            .await?;
        if let Some(existing) = existing {
            if existing.sha256 == stored.sha256 {
                return Ok(Uploaded);
            }
            return Err(Error::BadRequest(
                "another artifact of the same type already exists".to_owned(),
            ));
        }
        let blob = self.keep_blob(project, id, received).await?;
        let now = self.now();
        let row = Artifact {
            id: ArtifactId(0),
            job_id: id,
            project_id: project,
            file_type,
            file_format: Some(format),
            filename: plain_name(&upload.filename),
            size: i64::try_from(stored.size).unwrap_or(i64::MAX),
            sha256: stored.sha256,
            blob_key: blob,
            expire_at: expiry(upload.expire_in.as_deref(), now),
            created_at: now,
        };
        self.insert_artifact(row, upload.token, variables).await
    }

    async fn keep_blob(&self, project: ProjectId, id: JobId, received: Received) -> Result<String> {
        let text = format!("artifacts/{project}/{id}/{}", random_hex(32));
        self.blobs().keep(received, &Key::parse(&text)?).await?;
        Ok(text)
    }

    /// The row behind the blob; both are there or the blob is swept.
    async fn insert_artifact(
        &self,
        row: Artifact,
        token: String,
        variables: Option<Vec<GivenVariable>>,
    ) -> Result<Uploaded> {
        let keys = self.keys().clone();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let TokenJob::Executing(job, _) = job_of(tx, row.job_id, &token).await? else {
                    return Err(Error::FORBIDDEN);
                };
                artifacts::insert(tx, &row).await?;
                let mut list = job.artifacts.clone();
                list.push(ArtifactSummary {
                    file_type: row.file_type.clone(),
                    size: row.size,
                    filename: row.filename.clone(),
                    file_format: row.file_format.clone(),
                });
                let expire_at = if row.file_type == "archive" {
                    row.expire_at
                } else {
                    job.artifacts_expire_at.or(row.expire_at)
                };
                jobs::set_artifacts(tx, row.job_id, &list, expire_at).await?;
                if let Some(variables) = &variables {
                    job_variables::replace(tx, &keys, row.job_id, true, variables).await?;
                }
                Ok(Uploaded)
            })
            .await
    }
}

async fn read_dotenv(received: &Received) -> Result<Vec<GivenVariable>> {
    if received.stored().size >= dotenv::MAX_BYTES {
        let text = format!(
            "Dotenv Artifact Too Big. Maximum Allowable Size: {}",
            dotenv::MAX_BYTES
        );
        return Err(Error::BadRequest(text));
    }
    let members = received
        .gzip_members(DOTENV_DECOMPRESSED)
        .await
        .map_err(|_| Error::BadRequest("Invalid Format".to_owned()))?;
    let mut all = Vec::new();
    for member in members {
        all.extend(member.data);
    }
    let pairs = dotenv::parse(&all).map_err(Error::BadRequest)?;
    Ok(pairs
        .into_iter()
        .map(|(key, value)| GivenVariable {
            key,
            value,
            variable_type: VariableType::EnvVar,
            raw: false,
        })
        .collect())
}

/// The last part of a file name, without anything that means something to a path.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).take(255).collect();
    if clean.is_empty() || clean == "." || clean == ".." {
        return "artifacts.zip".to_owned();
    }
    clean
}

/// When an artifact expires: after its own time, the instance's default, or never for zero.
fn expiry(expire_in: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let life = match expire_in {
        None | Some("") => Some(DEFAULT_LIFE),
        Some("never") => None,
        Some(text) => seconds(text).filter(|life| *life > 0),
    };
    life.map(|life| now.plus(std::time::Duration::from_secs(life.unsigned_abs())))
}
