//! Artifacts up and down (`runner-protocol.md §6`).

use std::path::{Path, PathBuf};

use crate::{
    Error,
    archive::{Selection, gzip, pack, unpack},
    client::Client,
    payload::{ArtifactSpec, Payload},
    sources::untracked,
    trace::Trace,
    variables::Environment,
};

/// Fetches what the job depends on.
pub(crate) async fn download(
    client: &Client,
    job: &Payload,
    root: &Path,
    trace: &Trace,
) -> Result<(), Error> {
    for source in job.dependencies.iter().flatten() {
        if source
            .artifacts_file
            .as_ref()
            .is_none_or(|file| file.filename.is_empty())
        {
            continue;
        }
        trace.line(&format!(
            "Downloading artifacts for {} ({})...",
            source.name, source.id
        ));
        let file = tempfile::NamedTempFile::new_in(root.parent().unwrap_or(root))?;
        match client
            .download(source.id, &source.token, file.path())
            .await?
        {
            200 => {}
            404 => {
                return Err(Error::Job(format!(
                    "artifacts of {} are not found",
                    source.name
                )));
            }
            status => {
                return Err(Error::Job(format!(
                    "artifacts of {} cannot be fetched: HTTP {status}",
                    source.name
                )));
            }
        }
        let (path, to) = (file.path().to_path_buf(), root.to_path_buf());
        let count = blocking(move || unpack(&path, &to)).await?;
        trace.line(&format!(
            "Downloading artifacts from coordinator... ok        {count} files"
        ));
    }
    Ok(())
}

/// Runs work that waits for the disk elsewhere.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Job(error.to_string())),
    }
}

fn fits(when: Option<&str>, success: bool) -> bool {
    match when {
        None | Some("" | "on_success") => success,
        Some("on_failure") => !success,
        Some(_) => true,
    }
}

/// Uploads what the job made; `success` is the script's outcome.
pub(crate) async fn upload(
    client: &Client,
    job: &Payload,
    root: &Path,
    success: bool,
    environment: &Environment,
    trace: &Trace,
) -> Result<(), Error> {
    for spec in job
        .artifacts
        .iter()
        .flatten()
        .filter(|spec| fits(spec.when.as_deref(), success))
    {
        upload_one(client, job, root, spec, environment, trace).await?;
    }
    Ok(())
}

async fn upload_one(
    client: &Client,
    job: &Payload,
    root: &Path,
    spec: &ArtifactSpec,
    environment: &Environment,
    trace: &Trace,
) -> Result<(), Error> {
    let filled = |list: &Option<Vec<String>>| {
        list.iter()
            .flatten()
            .map(|text| environment.fill(text))
            .collect::<Vec<_>>()
    };
    let unknown = if spec.untracked {
        untracked(root).await?
    } else {
        Vec::new()
    };
    let (paths, exclude, folder) = (
        filled(&spec.paths),
        filled(&spec.exclude),
        root.to_path_buf(),
    );
    let format = spec
        .artifact_format
        .clone()
        .unwrap_or_else(|| "zip".to_owned());
    let packed = blocking({
        let format = format.clone();
        move || {
            let selection = Selection {
                root: &folder,
                paths,
                exclude,
                untracked: unknown,
            };
            let (files, unmatched) = selection.files()?;
            let out = tempfile::NamedTempFile::new_in(folder.parent().unwrap_or(&folder))?;
            match format.as_str() {
                "gzip" if !files.is_empty() => gzip(&folder, &files, out.path())?,
                "raw" if files.len() > 1 => {
                    return Err(Error::Job("only one file can be sent as raw".to_owned()));
                }
                "raw" => {
                    if let Some(file) = files.first() {
                        std::fs::copy(folder.join(file), out.path())?;
                    }
                }
                _ if !files.is_empty() => pack(&folder, &files, out.path())?,
                _ => {}
            }
            Ok((out, files, unmatched))
        }
    })
    .await?;
    let (file, files, unmatched): (_, Vec<PathBuf>, Vec<String>) = packed;
    for pattern in unmatched {
        trace.line(&format!(
            "\x1b[0;33mWARNING: {pattern}: no matching files\x1b[0;m"
        ));
    }
    if files.is_empty() {
        trace.line("\x1b[31;1mERROR: No files to upload\x1b[0;m");
        return Ok(());
    }
    let kind = spec
        .artifact_type
        .clone()
        .unwrap_or_else(|| "archive".to_owned());
    trace.line(&format!(
        "Uploading artifacts as \"{kind}\" to coordinator: {} files",
        files.len()
    ));
    let base = spec
        .name
        .as_deref()
        .map(|name| environment.fill(name))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "artifacts".to_owned());
    let name = match format.as_str() {
        "gzip" => format!("{base}.gz"),
        "raw" => base,
        _ => format!("{base}.zip"),
    };
    let mut query = vec![("artifact_format", format), ("artifact_type", kind)];
    query.extend(
        spec.expire_in
            .clone()
            .filter(|text| !text.is_empty())
            .map(|text| ("expire_in", text)),
    );
    let (status, body) = client
        .upload(job.id, &job.token, &query, &name, file.path())
        .await?;
    if status != 201 {
        return Err(Error::Job(format!(
            "uploading artifacts failed: HTTP {status} {body}"
        )));
    }
    trace.line("Uploading artifacts to coordinator... 201 Created");
    Ok(())
}
