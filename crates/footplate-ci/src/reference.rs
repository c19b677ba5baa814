//! `!reference`: values placed from elsewhere in the merged configuration (`ci-yaml.md §5.5`).

use std::{collections::HashMap, sync::Arc};

use crate::{
    suggest::did_you_mean,
    yaml::{MAX_RESOLVED, Map, Node, Span, Value, YamlError},
};

/// References inside referenced values.
const MAX_DEPTH: usize = 10;

/// Why a reference cannot be resolved, in GitLab's words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ReferenceError {
    /// GitLab's message.
    pub message: String,
    /// Where the tag stands, or the name in it that leads nowhere.
    pub span: Span,
    /// What was probably meant.
    pub help: Option<String>,
}

/// Resolves every reference of the root mapping.
///
/// # Errors
/// The first reference that cannot be resolved.
pub fn resolve(mut root: Map) -> Result<Map, ReferenceError> {
    let mut resolver = Resolver {
        root: &root,
        known: HashMap::new(),
        deepest: 0,
    };
    let mut placed = Vec::new();
    for (place, entry) in root.iter().enumerate() {
        let new = resolver.node(&entry.value, &mut Vec::new())?;
        placed.extend(new.map(|new| (place, new)));
    }
    if placed.is_empty() {
        return Ok(root);
    }
    for (place, new) in placed {
        *root.value_mut(place) = new;
    }
    let mut left = MAX_RESOLVED;
    let too_big = root
        .iter()
        .find(|entry| !entry.value.fits(&mut left))
        .map(|entry| entry.key.span);
    match too_big {
        None => Ok(root),
        Some(span) => Err(ReferenceError {
            message: YamlError::TooBig.to_string(),
            span,
            help: None,
        }),
    }
}

struct Resolver<'r> {
    root: &'r Map,
    /// What a path leads to, and how many references further it goes from there.
    known: HashMap<Vec<String>, (Node, usize)>,
    /// The longest chain since somebody set it back.
    deepest: usize,
}

impl Resolver<'_> {
    /// The node with its references replaced; `None` when there are none in it.
    fn node(
        &mut self,
        value: &Node,
        chain: &mut Vec<Span>,
    ) -> Result<Option<Node>, ReferenceError> {
        let resolved = match &value.value {
            Value::Reference(argument) => {
                return self.follow(value.span, argument, chain).map(Some);
            }
            Value::Seq(items) => {
                let mut list: Option<Vec<Node>> = None;
                for (at, item) in items.iter().enumerate() {
                    if let Some(new) = self.node(item, chain)? {
                        list.get_or_insert_with(|| items.to_vec())[at] = new;
                    }
                }
                list.map(|list| Value::Seq(list.into()))
            }
            Value::Map(map) => {
                let mut out: Option<Map> = None;
                for entry in map.iter() {
                    if let Some(new) = self.node(&entry.value, chain)? {
                        out.get_or_insert_with(|| Map::clone(map))
                            .insert(entry.key.clone(), new);
                    }
                }
                out.map(|out| Value::Map(Arc::new(out)))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Symbol(_)
            | Value::Binary(_) => None,
        };
        Ok(resolved.map(|resolved| Node::new(resolved, value.span)))
    }

    fn follow(
        &mut self,
        span: Span,
        argument: &Node,
        chain: &mut Vec<Span>,
    ) -> Result<Node, ReferenceError> {
        let fail = |what: &str| ReferenceError {
            message: format!("!reference {} {what}", inspect(argument)),
            span,
            help: None,
        };
        let path: Option<Vec<String>> = argument
            .as_seq()
            .filter(|items| !items.is_empty())
            .and_then(|items| {
                items
                    .iter()
                    .map(|item| {
                        matches!(item.value, Value::Str(_))
                            .then(|| item.as_str().map(str::to_owned))
                            .flatten()
                    })
                    .collect()
            });
        let path = path.ok_or_else(|| fail("is not valid"))?;
        // The tag that is met again is the one that is named, whoever led into the circle.
        if chain.contains(&span) {
            return Err(fail("is part of a circular chain"));
        }
        if chain.len() >= MAX_DEPTH {
            return Err(fail("is nested too deep"));
        }
        if let Some((known, further)) = self.known.get(&path)
            && chain.len() + further < MAX_DEPTH
        {
            self.deepest = self.deepest.max(chain.len() + 1 + further);
            return Ok(known.clone());
        }
        let mut target: Option<&Node> = None;
        for (at, key) in path.iter().enumerate() {
            let map = match target {
                None => Some(self.root),
                Some(node) => node.as_map(),
            };
            let found = map.and_then(|map| map.get(key));
            target = Some(found.ok_or_else(|| {
                let names = map.into_iter().flat_map(|map| map.iter());
                let names = names.filter_map(|entry| entry.key.as_str());
                ReferenceError {
                    span: argument.as_seq().map_or(span, |items| items[at].span),
                    help: did_you_mean(key, names),
                    ..fail("could not be found")
                }
            })?);
        }
        let Some(target) = target else {
            return Err(fail("could not be found"));
        };
        chain.push(span);
        let before = std::mem::replace(&mut self.deepest, chain.len());
        let resolved = self.node(target, chain);
        chain.pop();
        let resolved = resolved?.unwrap_or_else(|| target.clone());
        if resolved.is_null() {
            return Err(fail("could not be found"));
        }
        let further = self.deepest - chain.len() - 1;
        self.deepest = self.deepest.max(before);
        self.known.insert(path, (resolved.clone(), further));
        Ok(resolved)
    }
}

/// As Ruby's `inspect` prints it.
fn inspect(node: &Node) -> String {
    match &node.value {
        Value::Null => "nil".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Str(text) if text.is_empty() => "[]".to_owned(),
        Value::Str(text) => format!("{text:?}"),
        Value::Symbol(text) => format!(":{text}"),
        Value::Binary(_) => "\"\"".to_owned(),
        Value::Seq(items) => format!(
            "[{}]",
            items.iter().map(inspect).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(map) => format!(
            "{{{}}}",
            map.iter()
                .map(|entry| format!("{}=>{}", inspect(&entry.key), inspect(&entry.value)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Value::Reference(argument) => inspect(argument),
    }
}
