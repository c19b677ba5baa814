//! References: listing, moving with the old value checked, pipeline refs.

use footplate_model::PipelineId;

use crate::{Error, GitRef, Repository, Result, Sha};

/// One reference that moves, appears (`old` is zero) or goes (`new` is zero).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name.
    pub name: String,
    /// What it was.
    pub old: Sha,
    /// What it becomes.
    pub new: Sha,
}

impl RefUpdate {
    /// Whether the reference is new.
    pub fn is_create(&self) -> bool {
        self.old.is_zero() && !self.new.is_zero()
    }

    /// Whether the reference goes.
    pub fn is_delete(&self) -> bool {
        self.new.is_zero()
    }

    /// The name parsed; `None` when it breaks git's rules.
    pub fn git_ref(&self) -> Option<GitRef> {
        GitRef::parse(&self.name).ok()
    }
}

/// A reference as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefEntry {
    /// The full name.
    pub name: String,
    /// The object it names; a tag object for annotated tags.
    pub target: Sha,
    /// What that leads to when tags are peeled.
    pub peeled: Sha,
}

impl Repository {
    /// All references below a prefix such as `refs/heads/`, in order of names.
    pub async fn for_each_ref(&self, prefix: &str) -> Result<Vec<RefEntry>> {
        let valid = prefix.starts_with("refs/") && !prefix.contains(['*', '?', '[', '\\']);
        if !valid {
            return Err(Error::InvalidRef(prefix.to_owned()));
        }
        let output = self
            .git("for-each-ref")
            .arg("--format=%(objectname) %(*objectname) %(refname)")
            .arg(prefix)
            .run()
            .await?;
        String::from_utf8_lossy(&output)
            .lines()
            .map(entry)
            .collect()
    }

    /// The object a reference names, tags not peeled.
    pub async fn find_ref(&self, git_ref: &GitRef) -> Result<Option<Sha>> {
        let infos = self.infos(&[git_ref.full()]).await?;
        Ok(infos.into_iter().flatten().next().map(|info| info.id))
    }

    /// Moves references, all or none; each only when its old value still holds.
    ///
    /// # Errors
    /// [`Error::RefExists`], [`Error::RefChanged`]; [`Error::NotFound`] when a new value is no object.
    pub async fn update_refs(&self, updates: &[RefUpdate]) -> Result<()> {
        let mut script = String::from("start\n");
        for update in updates {
            let name = GitRef::parse(&update.name)?.full();
            script.push_str(&match (update.old.is_zero(), update.new.is_zero()) {
                (_, true) => format!("delete {name} {}\n", update.old),
                (true, false) => format!("create {name} {}\n", update.new),
                (false, false) => format!("update {name} {} {}\n", update.new, update.old),
            });
        }
        script.push_str("prepare\ncommit\n");
        self.script(script)
            .await
            .map_err(|error| explain(error, updates))
    }

    /// Moves one reference when its old value still holds.
    pub async fn update_ref(&self, update: &RefUpdate) -> Result<()> {
        self.update_refs(std::slice::from_ref(update)).await
    }

    /// Makes `refs/pipelines/ID` name the commit, whatever it named before (`runner-protocol.md §2.7`).
    pub async fn write_pipeline_ref(&self, pipeline: PipelineId, commit: &Sha) -> Result<()> {
        let name = pipeline_ref(pipeline);
        self.move_refs(|| {
            self.git("update-ref")
                .args([name.as_str(), commit.as_str()])
        })
        .await
    }

    /// Removes `refs/pipelines/ID` of these pipelines; those that are not there are no error.
    pub async fn delete_pipeline_refs(&self, pipelines: &[PipelineId]) -> Result<()> {
        let script: String = pipelines
            .iter()
            .map(|id| format!("delete {}\n", pipeline_ref(*id)))
            .collect();
        self.script(script).await
    }

    async fn script(&self, script: String) -> Result<()> {
        let script = bytes::Bytes::from(script);
        self.move_refs(|| {
            self.git("update-ref")
                .args(["--no-deref", "--stdin"])
                .stdin(script.clone())
        })
        .await
    }
}

fn pipeline_ref(pipeline: PipelineId) -> String {
    format!("refs/pipelines/{pipeline}")
}

fn entry(line: &str) -> Result<RefEntry> {
    let mut words = line.splitn(3, ' ');
    let (Some(target), Some(peeled), Some(name)) = (words.next(), words.next(), words.next())
    else {
        return Err(Error::unreadable("for-each-ref", line));
    };
    let target = Sha::parse(target)?;
    Ok(RefEntry {
        name: name.to_owned(),
        peeled: if peeled.is_empty() {
            target.clone()
        } else {
            Sha::parse(peeled)?
        },
        target,
    })
}

/// Finds in git's words why a reference did not move.
fn explain(error: Error, updates: &[RefUpdate]) -> Error {
    let Error::Git { message, .. } = &error else {
        return error;
    };
    let named = updates
        .iter()
        .find(|update| message.contains(&format!("'{}'", update.name)));
    let Some(update) = named.or(updates.first()) else {
        return error;
    };
    let name = update.name.clone();
    if message.contains("reference already exists") {
        return Error::RefExists(name);
    }
    if message.contains("nonexistent object") || message.contains("not a valid object") {
        return Error::NotFound(update.new.to_string());
    }
    if message.contains("exists; cannot create") {
        return Error::RefExists(name);
    }
    let lost = [
        "is at ",
        "unable to resolve reference",
        "Unable to create",
        "File exists",
        "cannot lock ref",
    ];
    if lost.iter().any(|words| message.contains(words)) {
        return Error::RefChanged(name);
    }
    error
}
