//! Caches on the local disk (`runner-protocol.md §6.6`).

use std::path::{Path, PathBuf};

use crate::{
    Error,
    archive::{Selection, pack, unpack},
    artifacts::blocking,
    payload::{CacheSpec, Payload},
    sources::untracked,
    trace::Trace,
    variables::Environment,
};

/// Where the cache of a key lies; the key cannot lead elsewhere.
fn place(folder: &Path, project: i64, key: &str) -> PathBuf {
    let safe: String = key
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c.to_string()
            } else {
                format!("%{:x}", u32::from(c))
            }
        })
        .collect();
    let safe = if safe.is_empty() || safe == "." || safe == ".." {
        "default".to_owned()
    } else {
        safe
    };
    folder
        .join(project.to_string())
        .join(safe.chars().take(200).collect::<String>())
        .join("cache.zip")
}

fn key_of(spec: &CacheSpec, job: &Payload, environment: &Environment) -> String {
    let key = environment.fill(spec.key.as_deref().unwrap_or_default());
    if key.is_empty() {
        format!("{}/{}", job.job_info.name, job.git_info.ref_name)
    } else {
        key
    }
}

/// Brings caches in: the first key that there is.
pub(crate) async fn restore(
    folder: &Path,
    job: &Payload,
    root: &Path,
    environment: &Environment,
    trace: &Trace,
) {
    for spec in job
        .cache
        .iter()
        .flatten()
        .filter(|spec| spec.policy.as_deref() != Some("push"))
    {
        let mut keys = vec![key_of(spec, job, environment)];
        keys.extend(
            spec.fallback_keys
                .iter()
                .flatten()
                .map(|key| environment.fill(key)),
        );
        keys.extend(
            environment
                .value("CACHE_FALLBACK_KEY")
                .filter(|key| !key.ends_with("-protected"))
                .map(str::to_owned),
        );
        let found = keys
            .iter()
            .find(|key| place(folder, job.job_info.project_id, key).is_file());
        trace.line(&format!("Checking cache for {}...", keys[0]));
        let Some(key) = found else {
            trace.line("No cache is there yet");
            continue;
        };
        let (from, to) = (
            place(folder, job.job_info.project_id, key),
            root.to_path_buf(),
        );
        match blocking(move || unpack(&from, &to)).await {
            Ok(count) => trace.line(&format!(
                "Successfully extracted cache {key} ({count} files)"
            )),
            // A broken cache is as good as none.
            Err(error) => trace.line(&format!("WARNING: cache {key} could not be read: {error}")),
        }
    }
}

/// Keeps caches for the next job. A cache is replaced at once, never half.
pub(crate) async fn keep(
    folder: &Path,
    job: &Payload,
    root: &Path,
    success: bool,
    environment: &Environment,
    trace: &Trace,
) {
    for spec in job
        .cache
        .iter()
        .flatten()
        .filter(|spec| spec.policy.as_deref() != Some("pull"))
    {
        let fits = match spec.when.as_deref() {
            Some("always") => true,
            Some("on_failure") => !success,
            _ => success,
        };
        if !fits {
            continue;
        }
        let key = key_of(spec, job, environment);
        trace.line(&format!("Creating cache {key}..."));
        let to = place(folder, job.job_info.project_id, &key);
        let paths = spec
            .paths
            .iter()
            .flatten()
            .map(|path| environment.fill(path))
            .collect();
        if let Err(error) = keep_one(root, paths, spec.untracked, to, trace).await {
            trace.line(&format!("WARNING: cache could not be kept: {error}"));
        }
    }
}

async fn keep_one(
    root: &Path,
    paths: Vec<String>,
    with_untracked: bool,
    to: PathBuf,
    trace: &Trace,
) -> Result<(), Error> {
    let unknown = if with_untracked {
        untracked(root).await?
    } else {
        Vec::new()
    };
    let folder = root.to_path_buf();
    let count = blocking(move || {
        let selection = Selection {
            root: &folder,
            paths,
            exclude: Vec::new(),
            untracked: unknown,
        };
        let (files, _) = selection.files()?;
        let parent = to.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)?;
        let half = tempfile::NamedTempFile::new_in(parent)?;
        pack(&folder, &files, half.path())?;
        half.persist(&to).map_err(|error| error.error)?;
        Ok(files.len())
    })
    .await?;
    trace.line(&format!("Created cache ({count} files)"));
    Ok(())
}
