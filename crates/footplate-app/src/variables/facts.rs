//! The facts that predefined variables are made of, gathered once for a pipeline.

use footplate_git::Commit;
use footplate_model::{NamespaceId, PipelineSource, ProjectId, Timestamp, UserId, Visibility};

/// The instance.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// External URL without a slash at its end, such as `https://ci.example.com/gitlab`.
    pub url: String,
    /// The GitLab-like version, such as `18.6.0`.
    pub version: String,
    /// The revision shown beside it.
    pub revision: String,
}

impl ServerFacts {
    /// `http` or `https`.
    pub fn protocol(&self) -> &str {
        self.url
            .split_once("://")
            .map_or("http", |(scheme, _)| scheme)
    }

    /// Host with its port where one is written.
    pub fn authority(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split_once('/')
            .map_or(rest, |(authority, _)| authority)
    }

    /// Host, and the port where it is not the scheme's own.
    pub fn fqdn(&self) -> String {
        let own = match self.protocol() {
            "https" => "443",
            _ => "80",
        };
        if self.port() == own {
            self.host().to_owned()
        } else {
            format!("{}:{}", self.host(), self.port())
        }
    }

    /// The path of the external URL, without a slash at its end; empty at the root.
    pub fn root_path(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        rest.find('/')
            .map_or("", |at| rest[at..].trim_end_matches('/'))
    }

    /// Host alone.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        if authority.starts_with('[') {
            return authority
                .split_once(']')
                .map_or(authority, |(host, _)| &authority[..=host.len()]);
        }
        authority
            .split_once(':')
            .map_or(authority, |(host, _)| host)
    }

    /// The port, the scheme's default where none is written.
    pub fn port(&self) -> &str {
        let default = if self.protocol() == "https" {
            "443"
        } else {
            "80"
        };
        self.authority()[self.host().len()..]
            .strip_prefix(':')
            .unwrap_or(default)
    }
}

/// The project of a pipeline.
#[derive(Debug, Clone)]
pub struct ProjectFacts {
    /// Its id.
    pub id: ProjectId,
    /// Display name.
    pub title: String,
    /// Last part of the path.
    pub path: String,
    /// Whole path.
    pub full_path: String,
    /// Path of the namespace.
    pub namespace: String,
    /// Id of the namespace.
    pub namespace_id: NamespaceId,
    /// Empty when there is none.
    pub description: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Its default branch.
    pub default_branch: String,
    /// Path of the configuration.
    pub config_path: String,
    /// Topics, in order.
    pub topics: Vec<String>,
}

/// The commit of a pipeline.
#[derive(Debug, Clone, Default)]
pub struct CommitFacts {
    /// 40 hex digits.
    pub sha: String,
    /// Previous head, 40 zeros where there is none.
    pub before_sha: String,
    /// Full message.
    pub message: String,
    /// `Name <email>`.
    pub author: String,
    /// Login of the author where somebody here has that address.
    pub author_login: Option<String>,
    /// RFC 3339 in whole seconds, with the committer's offset.
    pub timestamp: String,
    /// Message of an annotated tag.
    pub tag_message: Option<String>,
}

impl CommitFacts {
    /// From a commit; who its author is here is not known yet.
    pub fn of(commit: &Commit, before_sha: &str, tag_message: Option<String>) -> Self {
        Self {
            sha: commit.id.to_string(),
            before_sha: before_sha.to_owned(),
            message: commit.message.clone(),
            author: format!("{} <{}>", commit.author.name, commit.author.email),
            author_login: None,
            timestamp: commit.committer.iso8601().replace(".000", ""),
            tag_message,
        }
    }
}

/// A pipeline as far as it is known when its configuration is compiled.
#[derive(Debug, Clone)]
pub struct PipelineFacts {
    /// Branch or tag name.
    pub ref_name: String,
    /// The ref is a tag.
    pub tag: bool,
    /// The ref is protected.
    pub protected: bool,
    /// Where it came from.
    pub source: PipelineSource,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number within the project; known before the rules are evaluated.
    pub iid: Option<i64>,
    /// `workflow:name`.
    pub name: Option<String>,
    /// Pipeline, project and job of the bridge that started it.
    pub upstream: Option<(i64, i64, i64)>,
}

impl PipelineFacts {
    /// The whole name of the ref.
    pub fn full_ref(&self) -> String {
        let kind = if self.tag { "tags" } else { "heads" };
        format!("refs/{kind}/{}", self.ref_name)
    }
}

/// The user of a pipeline or job.
#[derive(Debug, Clone)]
pub struct UserFacts {
    /// Id.
    pub id: UserId,
    /// Login.
    pub login: String,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

#[cfg(test)]
mod tests {
    use super::ServerFacts;

    fn parts(url: &str) -> (String, String, String, String) {
        let server = ServerFacts {
            url: url.to_owned(),
            version: String::new(),
            revision: String::new(),
        };
        (
            server.protocol().into(),
            server.authority().into(),
            server.host().into(),
            server.port().into(),
        )
    }

    #[test]
    fn takes_a_url_apart() {
        let own = |a: [&str; 4]| {
            (
                a[0].to_owned(),
                a[1].to_owned(),
                a[2].to_owned(),
                a[3].to_owned(),
            )
        };
        assert_eq!(
            parts("http://127.0.0.1:8080"),
            own(["http", "127.0.0.1:8080", "127.0.0.1", "8080"])
        );
        assert_eq!(
            parts("https://ci.example.com/gitlab"),
            own(["https", "ci.example.com", "ci.example.com", "443"])
        );
        assert_eq!(
            parts("http://[::1]:80/x"),
            own(["http", "[::1]:80", "[::1]", "80"])
        );
    }

    #[test]
    fn a_name_has_its_port_only_where_it_is_not_the_usual_one() {
        for (url, fqdn) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://ci.example.com/gitlab", "ci.example.com"),
            ("https://ci.example.com:443", "ci.example.com"),
            ("https://ci.example.com:80", "ci.example.com:80"),
        ] {
            let server = ServerFacts {
                url: url.to_owned(),
                version: String::new(),
                revision: String::new(),
            };
            assert_eq!(server.fqdn(), fqdn);
        }
    }
}
