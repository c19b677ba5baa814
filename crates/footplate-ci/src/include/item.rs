//! The items of an `include` as files that are wanted (`ci-yaml.md §4.1`).

use super::{
    Halt, Includer, Outcome, Purpose, fault,
    kind::{Kind, list},
    location::is_address,
    options::{self, cache_seconds, present},
    scope::Scope,
    wildcard,
};
use crate::{
    ask::{Answer, Origin, Request},
    check::json,
    inputs::shown,
    variables::{DirectOptions, expand_existing},
    yaml::{Map, Node},
};

/// One file.
pub(super) struct Wanted<'n> {
    /// The item that wants it.
    pub item: &'n Node,
    /// How it is named.
    pub kind: Kind,
    /// Its path, address or name; variables are expanded.
    pub location: String,
    /// What has to be told.
    pub request: Request,
    /// Inputs for it.
    pub inputs: Option<&'n Map>,
    /// `integrity` of a remote file.
    pub integrity: Option<&'n str>,
    /// What is wrong with it. It is told only when no file before it has a fault, and none beneath any.
    pub fault: Option<String>,
}

impl Includer<'_> {
    /// The files that items name, those without `rules` that hold left out.
    ///
    /// # Errors
    /// Missing answers, or the first item that names nothing.
    pub(super) fn wanted<'n>(
        &mut self,
        items: &'n [Node],
        scope: &Scope,
        purpose: Purpose,
    ) -> Outcome<Vec<Wanted<'n>>> {
        let items = || items.iter().filter(|item| !item.is_null());
        for item in items() {
            match item.as_map().map(options::fault) {
                Some(Some((node, message))) => {
                    return fault(node.span, format!("include config {message}"));
                }
                Some(None) => {}
                None if item.as_str().is_some() => {}
                None => return fault(item.span, "Each include must be a hash or a string"),
            }
        }
        let (mut wanted, mut missing) = (Vec::new(), false);
        for item in items() {
            let found = match self.lets_in(item, scope) {
                Ok(false) => Ok(Vec::new()),
                Ok(true) => self.files_of(item, scope, purpose),
                Err(halt) => Err(halt),
            };
            match found {
                Ok(files) => wanted.extend(files),
                // What the other items need is asked for in the same breath.
                Err(Halt::Missing) => missing = true,
                Err(halt) if !missing => return Err(halt),
                Err(_) => {}
            }
        }
        if missing {
            Err(Halt::Missing)
        } else {
            Ok(wanted)
        }
    }

    fn expanded(&self, text: &str, scope: &Scope) -> String {
        expand_existing(text, self.variables(scope), DirectOptions::default())
            .unwrap_or_else(|_| text.to_owned())
    }

    fn files_of<'n>(
        &mut self,
        item: &'n Node,
        scope: &Scope,
        purpose: Purpose,
    ) -> Outcome<Vec<Wanted<'n>>> {
        let Some(map) = item.as_map() else {
            let location = self.expanded(item.as_str().unwrap_or_default(), scope);
            if location.trim().is_empty() {
                return self.no_key(item, &format!("{{\"local\":{location:?}}}"), purpose);
            }
            let kind = if is_address(&location) {
                Kind::Remote
            } else {
                Kind::Local
            };
            return self.locate(item, kind, location, scope);
        };
        let known: &[Kind] = match purpose {
            Purpose::Configuration => &Kind::ALL,
            Purpose::Inputs => &Kind::OF_HEADERS,
        };
        let named: Vec<(Kind, &Node)> = known
            .iter()
            .filter_map(|kind| {
                map.get(kind.key())
                    .filter(|node| present(node))
                    .map(|node| (*kind, node))
            })
            .collect();
        match named.as_slice() {
            [] => self.no_key(item, &json(item).to_string(), purpose),
            [(Kind::Project, project)] => self.project_files(item, map, project, scope),
            [(kind, location)] if location.as_str().is_some() => {
                let location = self.expanded(location.as_str().unwrap_or_default(), scope);
                self.locate(item, *kind, location, scope)
            }
            [(kind, location)] => Ok(vec![self.not_text(item, *kind, &shown(location))]),
            _ => fault(
                item.span,
                format!("Each include must use only one of: {}", list(known)),
            ),
        }
    }

    fn no_key<'n>(
        &self,
        item: &'n Node,
        written: &str,
        purpose: Purpose,
    ) -> Outcome<Vec<Wanted<'n>>> {
        let (what, known): (_, &[Kind]) = match purpose {
            Purpose::Configuration => ("include", &Kind::ALL),
            Purpose::Inputs => ("header include", &Kind::OF_HEADERS),
        };
        let message = format!(
            "`{}` does not have a valid subkey for {what}. Valid subkeys are: {}",
            self.masked(written),
            list(known)
        );
        fault(item.span, message)
    }

    fn not_text<'n>(&self, item: &'n Node, kind: Kind, location: &str) -> Wanted<'n> {
        let message = format!(
            "Included file `{}` needs to be a string",
            self.masked(location)
        );
        Wanted {
            fault: Some(message),
            ..wanted(
                item,
                kind,
                location.to_owned(),
                Request::Template(String::new()),
            )
        }
    }

    /// One file of a kind, or all that a wildcard stands for.
    fn locate<'n>(
        &mut self,
        item: &'n Node,
        kind: Kind,
        location: String,
        scope: &Scope,
    ) -> Outcome<Vec<Wanted<'n>>> {
        let map = item.as_map();
        let request = match kind {
            Kind::Local | Kind::Project => return self.local(item, &location, scope),
            Kind::Remote => Request::Remote {
                url: location.clone(),
                cache_seconds: map.and_then(cache_seconds),
            },
            Kind::Template => Request::Template(location.clone()),
            Kind::Component => Request::Component(location.clone()),
            Kind::Artifact => Request::Artifact {
                job: self.expanded(
                    &map.and_then(|map| map.get("job"))
                        .map(shown)
                        .unwrap_or_default(),
                    scope,
                ),
                path: location.clone(),
            },
        };
        Ok(vec![wanted(item, kind, location, request)])
    }

    fn local<'n>(
        &mut self,
        item: &'n Node,
        location: &str,
        scope: &Scope,
    ) -> Outcome<Vec<Wanted<'n>>> {
        let location = location.trim_start_matches('/');
        let one = |path: &str| {
            let request = Request::File {
                origin: scope.origin.clone(),
                path: path.to_owned(),
            };
            wanted(item, Kind::Local, path.to_owned(), request)
        };
        if !location.contains('*') || !scope.has_project {
            return Ok(vec![one(location)]);
        }
        let request = Request::Paths(scope.origin.clone());
        let answer = self.answers.get(request).ok_or(Halt::Missing)?;
        match &*answer {
            Answer::Paths(paths) => Ok(wildcard::matching(location, paths)
                .into_iter()
                .map(|path| one(path))
                .collect()),
            Answer::Problem(message) => fault(item.span, self.masked(message)),
            Answer::Text(_) | Answer::Component(_) | Answer::Unknown => Ok(Vec::new()),
        }
    }

    fn project_files<'n>(
        &mut self,
        item: &'n Node,
        map: &'n Map,
        project: &Node,
        scope: &Scope,
    ) -> Outcome<Vec<Wanted<'n>>> {
        // A list was once allowed here; its first entry counts.
        let project = project.as_seq().and_then(<[_]>::first).unwrap_or(project);
        let text = |node: &Node| self.expanded(&shown(node), scope);
        let origin = Origin {
            project: Some(text(project).trim_matches('/').to_owned()),
            git_ref: map.get("ref").filter(|node| present(node)).map(text),
        };
        let Some(file) = map.get("file") else {
            return Ok(Vec::new());
        };
        let files = file.as_seq().unwrap_or_else(|| std::slice::from_ref(file));
        Ok(files
            .iter()
            .map(|file| {
                if file.as_str().is_none() {
                    return self.not_text(item, Kind::Project, &shown(file));
                }
                let path = text(file).trim_start_matches('/').to_owned();
                let request = Request::File {
                    origin: origin.clone(),
                    path: path.clone(),
                };
                wanted(item, Kind::Project, path, request)
            })
            .collect())
    }
}

fn wanted(item: &Node, kind: Kind, location: String, request: Request) -> Wanted<'_> {
    let map = item.as_map();
    Wanted {
        item,
        kind,
        location,
        request,
        inputs: map.and_then(|map| map.get("inputs")).and_then(Node::as_map),
        integrity: map
            .and_then(|map| map.get("integrity"))
            .and_then(Node::as_str),
        fault: None,
    }
}
