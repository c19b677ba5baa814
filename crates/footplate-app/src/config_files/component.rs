//! `include: component`: a released part of a configuration, of this server only (`ci-yaml.md §4.5`).

use footplate_ci::{Answer, ComponentFile, Origin};
use footplate_git::Sha;
use footplate_model::ProjectId;

use super::{Files, answer::Told, memory::Stored, repository::Place};
use crate::{App, Result};

const LATEST: &str = "~latest";

impl App {
    /// A component by its full reference, such as `ci.example.com/group/project/name@1.2`.
    pub(super) async fn component(&self, address: &str, files: &Files) -> Result<Told> {
        let problem = |what: &str| Ok(Told::problem(format!("Component '{address}' - {what}")));
        let server = self.settings().server.authority();
        let Some(wanted) = Wanted::parse(address, server) else {
            return problem("the component path is not supported");
        };
        let project = match wanted.project {
            Some(path) => self.readable_project(path, files).await?,
            None => None,
        };
        let Some((project, may)) = project else {
            return problem("content not found");
        };
        if !may {
            return problem("project does not exist or you don't have sufficient permissions");
        }
        let found = self.version(project.id, wanted.reference).await?;
        let Some(Version { sha, version }) = found else {
            return problem("content not found");
        };
        let name = wanted.name;
        for path in [
            format!("templates/{name}.yml"),
            format!("templates/{name}/template.yml"),
        ] {
            let stored = self.stored_file(project.id, &sha, &path).await?;
            let Some(Stored::Text(text)) = stored else {
                continue;
            };
            if text.trim().is_empty() {
                break;
            }
            let file = ComponentFile {
                text: text.to_string(),
                origin: Origin {
                    project: Some(project.full_path.clone()),
                    git_ref: Some(sha.to_string()),
                },
                name: name.to_owned(),
                sha: sha.to_string(),
                version,
                reference: wanted.reference.to_owned(),
            };
            let place = Place {
                project: project.full_path,
                sha,
                path,
            };
            return Ok(Told::at(Answer::Component(Box::new(file)), place));
        }
        problem("content not found")
    }

    /// The commit that a version means: the newest release of a kind, a tag, or any other revision.
    async fn version(&self, project: ProjectId, reference: &str) -> Result<Option<Version>> {
        if reference == LATEST || is_partial(reference) {
            let tags = match self.repository(project).for_each_ref("refs/tags/").await {
                Ok(tags) => tags,
                Err(footplate_git::Error::NoRepository(_)) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let named = tags.iter().filter_map(|tag| {
                let name = tag.name.strip_prefix("refs/tags/")?;
                Some((name, &tag.peeled))
            });
            if let Some((name, sha)) = newest(named, reference) {
                return Ok(Some(Version {
                    sha: sha.clone(),
                    version: name.to_owned(),
                }));
            }
        }
        let tag = format!("refs/tags/{reference}");
        let sha = match self.resolve(project, &tag).await? {
            Some(sha) => Some(sha),
            None => self.resolve(project, reference).await?,
        };
        Ok(sha.map(|sha| Version {
            sha,
            version: reference.to_owned(),
        }))
    }
}

struct Version {
    sha: Sha,
    version: String,
}

/// A component reference in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    /// `None` = nothing that could be a project.
    project: Option<&'a str>,
    name: &'a str,
    reference: &'a str,
}

impl<'a> Wanted<'a> {
    /// `None` when it does not name this server, or no version.
    fn parse(address: &'a str, server: &str) -> Option<Self> {
        let (path, reference) = address.split_once('@')?;
        let path = path.strip_prefix(server)?.strip_prefix('/')?;
        let (project, name) = match path.rsplit_once('/') {
            Some((project, name)) if !project.is_empty() && !path.starts_with('/') => {
                (Some(project), name)
            }
            Some((_, name)) => (None, name),
            None => (None, path),
        };
        Some(Self {
            project,
            name,
            reference,
        })
    }
}

/// `1` or `1.2`.
fn is_partial(reference: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match reference.split_once('.') {
        Some((major, minor)) => number(major) && number(minor),
        None => number(reference),
    }
}

/// The newest of the tags with a semantic version that a partial reference or `~latest` covers; previews do not count.
fn newest<'t, S>(
    tags: impl Iterator<Item = (&'t str, S)>,
    reference: &str,
) -> Option<(&'t str, S)> {
    let wanted = format!("{reference}.");
    tags.filter_map(|(name, sha)| Some((semantic(name)?, name, sha)))
        .filter(|([major, minor, patch], _, _)| {
            reference == LATEST || format!("{major}.{minor}.{patch}").starts_with(&wanted)
        })
        .max_by_key(|(version, _, _)| *version)
        .map(|(_, name, sha)| (name, sha))
}

/// Major, minor and patch of a semantic version that is no preview.
fn semantic(tag: &str) -> Option<[u64; 3]> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let plain = tag.split_once('+').map_or(tag, |(version, _)| version);
    let mut parts = plain.split('.').map(|part| {
        let number =
            part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        number.then(|| part.parse().ok()).flatten()
    });
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_three_parts() {
        let of = |address| Wanted::parse(address, "ci.example.com:8080");
        assert_eq!(
            of("ci.example.com:8080/g/s/p/build@1.0"),
            Some(Wanted {
                project: Some("g/s/p"),
                name: "build",
                reference: "1.0"
            })
        );
        assert_eq!(of("ci.example.com:8080/x@1").unwrap().project, None);
        assert_eq!(of("ci.example.com:8080//x@1").unwrap().project, None);
        assert_eq!(
            of("ci.example.com:8080/g/p/x@a@b").unwrap().reference,
            "a@b"
        );
        for other in [
            "ci.example.com:8080/g/p/x",
            "ci.example.com/g/p/x@1",
            "ci.example.com:80801/g/p/x@1",
            "elsewhere.example/g/p/x@1",
            "/g/p/x@1",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn versions_are_numbers() {
        let tags = [
            "1.0.0",
            "1.2.0",
            "1.10.0",
            "1.9.9",
            "v1.10.1",
            "2.0.0-rc.1",
            "2.0",
            "01.99.0",
            "x",
            "10.0.0",
            "1.10.1-a",
        ];
        let of =
            |reference| newest(tags.iter().map(|tag| (*tag, ())), reference).map(|(tag, ())| tag);
        assert_eq!(of(LATEST), Some("10.0.0"));
        assert_eq!(of("1"), Some("v1.10.1"));
        assert_eq!(of("1.2"), Some("1.2.0"));
        assert_eq!(of("1.1"), None);
        assert_eq!(of("2"), None);
        assert!(is_partial("1") && is_partial("1.20"));
        assert!(!is_partial("1.2.3") && !is_partial("v1") && !is_partial("1.") && !is_partial(""));
    }
}
