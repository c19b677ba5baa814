//! `include`: files asked for, each read with its own header, and merged in order (`ci-yaml.md §4`).

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    ask::{Answer, Answers, Origin, Request},
    check::{Check, given, json, string_list, text},
    diagnostic::{Diagnostic, SourceFile},
    globs::Glob,
    inputs::{HeaderError, load_with_inputs},
    keywords::rules::{Kind, rules},
    pipeline::{Matched, matches},
    variables::{DirectOptions, Variable, expand_existing},
    yaml::{Limits, Map, Node, Value, YamlError},
};

const MAX_INCLUDES: usize = 150;
const KINDS: [&str; 6] = [
    "local",
    "project",
    "remote",
    "template",
    "component",
    "artifact",
];

/// What an include may refer to.
pub struct IncludeContext<'c> {
    /// Variables known before the configuration is read.
    pub variables: &'c [Variable],
    /// The pipeline's project; without one there are no local files.
    pub has_project: bool,
    /// This is a child pipeline.
    pub child: bool,
    /// Budgets of each file.
    pub limits: Limits,
}

/// Reads a text and everything that it includes; `None` while answers are missing or after a fault.
pub struct Includer<'c> {
    /// What may be referred to.
    pub context: IncludeContext<'c>,
    /// Answers.
    pub answers: &'c mut Answers,
    /// Faults.
    pub check: &'c mut Check,
    /// Files so far, by number.
    pub files: Vec<SourceFile>,
    count: usize,
}

impl<'c> Includer<'c> {
    /// Begins with the root file.
    pub fn new(
        context: IncludeContext<'c>,
        answers: &'c mut Answers,
        check: &'c mut Check,
    ) -> Self {
        Self {
            context,
            answers,
            check,
            files: vec![SourceFile::root()],
            count: 0,
        }
    }

    /// The merged tree of a file and its includes.
    pub fn expand(&mut self, node: &Node, origin: &Origin) -> Option<Node> {
        let Some(include) = node.as_map().and_then(|map| given(map, "include")) else {
            return Some(without_include(node));
        };
        let items = include
            .as_seq()
            .unwrap_or_else(|| std::slice::from_ref(include));
        let mut merged = Node::new(Value::Map(Arc::new(Map::default())), node.span);
        let mut complete = true;
        for item in items {
            match self.item(item, origin) {
                Some(nodes) => nodes
                    .iter()
                    .for_each(|included| merged = merged.deep_merge(included)),
                None => complete = false,
            }
        }
        complete.then(|| merged.deep_merge(&without_include(node)))
    }

    fn fail<T>(&mut self, node: &Node, message: impl Into<String>) -> Option<T> {
        self.check.error(node.span, message);
        None
    }

    fn item(&mut self, item: &Node, origin: &Origin) -> Option<Vec<Node>> {
        if let Some(location) = item.as_str() {
            let remote = location.starts_with("http://") || location.starts_with("https://");
            let location = self.expanded(location);
            return if remote {
                self.remote(item, &location, &Map::default(), origin)
            } else {
                self.local(item, &location, &Map::default(), origin)
            };
        }
        let Some(map) = item.as_map() else {
            return self.fail(
                item,
                format!(
                    "include config should be a hash or a string, not {}",
                    text(item)
                ),
            );
        };
        let kinds: Vec<&str> = KINDS
            .into_iter()
            .filter(|kind| given(map, kind).is_some())
            .collect();
        let [kind] = kinds.as_slice() else {
            let list = KINDS.map(|kind| format!("`{kind}`")).join(", ");
            let message = if kinds.is_empty() {
                format!(
                    "`{}` does not have a valid subkey for include. Valid subkeys are: {list}",
                    json(item)
                )
            } else {
                format!("Each include must use only one of: {list}")
            };
            return self.fail(item, message);
        };
        if !self.lets_in(map, origin)? {
            return Some(Vec::new());
        }
        let empty = Map::default();
        let inputs = given(map, "inputs")
            .and_then(Node::as_map)
            .unwrap_or(&empty);
        let Some(location) = given(map, kind).and_then(Node::as_str).map(str::to_owned) else {
            return self.fail(item, format!("include {kind} should be a string"));
        };
        let location = self.expanded(&location);
        match *kind {
            "local" => self.local(item, &location, inputs, origin),
            "project" => self.project(item, map, &location, inputs),
            "remote" => self.remote(item, &location, inputs, origin),
            "template" => self.one(
                item,
                Request::Template(location.clone()),
                &location,
                inputs,
                origin,
            ),
            "component" => self.one(
                item,
                Request::Component(location.clone()),
                &location,
                inputs,
                origin,
            ),
            _ if !self.context.child => self.fail(
                item,
                "Including configs from artifacts is only allowed when triggering child pipelines",
            ),
            _ if given(map, "job").is_none() => self.fail(
                item,
                "Job must be provided when including configs from artifacts",
            ),
            _ => {
                let job = given(map, "job").map(text).unwrap_or_default();
                let job = self.expanded(&job);
                let request = Request::Artifact {
                    job,
                    path: location.clone(),
                };
                self.one(item, request, &location, inputs, origin)
            }
        }
    }

    fn expanded(&self, location: &str) -> String {
        expand_existing(location, self.context.variables, DirectOptions::default())
            .unwrap_or_else(|_| location.to_owned())
    }

    /// `rules` of an include; `None` while answers are missing or after a fault.
    fn lets_in(&mut self, map: &Map, origin: &Origin) -> Option<bool> {
        let Some(node) = given(map, "rules") else {
            return Some(true);
        };
        let before = self.check.errors.len();
        let list = rules(self.check, "include:rules", node, Kind::Include)?;
        if self.check.errors.len() > before {
            return None;
        }
        for rule in &list {
            match matches(
                rule,
                self.context.variables,
                origin,
                self.answers,
                "include",
            ) {
                Matched::Missing => return None,
                Matched::Failed(message) => return self.fail(node, message),
                Matched::No(_) => {}
                Matched::Yes(_) => return Some(rule.when.as_deref() != Some("never")),
            }
        }
        Some(false)
    }

    fn local(
        &mut self,
        item: &Node,
        location: &str,
        inputs: &Map,
        origin: &Origin,
    ) -> Option<Vec<Node>> {
        let path = location.trim_start_matches('/');
        if !self.context.has_project {
            return self.fail(item, format!("Local file `{path}` does not have project!"));
        }
        if path.is_empty() {
            return self.fail(item, "must specify the file where to fetch the config from");
        }
        if !path.contains('*') {
            return self.one(
                item,
                Request::File {
                    origin: origin.clone(),
                    path: path.to_owned(),
                },
                path,
                inputs,
                origin,
            );
        }
        let answer = self.answers.get(Request::Paths(origin.clone()))?;
        let Answer::Paths(paths) = &*answer else {
            return Some(Vec::new());
        };
        let glob = wildcard(path);
        let found: Vec<&String> = paths
            .iter()
            .filter(|path| glob.iter().any(|glob| glob.matches(path)))
            .collect();
        let nodes: Vec<Option<Vec<Node>>> = found
            .into_iter()
            .map(|path| {
                self.one(
                    item,
                    Request::File {
                        origin: origin.clone(),
                        path: path.clone(),
                    },
                    path,
                    inputs,
                    origin,
                )
            })
            .collect();
        nodes
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|nodes| nodes.into_iter().flatten().collect())
    }

    fn project(
        &mut self,
        item: &Node,
        map: &Map,
        project: &str,
        inputs: &Map,
    ) -> Option<Vec<Node>> {
        let git_ref = given(map, "ref")
            .map(text)
            .map(|git_ref| self.expanded(&git_ref));
        let origin = Origin {
            project: Some(project.trim_matches('/').to_owned()),
            git_ref,
        };
        let files = match given(map, "file") {
            Some(file) => file
                .as_str()
                .map(|file| vec![file.to_owned()])
                .or_else(|| string_list(file)),
            None => None,
        };
        let Some(files) = files else {
            return self.fail(item, "must specify the file where to fetch the config from");
        };
        let nodes: Vec<Option<Vec<Node>>> = files
            .iter()
            .map(|file| {
                let path = self.expanded(file).trim_start_matches('/').to_owned();
                self.one(
                    item,
                    Request::File {
                        origin: origin.clone(),
                        path: path.clone(),
                    },
                    &path,
                    inputs,
                    &origin,
                )
            })
            .collect();
        nodes
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|nodes| nodes.into_iter().flatten().collect())
    }

    fn remote(
        &mut self,
        item: &Node,
        location: &str,
        inputs: &Map,
        origin: &Origin,
    ) -> Option<Vec<Node>> {
        self.one(
            item,
            Request::Remote {
                url: location.to_owned(),
                cache_seconds: None,
            },
            location,
            inputs,
            origin,
        )
    }

    /// One file with its own includes.
    fn one(
        &mut self,
        item: &Node,
        request: Request,
        location: &str,
        inputs: &Map,
        origin: &Origin,
    ) -> Option<Vec<Node>> {
        let component = matches!(request, Request::Component(_));
        if !component && !location.ends_with(".yml") && !location.ends_with(".yaml") {
            return self.fail(
                item,
                format!("Included file `{location}` does not have YAML extension!"),
            );
        }
        self.count += 1;
        if self.count > MAX_INCLUDES {
            return if self.count == MAX_INCLUDES + 1 {
                self.fail(
                    item,
                    format!("Maximum of {MAX_INCLUDES} nested includes are allowed!"),
                )
            } else {
                None
            };
        }
        let asked = request.clone();
        let answer = self.answers.get(request)?;
        let content = match &*answer {
            Answer::Text(text) => text,
            Answer::Problem(message) => {
                return self.fail(item, in_place(item, location, message));
            }
            Answer::Component(file) => &file.text,
            Answer::Paths(_) | Answer::Unknown => {
                return self.fail(item, format!("Included file `{location}` does not exist!"));
            }
        };
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(SourceFile {
            name: location.to_owned(),
            project: origin.project.clone(),
            included_at: Some(item.span),
            asked: Some(asked),
            by_project: item
                .as_map()
                .is_some_and(|map| map.get("project").is_some()),
        });
        match load_with_inputs(
            content,
            number,
            inputs,
            self.context.variables,
            self.context.limits,
        ) {
            Ok(node) => self.expand(&node, origin).map(|node| vec![node]),
            Err(HeaderError::Yaml(YamlError::TooBig)) => {
                self.fail(item, "The parsed YAML is too big")
            }
            Err(HeaderError::Yaml(YamlError::Syntax { at, .. })) => {
                let span = at.map_or(item.span, |(line, column)| crate::yaml::Span {
                    file: number,
                    line,
                    column,
                });
                self.check.errors.push(Diagnostic::new(
                    format!("Included file `{location}` does not have valid YAML syntax!"),
                    span,
                ));
                None
            }
            Err(HeaderError::Message(message)) => {
                self.fail(item, format!("`{location}`: {message}"))
            }
        }
    }
}

/// A file of another project that was included from there as a local one is called a local file.
fn in_place(item: &Node, location: &str, message: &str) -> String {
    let by_project = item
        .as_map()
        .is_some_and(|map| map.get("project").is_some());
    let ending = ["does not exist!", "is empty!"].into_iter().find(|ending| {
        message.starts_with("Project `") && message.ends_with(&format!("` {ending}"))
    });
    match ending {
        Some(ending) if !by_project && message.contains("` file `") => {
            format!("Local file `{location}` {ending}")
        }
        Some(_) | None => message.to_owned(),
    }
}

/// `**.yml` goes down, `**/*.yml` leaves the top folder out (`ci-yaml.md §4.2`).
fn wildcard(path: &str) -> Vec<Glob> {
    if let Some((folder, rest)) = path.split_once("**/") {
        return vec![Glob::new(&format!("{folder}*/**/{rest}"))];
    }
    match path.split_once("**") {
        Some((folder, rest)) => vec![Glob::new(&format!("{folder}**/*{rest}"))],
        None => vec![Glob::new(path)],
    }
}

fn without_include(node: &Node) -> Node {
    let Some(map) = node.as_map() else {
        return node.clone();
    };
    let mut map = map.clone();
    map.remove("include");
    Node::new(Value::Map(Arc::new(map)), node.span)
}

/// The inputs of a pipeline as a mapping.
pub fn inputs_from_json(inputs: &serde_json::Map<String, Json>) -> Map {
    fn node(value: &Json) -> Node {
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => number.as_i64().map_or_else(
                || Value::Float(number.as_f64().unwrap_or_default()),
                |number| Value::Int(number.into()),
            ),
            Json::String(text) => Value::Str(text.as_str().into()),
            Json::Array(items) => Value::Seq(Arc::new(items.iter().map(node).collect())),
            Json::Object(map) => Value::Map(Arc::new(inputs_from_json(map))),
        };
        Node::new(value, crate::yaml::Span::default())
    }
    let mut map = Map::default();
    for (key, value) in inputs {
        map.insert(
            Node::new(
                Value::Str(key.as_str().into()),
                crate::yaml::Span::default(),
            ),
            node(value),
        );
    }
    map
}
