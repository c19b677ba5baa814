//! `parallel`: numbers and matrices (`ci-yaml.md §14`).

use crate::{
    check::{Check, text},
    yaml::{Map, Node, Value},
};

const MAX_JOBS: usize = 200;

/// What `parallel` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parallel {
    /// So many copies.
    Number(usize),
    /// One job for each row of name and value.
    Matrix(Vec<Vec<(String, String)>>),
}

impl Parallel {
    /// How many jobs.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(count) => *count,
            Self::Matrix(rows) => rows.len(),
        }
    }

    /// Never: a faulty `parallel` is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of an instance, counted from 0.
    pub fn name(&self, base: &str, index: usize) -> String {
        match self {
            Self::Number(count) => format!("{base} {}/{count}", index + 1),
            Self::Matrix(rows) => format!(
                "{base}: [{}]",
                rows[index]
                    .iter()
                    .map(|(_, value)| value.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }
}

/// `parallel` of a job; `bridge` = matrices only.
pub fn parallel(check: &mut Check, at: &str, node: &Node, bridge: bool) -> Option<Parallel> {
    match &node.value {
        Value::Int(_) if bridge => {
            check.error(
                node.span,
                format!("{at} config cannot use \"parallel: <number>\"."),
            );
            None
        }
        Value::Int(count) if *count < 1 => {
            check.error(
                node.span,
                format!("{at} config must be greater than or equal to 1"),
            );
            None
        }
        Value::Int(count) if *count > 200 => {
            check.error(
                node.span,
                format!("{at} config must be less than or equal to 200"),
            );
            None
        }
        Value::Int(count) => usize::try_from(*count).ok().map(Parallel::Number),
        Value::Map(map) => matrix_of(check, at, node, map).map(Parallel::Matrix),
        _ => {
            check.error(node.span, format!("{at} should be an integer or a hash"));
            None
        }
    }
}

/// `{matrix: […]}` as its rows, the first variable varying slowest.
pub fn matrix_of(
    check: &mut Check,
    at: &str,
    node: &Node,
    map: &Map,
) -> Option<Vec<Vec<(String, String)>>> {
    check.unknown_keys(at, map, &["matrix"]);
    let Some(matrix) = map.get("matrix") else {
        check.error(
            node.span,
            format!("{at} config missing required keys: matrix"),
        );
        return None;
    };
    let at = format!("{at}:matrix");
    let fail = |check: &mut Check| {
        check.error(
            matrix.span,
            format!("{at} config should be an array of hashes"),
        );
        None
    };
    let Some(items) = matrix.as_seq() else {
        return fail(check);
    };
    let mut rows = Vec::new();
    for item in items {
        let Some(map) = item.as_map() else {
            return fail(check);
        };
        match product(map) {
            Some(product) => rows.extend(product),
            None => {
                check.error(item.span, format!("{at}:variables config should be a hash of key value pairs, value can be an array"));
                return None;
            }
        }
        if rows.len() > MAX_JOBS {
            check.error(
                matrix.span,
                format!("{at} config generates too many jobs (maximum is {MAX_JOBS})"),
            );
            return None;
        }
    }
    Some(rows)
}

fn product(map: &Map) -> Option<Vec<Vec<(String, String)>>> {
    let mut rows = vec![Vec::new()];
    if map.is_empty() {
        return None;
    }
    for entry in map.iter() {
        let name = text(&entry.key);
        let scalar = |node: &Node| {
            matches!(
                node.value,
                Value::Str(_) | Value::Symbol(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_)
            )
            .then(|| text(node))
        };
        let values: Vec<String> = match entry.value.as_seq() {
            Some(items) => items.iter().map(scalar).collect::<Option<_>>()?,
            None => vec![scalar(&entry.value)?],
        };
        if rows.len().saturating_mul(values.len()) > MAX_JOBS * 4 {
            // Far beyond the limit; the caller reports it.
            return Some(vec![Vec::new(); MAX_JOBS + 1]);
        }
        rows = rows
            .iter()
            .flat_map(|row: &Vec<(String, String)>| {
                values.iter().map(|value| {
                    let mut row = row.clone();
                    row.push((name.clone(), value.clone()));
                    row
                })
            })
            .collect();
    }
    Some(rows)
}
