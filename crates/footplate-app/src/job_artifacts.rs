//! Artifacts for those who fetch them (`rest-api.md §6`).

use footplate_blob::{Blob, ByteStream, Key};
use footplate_git::GitRef;
use footplate_model::{Artifact, Job, JobId, JobKind, policy::Ability};
use footplate_store::{Tx, artifacts, jobs, pipelines};

use crate::{
    Actor, App, Error, ProjectAccess, Result,
    access::load_job,
    background::{Work, plan},
    can,
};

/// An archive to be sent.
pub struct Download {
    /// Its row.
    pub artifact: Artifact,
    /// Its bytes.
    pub blob: Blob,
}

/// One file of an archive.
pub struct ArchiveFile {
    /// Last part of its path.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The bytes.
    pub bytes: ByteStream,
}

impl App {
    /// The archive of a job.
    ///
    /// # Errors
    /// 404 for a job or archive that is not there, 403 for who may not have it.
    pub async fn download_artifacts(
        &self,
        access: &ProjectAccess<can::ReadJobArtifacts>,
        id: JobId,
    ) -> Result<Download> {
        let project = access.project_id();
        let job = self
            .db()
            .read(async move |tx: &mut Tx<'_>| load_job(tx, project, id).await)
            .await?;
        self.archive_of(access, job).await
    }

    /// The archive of the newest successful job of a name on a ref.
    ///
    /// # Errors
    /// 404, 403.
    pub async fn download_artifacts_by_ref(
        &self,
        access: &ProjectAccess<can::ReadJobArtifacts>,
        ref_name: String,
        name: String,
    ) -> Result<Download> {
        let project = access.project_id();
        let short = match GitRef::parse(&ref_name) {
            Ok(GitRef::Branch(name) | GitRef::Tag(name)) => name,
            Ok(GitRef::Other(_)) | Err(_) => ref_name,
        };
        let job = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let successful = pipelines::list_successful(tx, project, &short, 20).await?;
                for pipeline in successful {
                    let mut family = vec![pipeline.id];
                    family.extend(
                        pipelines::list_descendants(tx, pipeline.id)
                            .await?
                            .iter()
                            .map(|child| child.id),
                    );
                    let ids = crate::settle_job::id_list(&family);
                    let found = jobs::list_named(tx, &ids, &name).await?;
                    let fitting = found.into_iter().rev().find(|job| {
                        job.artifacts
                            .iter()
                            .any(|artifact| artifact.file_type == "archive")
                    });
                    if let Some(job) = fitting {
                        return Ok(job);
                    }
                }
                Err(Error::NOTHING_FOUND)
            })
            .await?;
        self.archive_of(access, job).await
    }

    async fn archive_of(
        &self,
        access: &ProjectAccess<can::ReadJobArtifacts>,
        job: Job,
    ) -> Result<Download> {
        let asker = access.narrow::<can::ReadJobArtifacts>()?;
        let (id, now) = (job.id, self.now());
        let artifact = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                if !asker
                    .may_on_job(tx, Ability::ReadJobArtifacts, &job)
                    .await?
                {
                    return Err(Error::FORBIDDEN);
                }
                let found = artifacts::find(tx, id, "archive").await?;
                let found = found
                    .filter(|_| job.kind == JobKind::Build)
                    .ok_or(Error::NOTHING_FOUND)?;
                let expired = found.expire_at.is_some_and(|end| end <= now);
                if expired && !artifacts::is_locked(tx, id).await? {
                    return Err(Error::NOTHING_FOUND);
                }
                Ok(found)
            })
            .await?;
        self.open_artifact(artifact).await
    }

    pub(crate) async fn open_artifact(&self, artifact: Artifact) -> Result<Download> {
        let blob = self.blobs().get(&Key::parse(&artifact.blob_key)?).await?;
        Ok(Download {
            artifact,
            blob: blob.ok_or(Error::NOTHING_FOUND)?,
        })
    }

    /// An archive for a job that depends on it, by that job's token (`runner-protocol.md §6.5`).
    ///
    /// # Errors
    /// 403 for jobs that may not have it, 404 without an archive.
    pub async fn download_dependency(&self, actor: &Actor, id: JobId) -> Result<Download> {
        let Actor::Job(asker) = actor else {
            return Err(Error::FORBIDDEN);
        };
        let own = asker.project_id;
        let artifact = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(job) = jobs::find(tx, id).await? else {
                    return Err(Error::FORBIDDEN);
                };
                if job.project_id != own {
                    return Err(Error::FORBIDDEN);
                }
                artifacts::find(tx, id, "archive")
                    .await?
                    .ok_or(Error::NOTHING_FOUND)
            })
            .await?;
        self.open_artifact(artifact).await
    }

    /// One file of an archive, found by its directory; nothing is unpacked.
    ///
    /// # Errors
    /// 404, 400 for paths that lead elsewhere.
    pub async fn archive_file(&self, download: &Download, path: &str) -> Result<ArchiveFile> {
        let archive = download.blob.archive().await?;
        let entry = archive
            .find(path)
            .map_err(|_| Error::BadRequest(String::new()))?
            .filter(|entry| !entry.is_directory())
            .ok_or(Error::NOTHING_FOUND)?;
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(ArchiveFile {
            name,
            size: entry.size,
            bytes: archive.stream(entry).await?,
        })
    }

    /// Removes the artifacts of a job; its trace stays.
    ///
    /// # Errors
    /// 404, 403.
    pub async fn delete_artifacts(
        &self,
        access: &ProjectAccess<can::DeleteJobArtifact>,
        id: JobId,
    ) -> Result<()> {
        let (project, now) = (access.project_id(), self.now());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let job = load_job(tx, project, id).await?;
                // Whoever is about to hand out a job that takes these looks again.
                pipelines::lock(tx, job.pipeline_id).await?;
                let blobs = artifacts::delete_of_job(tx, id).await?;
                jobs::set_artifacts(tx, id, &[], None).await?;
                plan(tx, &Work::DeleteBlobs(blobs), now).await
            })
            .await
    }
}
