//! What a compilation asks of its caller, and the answers (`ci-yaml.md §4`, `§11`, `§16`).

use serde::{Deserialize, Serialize};

/// A repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Repository {
    /// Full path of the project; `None` is the pipeline's own.
    pub project: Option<String>,
    /// Branch, tag or sha; `None` is the pipeline's sha, in another project the head of its default branch.
    pub reference: Option<String>,
}

/// A file that is to be included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FileRequest {
    /// One file of the repository that holds the including file.
    Local {
        /// Where.
        repository: Repository,
        /// Path from the root, without a leading slash.
        path: String,
    },
    /// All files of that repository that match (`ci-yaml.md §4.2`), sorted by path; none is not an error.
    LocalMatching {
        /// Where.
        repository: Repository,
        /// Pattern with `*` or `**`.
        pattern: String,
    },
    /// A file of another project, read as the user who runs the pipeline.
    Project {
        /// Where.
        repository: Repository,
        /// Path from the root, without a leading slash.
        path: String,
    },
    /// A public address.
    Remote {
        /// `http://` or `https://`.
        url: String,
    },
    /// A file of the server's templates.
    Template {
        /// Its name, ending in `.gitlab-ci.yml`.
        name: String,
    },
    /// A component.
    Component {
        /// `host/project/path/name@version`.
        address: String,
    },
    /// A file in the archive of a job of the parent pipeline.
    Artifact {
        /// Name of the job.
        job: String,
        /// Path in the archive.
        path: String,
    },
}

/// What the compiler has to know before it can go on. Equal requests are asked once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// The text of a file.
    File(FileRequest),
    /// All tracked paths, sorted: `exists`.
    Paths(Repository),
    /// Paths that changed between a ref and the pipeline's sha: `changes`. `None` is what the pipeline itself is compared with.
    Changes {
        /// `compare_to`, expanded.
        compare_to: Option<String>,
    },
    /// Ids of the last commits that touched the files, in the order of the files: `cache:key:files`.
    LastCommits {
        /// Paths from the root.
        files: Vec<String>,
    },
}

/// Why there is no such thing; the compiler words it as GitLab does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The project does not exist, or the user may not read its code.
    #[error("project not found or access denied")]
    Project,
    /// The project has no such ref.
    #[error("reference does not exist")]
    Reference,
    /// There is no such file, template, component, job or artifact.
    #[error("not found")]
    Missing,
    /// A remote answered with another status than 200.
    #[error("HTTP code {0}")]
    HttpStatus(u16),
    /// A remote did not answer in time.
    #[error("time-out")]
    Timeout,
    /// A remote could not be reached, or may not be.
    #[error("socket error")]
    Unreachable,
    /// The thing is larger than the server takes.
    #[error("too big")]
    TooBig,
}

/// The answer to one request, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A file.
    File {
        /// Its text.
        text: String,
        /// Where its own local includes are read.
        repository: Option<Repository>,
    },
    /// The files of a pattern: path and text, sorted by path.
    Files {
        /// Path and text.
        files: Vec<(String, String)>,
    },
    /// Tracked or changed paths; `None` when they cannot be computed.
    Paths {
        /// The paths.
        paths: Option<Vec<String>>,
    },
    /// Last commits; `None` for a file that does not exist.
    Commits {
        /// Commit ids.
        commits: Vec<Option<String>>,
    },
    /// There is none.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}
