//! Tags, light and annotated.

use crate::{
    Commit, Error, GitRef, RefUpdate, Repository, Result, Sha, Signature, cat_file::Object,
    commit::split_message, refs::RefEntry,
};

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its short name.
    pub name: String,
    /// The object it names: the tag object when annotated, else the commit.
    pub target: Sha,
    /// The message of an annotated tag without the trailing newline.
    pub message: Option<String>,
    /// Who made an annotated tag, and when.
    pub tagger: Option<Signature>,
    /// The commit it leads to; `None` for a tag of a tree or blob.
    pub commit: Option<Commit>,
}

impl Repository {
    /// The tags that `keep` chooses by short name, in order of names: `limit` of them from `skip` on, and how many there are
    /// in all.
    pub async fn tags(
        &self,
        keep: impl Fn(&str) -> bool,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<Tag>, usize)> {
        let mut entries = self.for_each_ref("refs/tags/").await?;
        entries.retain(|entry| entry.name.strip_prefix("refs/tags/").is_some_and(&keep));
        let total = entries.len();
        let page: Vec<RefEntry> = entries.into_iter().skip(skip).take(limit).collect();
        Ok((self.read_tags(&page).await?, total))
    }

    /// One tag. A name that breaks git's rules is [`Error::InvalidRef`].
    pub async fn tag(&self, name: &str) -> Result<Option<Tag>> {
        let tag = GitRef::tag(name)?;
        let names = [tag.full(), format!("{}^{{}}", tag.full())];
        let mut infos = self.infos(&names).await?.into_iter().flatten();
        let (Some(target), Some(peeled)) = (infos.next(), infos.next()) else {
            return Ok(None);
        };
        let entry = RefEntry {
            name: tag.full(),
            target: target.id,
            peeled: peeled.id,
        };
        Ok(self.read_tags(&[entry]).await?.pop())
    }

    async fn read_tags(&self, entries: &[RefEntry]) -> Result<Vec<Tag>> {
        let ids: Vec<Sha> = entries
            .iter()
            .flat_map(|entry| [entry.target.clone(), entry.peeled.clone()])
            .collect();
        let mut objects = self.objects(&ids).await?.into_iter();
        let mut tags = Vec::with_capacity(entries.len());
        for entry in entries {
            let (target, peeled) = (objects.next().flatten(), objects.next().flatten());
            let (message, tagger) = annotation(target.as_ref());
            let commit = match peeled {
                Some(Object {
                    id,
                    kind: "commit",
                    data,
                }) => Some(Commit::parse(id, &data)?),
                _ => None,
            };
            tags.push(Tag {
                name: entry.name.trim_start_matches("refs/tags/").to_owned(),
                target: entry.target.clone(),
                message,
                tagger,
                commit,
            });
        }
        Ok(tags)
    }

    /// Writes the tag object, when there is a message, and says what has to move to make the tag; nothing is moved yet.
    pub async fn new_tag(
        &self,
        name: &str,
        revision: &str,
        annotation: Option<(&str, &Signature)>,
    ) -> Result<RefUpdate> {
        let tag = GitRef::tag(name)?;
        let commit = self.load_commit_id(revision).await?;
        if self.find_ref(&tag).await?.is_some() {
            return Err(Error::RefExists(tag.full()));
        }
        let new = match annotation {
            None => commit,
            Some((message, tagger)) => {
                let end = if message.ends_with('\n') { "" } else { "\n" };
                let tagger = tagger.line();
                let object = format!(
                    "object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}{end}"
                );
                self.write_object("tag", object.into()).await?
            }
        };
        Ok(RefUpdate {
            name: tag.full(),
            old: Sha::zero(),
            new,
        })
    }

    /// Makes a tag at a revision, annotated when there is a message.
    pub async fn create_tag(
        &self,
        name: &str,
        revision: &str,
        annotation: Option<(&str, &Signature)>,
    ) -> Result<RefUpdate> {
        let update = self.new_tag(name, revision, annotation).await?;
        self.update_ref(&update).await?;
        Ok(update)
    }

    /// Deletes a tag; [`Error::NotFound`] when it is not there.
    pub async fn delete_tag(&self, name: &str) -> Result<RefUpdate> {
        let update = self.removal(&GitRef::tag(name)?).await?;
        self.update_ref(&update).await?;
        Ok(update)
    }
}

fn annotation(target: Option<&Object>) -> (Option<String>, Option<Signature>) {
    let Some(Object {
        kind: "tag", data, ..
    }) = target
    else {
        return (None, None);
    };
    let (headers, message) = split_message(data);
    let tagger = headers
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(b"tagger "))
        .map(Signature::parse);
    let message = String::from_utf8_lossy(message);
    (Some(message.trim_end_matches('\n').to_owned()), tagger)
}
