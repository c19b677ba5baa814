//! A whole list: sorted so that a variable comes after those it refers to, each expanded once.

use std::collections::HashMap;

use super::{
    Variable,
    reference::{Replacement, references, replace},
};

/// How a list is expanded.
#[derive(Debug, Clone, Copy)]
pub struct SortOptions {
    /// Unknown references stay; otherwise they vanish.
    pub keep_undefined: bool,
    /// References to raw variables are replaced.
    pub expand_raw_refs: bool,
    /// References to file variables are replaced.
    pub expand_file_refs: bool,
}

impl Default for SortOptions {
    fn default() -> Self {
        Self {
            keep_undefined: true,
            expand_raw_refs: true,
            expand_file_refs: true,
        }
    }
}

/// Why a list cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// Variables that refer to each other in a circle.
    #[error("circular variable reference detected: {0:?}")]
    Circle(Vec<String>),
    /// Each may double what it refers to, so a few short ones could fill the memory.
    #[error(
        "variables are too large when they are expanded: more than {MAX_EXPANDED} bytes up to {0:?}"
    )]
    TooLarge(String),
}

/// Bytes of all values of a list that refer to others, when they are expanded.
const MAX_EXPANDED: usize = 4 << 20;

/// The order in which variables can be expanded: each after those it refers to.
///
/// # Errors
/// The names of a circle, where a variable that refers only to itself is none; or that the values would grow too large.
pub fn sorted(variables: &[Variable]) -> Result<Vec<usize>, CollectionError> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, variable) in variables.iter().enumerate() {
        by_name.entry(&variable.key).or_default().push(index);
    }
    let edges: Vec<Vec<usize>> = variables
        .iter()
        .enumerate()
        .map(|(index, variable)| {
            if variable.raw {
                return Vec::new();
            }
            // A variable that refers to its own name means the values below it.
            let own = variable.key.as_str();
            references(&variable.value)
                .filter_map(|name| Some((name, by_name.get(name)?)))
                .flat_map(|(name, found)| {
                    found.iter().filter(move |at| name != own || **at < index)
                })
                .copied()
                .collect()
        })
        .collect();
    let components = strong_components(&edges);
    match components.iter().find(|component| component.len() > 1) {
        Some(circle) => {
            let mut names: Vec<usize> = circle.clone();
            names.sort_unstable();
            Err(CollectionError::Circle(
                names
                    .into_iter()
                    .map(|index| variables[index].key.clone())
                    .collect(),
            ))
        }
        None => {
            let order: Vec<usize> = components.into_iter().flatten().collect();
            within_budget(variables, &by_name, &order)?;
            Ok(order)
        }
    }
}

/// Adds up what each variable grows to, without expanding it.
fn within_budget(
    variables: &[Variable],
    by_name: &HashMap<&str, Vec<usize>>,
    order: &[usize],
) -> Result<(), CollectionError> {
    let mut sizes = vec![0_usize; variables.len()];
    let mut growth = Growth::default();
    for index in order.iter().copied() {
        let variable = &variables[index];
        let size = growth.of(&variable.value, variable.raw, |name| {
            // Of several values of a name one counts; which does not matter here.
            let found = by_name.get(name).into_iter().flatten();
            let largest = found.filter(|at| **at != index).map(|at| sizes[*at]).max();
            largest.unwrap_or(0)
        });
        sizes[index] = size.ok_or_else(|| CollectionError::TooLarge(variable.key.clone()))?;
    }
    Ok(())
}

/// What values grow to when they are expanded, added up without expanding them. A value that refers to nothing does not grow.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    total: usize,
}

impl Growth {
    /// Bytes of a value when it is expanded, by those of the variables that it refers to; `None` when all of them together are too many.
    pub(crate) fn of(
        &mut self,
        value: &str,
        raw: bool,
        referred: impl Fn(&str) -> usize,
    ) -> Option<usize> {
        let mut names = references(value).peekable();
        if raw || names.peek().is_none() {
            return Some(value.len());
        }
        let size = names.map(referred).fold(value.len(), usize::saturating_add);
        self.total = self.total.saturating_add(size);
        (self.total <= MAX_EXPANDED).then_some(size)
    }
}

/// Strongly connected components, what is referred to first (Tarjan, without recursion).
pub fn strong_components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut number = vec![NEW; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut on_stack = vec![false; edges.len()];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for start in 0..edges.len() {
        if number[start] != NEW {
            continue;
        }
        let mut calls = vec![(start, 0)];
        while let Some((node, edge)) = calls.pop() {
            if edge == 0 {
                number[node] = next;
                low[node] = next;
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(target) = edges[node].get(edge).copied() {
                calls.push((node, edge + 1));
                if number[target] == NEW {
                    calls.push((target, 0));
                } else if on_stack[target] {
                    low[node] = low[node].min(number[target]);
                }
                continue;
            }
            if low[node] == number[node] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                found.push(component);
            }
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    found
}

/// Expands every variable of a list, in the list's own order.
///
/// # Errors
/// [`CollectionError`]; the caller keeps the original list then.
pub fn sort_and_expand(
    variables: &[Variable],
    options: SortOptions,
) -> Result<Vec<Variable>, CollectionError> {
    let order = sorted(variables)?;
    let mut expanded = variables.to_vec();
    let mut done: HashMap<String, usize> = HashMap::new();
    for index in order {
        if !variables[index].raw {
            let own = variables[index].key.as_str();
            let value = replace(&variables[index].value, |name| match done.get(name) {
                None if name == own || options.keep_undefined => Replacement::Keep,
                None => Replacement::Text(String::new()),
                Some(at) if name == own && *at > index => Replacement::Keep,
                Some(at) => {
                    let other: &Variable = &expanded[*at];
                    let stays = (other.raw && !options.expand_raw_refs)
                        || (other.file && !options.expand_file_refs);
                    if stays {
                        Replacement::Keep
                    } else {
                        Replacement::Text(other.value.clone())
                    }
                }
            });
            expanded[index].value = value;
        }
        // Later entries of a name win.
        let newest = done
            .get(own_key(variables, index))
            .is_none_or(|at| *at < index);
        if newest {
            done.insert(variables[index].key.clone(), index);
        }
    }
    Ok(expanded)
}

fn own_key(variables: &[Variable], index: usize) -> &str {
    &variables[index].key
}
