//! `extends`: jobs laid over the jobs they name (`ci-yaml.md §5.4`).

use std::collections::HashMap;

use crate::{
    suggest::did_you_mean,
    yaml::{MAX_RESOLVED, Map, Node, Span, YamlError},
};

/// Ancestors in a chain.
const MAX_DEPTH: usize = 10;

/// Why a chain cannot be resolved, in GitLab's words, with the place of the `extends` or of the name in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ExtendsError {
    /// GitLab's message.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What was probably meant.
    pub help: Option<String>,
}

/// Resolves every entry of the root mapping.
///
/// # Errors
/// The first chain that cannot be resolved.
pub fn resolve(root: &Map) -> Result<Map, ExtendsError> {
    let mut resolver = Resolver {
        root,
        done: HashMap::new(),
        left: MAX_RESOLVED,
    };
    root.try_map(|entry| match entry.key.as_str() {
        Some(name) if has_extends(&entry.value) => resolver
            .entry(name, &entry.value, &mut Vec::new())
            .map(|(node, _)| Some(node)),
        _ => Ok(None),
    })
}

fn has_extends(node: &Node) -> bool {
    node.as_map()
        .and_then(|map| map.get("extends"))
        .is_some_and(|extends| !extends.is_null())
}

struct Resolver<'r> {
    root: &'r Map,
    /// Results, and how many ancestors further it goes from there.
    done: HashMap<String, (Node, usize)>,
    /// Nodes that results may still have.
    left: usize,
}

impl Resolver<'_> {
    fn entry(
        &mut self,
        name: &str,
        node: &Node,
        chain: &mut Vec<String>,
    ) -> Result<(Node, usize), ExtendsError> {
        let root = self.root;
        let Some(extends) = node
            .as_map()
            .and_then(|map| map.get("extends"))
            .filter(|extends| !extends.is_null())
        else {
            return Ok((node.clone(), 0));
        };
        if let Some(known) = self.done.get(name)
            && chain.len() + known.1 <= MAX_DEPTH
        {
            return Ok(known.clone());
        }
        let fail = |message: String| ExtendsError {
            message,
            span: extends.span,
            help: None,
        };
        if chain.iter().any(|ancestor| ancestor == name) {
            return Err(fail(format!(
                "{name}: circular dependency detected in `extends`"
            )));
        }
        if chain.len() > MAX_DEPTH {
            return Err(fail(format!("{name}: nesting too deep in `extends`")));
        }
        let Some(bases) = base_names(extends) else {
            // Left to the job's own check, which words it as for any other keyword.
            return Err(fail(format!(
                "jobs:{name}:extends should be an array of strings or a string"
            )));
        };
        if let Some(error) = wrong_bases(root, name, &bases) {
            return Err(error);
        }
        chain.push(name.to_owned());
        let (mut merged, mut further): (Option<Node>, usize) = (None, 0);
        for (base, _) in bases {
            let Some(base_node) = root.get(base) else {
                continue;
            };
            let (base, ancestors) = self.entry(base, base_node, chain)?;
            if has_extends(base_node) {
                further = further.max(ancestors + 1);
            }
            // Every base costs the work of laying it down, even where nothing of it remains.
            if merged.is_some() && !base.fits(&mut self.left) {
                return Err(fail(YamlError::TooBig.to_string()));
            }
            merged = Some(match merged {
                None => base,
                Some(merged) => merged.overlaid(&base),
            });
        }
        chain.pop();
        let whole = match merged {
            None => node.clone(),
            Some(merged) => merged.overlaid(node),
        };
        if !whole.fits(&mut self.left) {
            return Err(fail(YamlError::TooBig.to_string()));
        }
        self.done.insert(name.to_owned(), (whole.clone(), further));
        Ok((whole, further))
    }
}

/// The names with their places.
fn base_names(extends: &Node) -> Option<Vec<(&str, Span)>> {
    let items = match extends.as_str() {
        Some(_) => std::slice::from_ref(extends),
        None => extends.as_seq()?,
    };
    let mut items = items.iter();
    items.try_fold(Vec::new(), |mut names, item| {
        names.push((item.as_str()?, item.span));
        Some(names)
    })
}

/// Bases that are not there, or are no mappings.
fn wrong_bases(root: &Map, name: &str, bases: &[(&str, Span)]) -> Option<ExtendsError> {
    let listed = |what: &str, wrong: &dyn Fn(&str) -> bool| {
        let wrong: Vec<&(&str, Span)> = bases.iter().filter(|(base, _)| wrong(base)).collect();
        let names: Vec<&str> = wrong.iter().map(|(base, _)| *base).collect();
        let (first, span) = wrong.first()?;
        Some((
            *first,
            *span,
            format!("{name}: {what} in `extends` ({})", names.join(", ")),
        ))
    };
    if let Some((first, span, message)) = listed("unknown keys", &|base| root.get(base).is_none()) {
        let known = root.iter().filter(|entry| entry.value.as_map().is_some());
        let known = known.filter_map(|entry| entry.key.as_str());
        let help = did_you_mean(first, known.filter(|known| *known != name));
        return Some(ExtendsError {
            message,
            span,
            help,
        });
    }
    let no_map = |base: &str| root.get(base).is_some_and(|node| node.as_map().is_none());
    let (_, span, message) = listed("invalid base hashes", &no_map)?;
    Some(ExtendsError {
        message,
        span,
        help: None,
    })
}
