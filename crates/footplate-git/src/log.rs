//! Lists of commits.

use footplate_model::Timestamp;

use crate::{Commit, Repository, Result, Sha, command::Git, file::checked};

/// The order of a list of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// git's own: newest first by commit date.
    #[default]
    Default,
    /// No parent before all of its children, lines of history together.
    Topological,
}

/// Which commits to list (`rest-api.md §12`).
#[derive(Debug, Clone, Default)]
pub struct CommitQuery {
    /// Where to begin; with none of them and without `all` the list is empty.
    pub from: Vec<Sha>,
    /// Commits reachable from these are left out.
    pub exclude: Vec<Sha>,
    /// Begin at every branch and tag.
    pub all: bool,
    /// Only commits that touch this path.
    pub path: Option<String>,
    /// Not older than.
    pub since: Option<Timestamp>,
    /// Not newer than.
    pub until: Option<Timestamp>,
    /// Text that name and address of the author must contain; no pattern.
    pub author: Option<String>,
    /// Follow only the first parent of merges.
    pub first_parent: bool,
    /// The order.
    pub order: Order,
    /// Leave out that many.
    pub skip: usize,
    /// At most that many.
    pub limit: usize,
}

impl Repository {
    /// Lists commits.
    pub async fn commits(&self, query: &CommitQuery) -> Result<Vec<Commit>> {
        let ids = self.commit_ids(query).await?;
        self.commits_by_id(&ids).await
    }

    /// Lists ids of commits.
    pub async fn commit_ids(&self, query: &CommitQuery) -> Result<Vec<Sha>> {
        if query.limit == 0 || (query.from.is_empty() && !query.all) {
            return Ok(Vec::new());
        }
        let git = self
            .git("rev-list")
            .arg(format!("--max-count={}", query.limit))
            .arg(format!("--skip={}", query.skip));
        let output = arguments(git, query)?.run().await?;
        String::from_utf8_lossy(&output)
            .lines()
            .map(Sha::parse)
            .collect()
    }

    /// How many commits there are; `limit` of the query counts as an upper bound, `skip` is ignored.
    pub async fn count_commits(&self, query: &CommitQuery) -> Result<u64> {
        if query.from.is_empty() && !query.all {
            return Ok(0);
        }
        let git = self
            .git("rev-list")
            .arg("--count")
            .arg(format!("--max-count={}", query.limit));
        let output = arguments(git, query)?.run().await?;
        Ok(String::from_utf8_lossy(&output).trim().parse().unwrap_or(0))
    }
}

fn arguments(mut git: Git, query: &CommitQuery) -> Result<Git> {
    if query.first_parent {
        git = git.arg("--first-parent");
    }
    if query.order == Order::Topological {
        git = git.arg("--topo-order");
    }
    if let Some(since) = query.since {
        git = git.arg(format!("--max-age={}", since.as_seconds()));
    }
    if let Some(until) = query.until {
        git = git.arg(format!("--min-age={}", until.as_seconds()));
    }
    if let Some(author) = query
        .author
        .as_deref()
        .filter(|text| !text.contains(['\0', '\n']))
    {
        git = git.arg("--fixed-strings").arg(format!("--author={author}"));
    }
    if query.all {
        git = git.args(["--branches", "--tags"]);
    }
    git = git.args(query.from.iter().map(Sha::as_str));
    git = git.args(query.exclude.iter().map(|id| format!("^{id}")));
    git = git.arg("--");
    match query.path.as_deref() {
        Some(path) if !path.is_empty() => Ok(git.arg(checked(path)?)),
        _ => Ok(git),
    }
}
