//! The project's files (`runner-protocol.md §2.7`).

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, sync::watch};

use crate::{
    Error,
    leftovers::MARK,
    payload::Payload,
    shell::{Ended, Place},
    trace::Wish,
};

/// Nothing of git may take longer.
const LIMIT: Duration = Duration::from_secs(3600);

fn git(folder: &Path, mark: &str) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env(MARK, mark);
    command
}

/// Files that git does not know, relative to the folder.
pub(crate) async fn untracked(folder: &Path) -> Result<Vec<String>, Error> {
    let mut command = git(folder, "");
    let output = command.args(["ls-files", "-o", "-z"]).output().await?;
    let names = output
        .stdout
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}

/// Fetches and checks out, as the strategy says.
pub(crate) async fn fetch(
    place: &Place<'_>,
    job: &Payload,
    wish: &mut watch::Receiver<Wish>,
) -> Result<Ended, Error> {
    let strategy = place
        .environment
        .value("GIT_STRATEGY")
        .unwrap_or(if job.allow_git_fetch {
            "fetch"
        } else {
            "clone"
        })
        .to_owned();
    match strategy.as_str() {
        "none" => {
            place.trace.line("Skipping Git repository setup");
            return Ok(Ended::Code(0));
        }
        "empty" => {
            clear(place.folder)?;
            return Ok(Ended::Code(0));
        }
        "clone" => clear(place.folder)?,
        "fetch" => {}
        other => return Err(Error::Job(format!("unknown GIT_STRATEGY: {other}"))),
    }
    place.trace.line("Fetching changes...");
    let (url, header) = split_credentials(&job.git_info.repo_url);
    let run = |arguments: Vec<String>| {
        let mut command = git(place.folder, place.mark);
        command.args(arguments);
        // The token is in the environment of git alone: neither in its arguments nor in the repository.
        if let Some(header) = &header {
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "http.extraHeader")
                .env("GIT_CONFIG_VALUE_0", header);
        }
        command
    };
    let words = |list: &[&str]| {
        list.iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let mut steps = vec![words(&["-c", "init.defaultBranch=main", "init", "-q"])];
    steps.push(vec![
        "config".to_owned(),
        "remote.origin.url".to_owned(),
        url,
    ]);
    let mut fetch = words(&[
        "fetch",
        "origin",
        "--no-recurse-submodules",
        "--prune",
        "--quiet",
        "--force",
    ]);
    if job.git_info.depth > 0 {
        fetch.push(format!("--depth={}", job.git_info.depth));
    } else if place.folder.join(".git/shallow").exists() {
        fetch.push("--unshallow".to_owned());
    }
    fetch.extend(job.git_info.refspecs.iter().cloned());
    steps.push(fetch);
    if place.environment.value("GIT_CHECKOUT") != Some("false") {
        steps.push(words(&["checkout", "-f", "-q", &job.git_info.sha]));
        let flags = place
            .environment
            .value("GIT_CLEAN_FLAGS")
            .unwrap_or("-ffdx");
        if flags != "none" {
            let mut clean = words(&["clean"]);
            clean.extend(flags.split_whitespace().map(str::to_owned));
            steps.push(clean);
        }
    }
    if let Some(kind @ ("normal" | "recursive")) = place.environment.value("GIT_SUBMODULE_STRATEGY")
    {
        let mut update = words(&["submodule", "update", "--init"]);
        if kind == "recursive" {
            update.push("--recursive".to_owned());
        }
        steps.push(update);
    }
    // A lock that a killed git left would stop every later fetch.
    for lock in ["index.lock", "shallow.lock", "HEAD.lock", "config.lock"] {
        let _ = std::fs::remove_file(place.folder.join(".git").join(lock));
    }
    for step in steps {
        let ended = place.watch(run(step), LIMIT, wish, Wish::GoOn).await?;
        if ended != Ended::Code(0) {
            return Ok(ended);
        }
    }
    place.trace.line(&format!(
        "Checking out {} as detached HEAD (ref is {})...",
        &job.git_info.sha.get(..8).unwrap_or(""),
        job.git_info.ref_name
    ));
    Ok(Ended::Code(0))
}

/// The URL without user and password, and the header that has them.
fn split_credentials(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let Some((user, rest)) = rest.split_once('@') else {
        return (url.to_owned(), None);
    };
    let encoded = base64(user.as_bytes());
    (
        format!("{scheme}://{rest}"),
        Some(format!("Authorization: Basic {encoded}")),
    )
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn clear(folder: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
