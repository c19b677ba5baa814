//! `$[[ … ]]` in the parsed tree; a scalar of exactly one block keeps the input's type (`ci-yaml.md §3.4`).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use regex::Regex;

use super::{
    fault::{Fault, HeaderError},
    functions,
    shown::shown,
};
use crate::{
    suggest::did_you_mean,
    variables::Variable,
    yaml::{Limits, Map, Node, Value, YamlError},
};

/// Bytes of the part of a block that names a value.
const MAX_ACCESS: usize = 1024;
/// Names in it.
const MAX_NAMES: usize = 5;
const MAX_NODE: usize = 1 << 20;
const MAX_NODES: usize = 500_000;
const MAX_FUNCTIONS: usize = 3;
/// Different blocks in one file.
const MAX_BLOCKS: usize = 10_000;
/// What a node costs, as it does when it is read.
const NODE_COST: usize = 40;

/// A block has at least two characters, and stands on one line but for the white space at its ends.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\[\[[ \t\r\n\f]*(?P<data>[^ \t\r\n\f].*?[^ \t\r\n\f])[ \t\r\n\f]*\]\]")
        .unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
});

/// What blocks may refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'k> {
    /// Final values of the inputs.
    pub inputs: &'k Map,
    /// Facts of the component that the file asked for.
    pub component: &'k Map,
    /// Variables, for `expand_vars`.
    pub variables: &'k [Variable],
}

/// Replaces every block of the tree by what it stands for.
///
/// # Errors
/// GitLab's messages for the first block that cannot be replaced, or that the result is too big.
pub(crate) fn interpolate(
    node: &Node,
    known: Known<'_>,
    limits: Limits,
) -> Result<Node, HeaderError> {
    let mut filler = Filler {
        known,
        limits,
        blocks: HashMap::new(),
        nodes: 0,
        spent: 0,
    };
    Ok(filler.node(node)?.unwrap_or_else(|| node.clone()))
}

struct Filler<'k> {
    known: Known<'k>,
    limits: Limits,
    /// What each block stands for, with its cost.
    blocks: HashMap<String, (Node, usize)>,
    nodes: usize,
    spent: usize,
}

impl Filler<'_> {
    /// The node with its blocks replaced; `None` when there are none in it.
    fn node(&mut self, node: &Node) -> Result<Option<Node>, HeaderError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(message(node, "config too large"));
        }
        let value = match &node.value {
            Value::Str(text) | Value::Symbol(text) => return self.text(node, text),
            Value::Seq(items) => self.list(items)?.map(|items| Value::Seq(items.into())),
            Value::Map(map) => self.map(map)?.map(|map| Value::Map(Arc::new(map))),
            Value::Reference(argument) => self
                .node(argument)?
                .map(|argument| Value::Reference(Arc::new(argument))),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Binary(_) => {
                None
            }
        };
        self.spend(NODE_COST)?;
        Ok(value.map(|value| Node::new(value, node.span)))
    }

    fn list(&mut self, items: &[Node]) -> Result<Option<Vec<Node>>, HeaderError> {
        let mut changed: Option<Vec<Node>> = None;
        for (at, item) in items.iter().enumerate() {
            let new = self.node(item)?;
            match (&mut changed, new) {
                (Some(list), new) => list.push(new.unwrap_or_else(|| item.clone())),
                (None, Some(new)) => {
                    let mut list = items[..at].to_vec();
                    list.push(new);
                    changed = Some(list);
                }
                (None, None) => {}
            }
        }
        Ok(changed)
    }

    fn map(&mut self, map: &Map) -> Result<Option<Map>, HeaderError> {
        let mut filled = Vec::with_capacity(map.len());
        let mut changed = false;
        for entry in map.iter() {
            let key = self.node(&entry.key)?.map(|key| match key.value {
                Value::Str(_) | Value::Symbol(_) => key,
                _ => Node::new(Value::Str(shown(&key).into()), key.span),
            });
            let value = self.node(&entry.value)?;
            changed |= key.is_some() || value.is_some();
            filled.push((key, value));
        }
        if !changed {
            return Ok(None);
        }
        let mut out = Map::default();
        for (entry, (key, value)) in map.iter().zip(filled) {
            out.insert(
                key.unwrap_or_else(|| entry.key.clone()),
                value.unwrap_or_else(|| entry.value.clone()),
            );
        }
        Ok(Some(out))
    }

    fn text(&mut self, node: &Node, text: &str) -> Result<Option<Node>, HeaderError> {
        if text.len() > MAX_NODE {
            return Err(message(node, "config node too large"));
        }
        if !text.contains("$[[") {
            self.spend(NODE_COST + text.len())?;
            return Ok(None);
        }
        let (mut out, mut copied) = (String::new(), 0);
        for found in BLOCK.captures_iter(text) {
            let (whole, data) = (found.get_match(), &found["data"]);
            if later(data) {
                continue;
            }
            let (value, cost) = self.block(node, whole.as_str(), data)?;
            if whole.len() == text.len() {
                self.spend(cost)?;
                return Ok(Some(Node::new(value.value, node.span)));
            }
            let value = shown(&value);
            self.spend(whole.start() - copied + value.len())?;
            out.push_str(&text[copied..whole.start()]);
            out.push_str(&value);
            copied = whole.end();
        }
        self.spend(NODE_COST + text.len() - copied)?;
        if copied == 0 {
            return Ok(None);
        }
        out.push_str(&text[copied..]);
        Ok(Some(Node::new(Value::Str(out.into()), node.span)))
    }

    fn spend(&mut self, cost: usize) -> Result<(), HeaderError> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limits.bytes {
            Err(YamlError::TooBig.into())
        } else {
            Ok(())
        }
    }

    fn block(
        &mut self,
        node: &Node,
        whole: &str,
        data: &str,
    ) -> Result<(Node, usize), HeaderError> {
        if let Some(known) = self.blocks.get(whole) {
            return Ok(known.clone());
        }
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(message(node, "too many interpolation blocks"));
        }
        let value = evaluate(data, self.known).map_err(|(messages, help)| {
            let place = |message| Fault::at(node.span, message);
            let faults = messages.into_iter().map(place).collect();
            HeaderError::Message(Fault {
                block: Some(whole.to_owned()),
                ..Fault::joined(faults).with_help(help)
            })
        })?;
        let found = (value.clone(), cost(&value));
        self.blocks.insert(whole.to_owned(), found.clone());
        Ok(found)
    }
}

fn message(node: &Node, text: &str) -> HeaderError {
    HeaderError::Message(Fault::at(node.span, text))
}

/// Filled in when the matrix of the job is known, or when the job is sent to a runner.
fn later(data: &str) -> bool {
    data.starts_with("matrix.") || data.starts_with("job.")
}

fn cost(node: &Node) -> usize {
    NODE_COST
        + match &node.value {
            Value::Str(text) | Value::Symbol(text) => text.len(),
            Value::Seq(items) => items.iter().map(cost).sum(),
            Value::Map(map) => map
                .iter()
                .map(|entry| cost(&entry.key) + cost(&entry.value))
                .sum(),
            Value::Reference(argument) => cost(argument),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Binary(_) => 0,
        }
}

fn evaluate(data: &str, known: Known<'_>) -> Result<Node, (Vec<String>, Option<String>)> {
    let one = |message: &str| (vec![message.to_owned()], None);
    let mut parts: Vec<&str> = data.split('|').collect();
    // As Ruby splits: nothing behind the last bar is no part.
    while parts.last() == Some(&"") {
        parts.pop();
    }
    let mut parts = parts.into_iter().map(str::trim);
    let access = parts.next().unwrap_or_default();
    let value = find(access, known)?;
    let called: Vec<&str> = parts.collect();
    if called.len() > MAX_FUNCTIONS {
        return Err(one("too many functions in interpolation block"));
    }
    functions::run(&called, value.clone(), known.variables).map_err(|messages| (messages, None))
}

/// What a block names, or messages and what was probably meant.
fn find<'k>(access: &str, known: Known<'k>) -> Result<&'k Node, (Vec<String>, Option<String>)> {
    let mut messages = Vec::new();
    let names: Vec<&str> = access.splitn(MAX_NAMES, '.').collect();
    if names.len() < 2 {
        messages.push("invalid interpolation access pattern".to_owned());
    }
    if access.len() > MAX_ACCESS {
        messages.push("maximum interpolation expression size exceeded".to_owned());
    }
    if !messages.is_empty() {
        return Err((messages, None));
    }
    let near = |name: &str, map: &Map| {
        let known = map.iter().filter_map(|entry| entry.key.as_str());
        did_you_mean(name, known.filter(|known| *known != name))
    };
    let unknown = |name: &str, help: Option<String>| {
        let message = format!("unknown interpolation key: `{name}`");
        (vec![message], help)
    };
    let mut map = match names[0] {
        "inputs" => known.inputs,
        "component" => known.component,
        other => return Err(unknown(other, did_you_mean(other, ["inputs", "component"]))),
    };
    let (last, between) = names[1..].split_last().ok_or_else(|| unknown("", None))?;
    for name in between {
        map = map
            .get(name)
            .and_then(Node::as_map)
            .ok_or_else(|| unknown(between_or_last(map, name, last), near(name, map)))?;
    }
    map.get(last).ok_or_else(|| unknown(last, near(last, map)))
}

/// The name that leads nowhere: this one, or what is asked of a value that has no parts.
fn between_or_last<'n>(map: &Map, name: &'n str, last: &'n str) -> &'n str {
    if map.get(name).is_some() { last } else { name }
}
