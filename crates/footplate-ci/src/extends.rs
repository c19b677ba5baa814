//! `extends`: jobs laid over the jobs they name (`ci-yaml.md §5.4`).

use crate::{
    suggest::did_you_mean,
    yaml::{MAX_RESOLVED, Map, Node, Span, Value, YamlError},
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
pub fn resolve(root: Map) -> Result<Map, ExtendsError> {
    let mut resolver = Resolver {
        done: vec![None; root.len()],
        root,
        left: MAX_RESOLVED,
    };
    for place in 0..resolver.root.len() {
        resolver.entry(place, &mut Vec::new())?;
    }
    Ok(resolver.root)
}

/// What an entry extends, if anything.
fn extends_of(node: &Node) -> Option<&Node> {
    let extends = node.as_map()?.get("extends")?;
    (!extends.is_null()).then_some(extends)
}

struct Resolver {
    /// Entries, resolved as far as they are done. What an entry says itself of `extends` stays in it.
    root: Map,
    /// How many ancestors further it goes from an entry that is done.
    done: Vec<Option<u8>>,
    /// Nodes that results may still have.
    left: usize,
}

impl Resolver {
    /// Resolves an entry that `chain` leads to; how many ancestors further it goes from there.
    fn entry(&mut self, place: usize, chain: &mut Vec<usize>) -> Result<usize, ExtendsError> {
        let entry = self.root.at(place);
        let (Some(name), Some(extends)) = (entry.key.as_str(), extends_of(&entry.value)) else {
            return Ok(0);
        };
        if let Some(further) = self.done[place].map(usize::from)
            && chain.len() + further <= MAX_DEPTH
        {
            return Ok(further);
        }
        let fail = |message: String| ExtendsError {
            message,
            span: extends.span,
            help: None,
        };
        if chain.contains(&place) {
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
        if let Some(error) = wrong_bases(&self.root, name, &bases) {
            return Err(error);
        }
        let bases: Vec<usize> = bases
            .iter()
            .filter_map(|(base, _)| self.root.find(base))
            .collect();
        let span = extends.span;
        let too_big = || ExtendsError {
            message: YamlError::TooBig.to_string(),
            span,
            help: None,
        };
        chain.push(place);
        let (mut merged, mut further): (Option<Node>, usize) = (None, 0);
        for base in bases {
            let ancestors = self.entry(base, chain)?;
            let base = &self.root.at(base).value;
            if extends_of(base).is_some() {
                further = further.max(ancestors + 1);
            }
            // Every base costs the work of laying it down, even where nothing of it remains.
            if merged.is_some() && !base.fits(&mut self.left) {
                return Err(too_big());
            }
            merged = Some(match merged {
                None => base.clone(),
                Some(merged) => merged.overlaid(base.clone()),
            });
        }
        chain.pop();
        let own = self.root.value_mut(place);
        if let Some(merged) = merged {
            let over = std::mem::replace(&mut own.value, Value::Null);
            *own = merged.overlaid(Node::new(over, own.span));
        }
        if !own.fits(&mut self.left) {
            return Err(too_big());
        }
        self.done[place] = u8::try_from(further).ok();
        Ok(further)
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
