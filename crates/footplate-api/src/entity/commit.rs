//! Commits, branches and tags (`rest-api.md §15.3`, `§12`).

use footplate_app::App;
use footplate_app::git::{Branch, Commit, Tag};
use serde_json::{Value as Json, json};

/// A commit.
pub fn commit(app: &App, project_path: &str, commit: &Commit) -> Json {
    json!({
        "id": commit.id.as_str(), "short_id": commit.id.short(), "created_at": commit.committer.iso8601(),
        "parent_ids": commit.parent_ids.iter().map(footplate_app::git::Sha::as_str).collect::<Vec<_>>(),
        "title": commit.title, "message": commit.message,
        "author_name": commit.author.name, "author_email": commit.author.email, "authored_date": commit.author.iso8601(),
        "committer_name": commit.committer.name, "committer_email": commit.committer.email,
        "committed_date": commit.committer.iso8601(), "trailers": {}, "extended_trailers": {},
        "web_url": app.url(&format!("/{project_path}/-/commit/{}", commit.id)),
    })
}

/// A branch.
pub fn branch(
    app: &App,
    project_path: &str,
    branch: &Branch,
    default: bool,
    protected: bool,
) -> Json {
    json!({
        "name": branch.name, "commit": commit(app, project_path, &branch.commit), "merged": false, "protected": protected,
        "developers_can_push": !protected, "developers_can_merge": !protected, "can_push": true, "default": default,
        "web_url": app.url(&format!("/{project_path}/-/tree/{}", branch.name)),
    })
}

/// A tag with the commit it leads to.
pub fn tag(app: &App, project_path: &str, tag: &Tag, of: Option<&Commit>, protected: bool) -> Json {
    json!({
        "name": tag.name, "message": tag.message.clone().unwrap_or_default(), "target": tag.target.as_str(),
        "commit": of.map(|of| commit(app, project_path, of)), "release": null, "protected": protected,
        "created_at": tag.tagger.as_ref().map(footplate_app::git::Signature::iso8601),
    })
}
