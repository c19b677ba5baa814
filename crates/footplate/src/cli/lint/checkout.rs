//! The compiler's questions answered from a folder on disk.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

use footplate_ci::{Answer, Request, templates};

use super::flags::PipelineFlags;

/// A configuration file may be so large, in bytes.
const FILE_LIMIT: u64 = 4 << 20;
/// Paths below the folder that are looked at.
const PATHS: usize = 200_000;

/// Where the compiler's questions are answered from.
pub(super) struct Checkout {
    root: PathBuf,
    paths: Option<Vec<String>>,
    exists: Vec<String>,
    changed: Option<Vec<String>>,
    templates: Option<PathBuf>,
}

/// A file as text.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|facts| facts.is_dir()) {
        return Err("is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(format!("is larger than {FILE_LIMIT} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Checkout {
    /// The folder of a file, with the paths that a pipeline is said to know.
    pub(super) fn of(file: &Path, flags: &PipelineFlags) -> Self {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let root = parent.unwrap_or(Path::new("."));
        Self {
            root: root.canonicalize().unwrap_or_else(|_| root.to_path_buf()),
            paths: None,
            exists: flags.exists.clone(),
            changed: (!flags.changed.is_empty()).then(|| flags.changed.clone()),
            templates: std::env::var_os("FOOTPLATE_TEMPLATES").map(PathBuf::from),
        }
    }

    /// Answers a question; what only a server has is a problem in GitLab's words.
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        match request {
            Request::File { origin, path } if origin.project.is_none() => self.file(path),
            Request::File { origin, .. } => Answer::Problem(format!(
                "Project `{}` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined.",
                origin.project.as_deref().unwrap_or_default()
            )),
            Request::Template(name) => self.template(name),
            Request::Remote { url, .. } => Answer::Problem(format!(
                "Remote file `{url}` could not be fetched because of a socket error!"
            )),
            Request::Component(name) => {
                Answer::Problem(format!("Component '{name}' - content not found"))
            }
            Request::Artifact { job, .. } => Answer::Problem(format!(
                "Job `{job}` not found in parent pipeline or does not have artifacts!"
            )),
            Request::Paths(_) => Answer::Paths(self.paths().to_vec()),
            Request::Changes(_) => self.changed.clone().map_or(Answer::Unknown, Answer::Paths),
        }
    }

    /// A file below the folder; links that lead out of it are not there.
    fn file(&self, path: &str) -> Answer {
        let missing = || Answer::Problem(format!("Local file `{path}` does not exist!"));
        let Ok(place) = self.root.join(path).canonicalize() else {
            return missing();
        };
        if !place.starts_with(&self.root) {
            return missing();
        }
        match read(&place) {
            Ok(text) if text.trim().is_empty() => {
                Answer::Problem(format!("Local file `{path}` is empty!"))
            }
            Ok(text) => Answer::Text(text),
            Err(_) => missing(),
        }
    }

    fn template(&self, name: &str) -> Answer {
        let plain = name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        let own = self.templates.as_ref().filter(|_| plain);
        if let Some(text) = own.and_then(|folder| read(&folder.join(name)).ok()) {
            return Answer::Text(text);
        }
        templates::template(name).map_or_else(
            || Answer::Problem(format!("Template file `{name}` is not a valid location!")),
            |text| Answer::Text(text.to_owned()),
        )
    }

    /// Every path below the folder, without git's own.
    fn paths(&mut self) -> &[String] {
        let (root, exists) = (&self.root, &self.exists);
        self.paths.get_or_insert_with(|| {
            let walk = walkdir::WalkDir::new(root)
                .into_iter()
                .filter_entry(|entry| entry.file_name() != ".git");
            let found: BTreeSet<String> = walk
                .flatten()
                .filter(|entry| !entry.file_type().is_dir())
                .filter_map(|entry| {
                    let path = entry.path().strip_prefix(root).ok()?;
                    Some(path.to_str()?.to_owned())
                })
                .take(PATHS)
                .chain(exists.iter().cloned())
                .collect();
            found.into_iter().collect()
        })
    }
}
