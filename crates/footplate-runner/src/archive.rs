//! Files chosen by patterns, packed and unpacked.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::WalkDir;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::Error;

/// Which files of a project belong to an archive.
pub(crate) struct Selection<'s> {
    pub(crate) root: &'s Path,
    pub(crate) paths: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// Files that git does not know.
    pub(crate) untracked: Vec<String>,
}

fn globs(patterns: &[String]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| Error::Job(format!("invalid pattern: {error}")))?);
    }
    set.build().map_err(|error| Error::Job(error.to_string()))
}

/// A pattern relative to the project; `None` for one that leads outside.
fn inside(pattern: &str, root: &Path) -> Option<String> {
    let path = Path::new(pattern);
    let relative = if path.is_absolute() {
        path.strip_prefix(root).ok()?
    } else {
        path
    };
    let mut plain = PathBuf::new();
    for part in relative.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain.to_string_lossy().into_owned())
}

impl Selection<'_> {
    /// The chosen files, sorted, relative to the root; and patterns that matched nothing.
    pub(crate) fn files(&self) -> Result<(Vec<PathBuf>, Vec<String>), Error> {
        let exclude = globs(&self.exclude)?;
        let (mut chosen, mut unmatched) = (BTreeSet::new(), Vec::new());
        for pattern in &self.paths {
            let Some(plain) = inside(pattern, self.root) else {
                unmatched.push(pattern.clone());
                continue;
            };
            let before = chosen.len();
            self.collect(&plain, &mut chosen)?;
            if chosen.len() == before {
                unmatched.push(pattern.clone());
            }
        }
        chosen.extend(self.untracked.iter().map(PathBuf::from));
        chosen.retain(|path: &PathBuf| !exclude.is_match(path) && !path.starts_with(".git"));
        Ok((chosen.into_iter().collect(), unmatched))
    }

    fn collect(&self, plain: &str, chosen: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let whole = self.root.join(plain);
        if plain.is_empty() || whole.symlink_metadata().is_ok() {
            add_tree(self.root, &whole, chosen);
            return Ok(());
        }
        let set = globs(&[plain.to_owned()])?;
        for entry in WalkDir::new(self.root).into_iter().flatten() {
            let Ok(relative) = entry.path().strip_prefix(self.root) else {
                continue;
            };
            if set.is_match(relative) {
                add_tree(self.root, entry.path(), chosen);
            }
        }
        Ok(())
    }
}

fn add_tree(root: &Path, from: &Path, chosen: &mut BTreeSet<PathBuf>) {
    for entry in WalkDir::new(from).into_iter().flatten() {
        if entry.file_type().is_dir() {
            continue;
        }
        if let Ok(relative) = entry.path().strip_prefix(root) {
            chosen.insert(relative.to_path_buf());
        }
    }
}

fn broken(error: &zip::result::ZipError) -> Error {
    Error::Job(format!("archive: {error}"))
}

/// Packs files with their permissions; links stay links.
pub(crate) fn pack(root: &Path, files: &[PathBuf], to: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut zip = ZipWriter::new(File::create(to)?);
    for file in files {
        let name = file.to_string_lossy().into_owned();
        let path = root.join(file);
        let facts = path.symlink_metadata()?;
        let mode = facts.permissions().mode() & 0o777;
        let options = SimpleFileOptions::default()
            .unix_permissions(mode)
            .large_file(facts.len() >= u64::from(u32::MAX));
        if facts.is_symlink() {
            let target = std::fs::read_link(&path)?.to_string_lossy().into_owned();
            zip.add_symlink(name, target, options)
                .map_err(|error| broken(&error))?;
        } else if facts.is_file() {
            zip.start_file(name, options)
                .map_err(|error| broken(&error))?;
            io::copy(&mut File::open(&path)?, &mut zip)?;
        }
    }
    zip.finish().map_err(|error| broken(&error))?.sync_all()?;
    Ok(())
}

/// Unpacks over what is there. Nothing lands outside of `root`.
pub(crate) fn unpack(from: &Path, root: &Path) -> Result<usize, Error> {
    let mut zip = ZipArchive::new(File::open(from)?).map_err(|error| broken(&error))?;
    let count = zip.len();
    zip.extract(root).map_err(|error| broken(&error))?;
    Ok(count)
}

/// One gzip member a file, with name and path in its header (`runner-protocol.md §6.1`).
pub(crate) fn gzip(root: &Path, files: &[PathBuf], to: &Path) -> Result<(), Error> {
    let mut out = File::create(to)?;
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let builder = flate2::GzBuilder::new()
            .filename(name)
            .comment(file.to_string_lossy().into_owned());
        let mut encoder = builder.write(&mut out, flate2::Compression::default());
        io::copy(&mut File::open(root.join(file))?, &mut encoder)?;
        encoder.finish()?;
    }
    out.flush()?;
    Ok(())
}
