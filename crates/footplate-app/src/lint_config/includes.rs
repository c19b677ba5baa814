//! What a configuration included, as lint lists it.

use footplate_ci::{Request, SourceFile};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value as Json, json};

use crate::{
    config_files::{Files, Place, Reading, cross_out},
    variables::facts::ServerFacts,
};

/// What is written with percent signs in a path.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An included file.
#[derive(Debug, Clone, PartialEq)]
pub struct LintedFile {
    /// `local`, `file`, `remote`, `template`, `component` or `artifact`.
    pub kind: &'static str,
    /// Path, address or name.
    pub location: String,
    /// Its page.
    pub blob: Option<String>,
    /// Its text.
    pub raw: Option<String>,
    /// What else was said of it.
    pub extra: Map<String, Json>,
    /// Project of the file that includes it.
    pub context_project: Option<String>,
    /// Commit of the file that includes it.
    pub context_sha: Option<String>,
}

/// The included files: those of one file in their order, then what the first of them includes, and so on. `elsewhere`
/// leaves out the one that stands for the root.
pub(super) fn of(
    list: &[SourceFile],
    reading: &Reading,
    files: &Files,
    elsewhere: bool,
    masked: &[String],
    server: &ServerFacts,
) -> Vec<LintedFile> {
    let lister = Lister {
        list,
        reading,
        files,
        masked,
        server,
    };
    let mut order = Vec::new();
    lister.children(0, &mut order);
    order
        .into_iter()
        .filter_map(|number| list.get(number))
        .filter(|file| !elsewhere || parent(file) != Some(0))
        .filter_map(|file| lister.entry(file))
        .collect()
}

fn parent(file: &SourceFile) -> Option<usize> {
    usize::try_from(file.included_at?.file).ok()
}

struct Lister<'l> {
    list: &'l [SourceFile],
    reading: &'l Reading,
    files: &'l Files,
    masked: &'l [String],
    server: &'l ServerFacts,
}

impl Lister<'_> {
    fn children(&self, of: usize, order: &mut Vec<usize>) {
        let begin = order.len();
        let own = self.list.iter().enumerate().skip(of + 1);
        order.extend(own.filter_map(|(number, file)| (parent(file) == Some(of)).then_some(number)));
        for index in begin..order.len() {
            self.children(order[index], order);
        }
    }

    fn entry(&self, file: &SourceFile) -> Option<LintedFile> {
        let asked = file.asked.as_ref()?;
        let place = self.reading.places.get(asked);
        let (context_project, context_sha) = match parent(file).and_then(|at| self.context(at)) {
            Some((project, sha)) => (Some(project), sha),
            None => (None, None),
        };
        let hidden = |text: &str| cross_out(text, self.masked);
        let url = |view: &str| place.map(|place| hidden(&self.url(view, place)));
        let (kind, blob, raw) = match asked {
            Request::File { .. } if file.by_project => ("file", url("blob"), url("raw")),
            Request::File { .. } => ("local", url("blob"), url("raw")),
            Request::Component(_) => ("component", url("blob"), None),
            Request::Remote { url, .. } => ("remote", None, Some(hidden(url))),
            Request::Template(_) => ("template", None, None),
            Request::Artifact { .. } => ("artifact", None, None),
            Request::Paths(_) | Request::Changes(_) => return None,
        };
        Some(LintedFile {
            kind,
            location: hidden(&file.name),
            blob,
            raw,
            extra: self.extra(file, asked),
            context_project,
            context_sha,
        })
    }

    fn extra(&self, file: &SourceFile, asked: &Request) -> Map<String, Json> {
        let hidden = |text: &str| cross_out(text, self.masked);
        let extra = match asked {
            Request::File { origin, .. } if file.by_project => {
                let project = origin.project.as_deref().unwrap_or_default();
                let git_ref = origin.git_ref.as_deref().unwrap_or("HEAD");
                json!({"project": hidden(&project.to_lowercase()), "ref": hidden(git_ref)})
            }
            Request::Artifact { job, .. } => json!({"job_name": hidden(job)}),
            _ => json!({}),
        };
        match extra {
            Json::Object(extra) => extra,
            _ => Map::new(),
        }
    }

    /// Project and commit of a file; a remote file and a template have none.
    fn context(&self, number: usize) -> Option<(String, Option<String>)> {
        let root = || {
            let sha = self.files.sha.as_ref().map(ToString::to_string);
            Some((self.files.project.full_path.clone(), sha))
        };
        match self.list.get(number)?.asked.as_ref() {
            None | Some(Request::Artifact { .. }) => root(),
            Some(asked @ (Request::File { .. } | Request::Component(_))) => {
                let place = self.reading.places.get(asked)?;
                Some((place.project.clone(), Some(place.sha.to_string())))
            }
            Some(_) => None,
        }
    }

    fn url(&self, view: &str, place: &Place) -> String {
        let path = utf8_percent_encode(&place.path, IN_PATH);
        format!(
            "{}/{}/-/{view}/{}/{path}",
            self.server.url, place.project, place.sha
        )
    }
}
