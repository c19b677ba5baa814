//! `parallel`: numbers and matrices (`ci-yaml.md §14`).

use super::validate::is_blank;
use crate::{
    check::{Check, given, text},
    yaml::{Map, Node, Span, Value},
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
        Value::Int(_) | Value::Float(_) => number(check, at, node, bridge),
        Value::Map(map) => matrix_of(check, at, node, map).map(Parallel::Matrix),
        _ => {
            check.verbatim(node.span, format!("{at} should be an integer or a hash"));
            None
        }
    }
}

fn number(check: &mut Check, at: &str, node: &Node, bridge: bool) -> Option<Parallel> {
    let faults = check.faults();
    let count = if let Value::Int(count) = node.value {
        count.get()
    } else {
        check.error(node.span, format!("{at} config must be an integer"));
        0
    };
    if check.sound_since(faults) && count < 1 {
        check.error(
            node.span,
            format!("{at} config must be greater than or equal to 1"),
        );
    }
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if count > MAX_JOBS {
        check.error(
            node.span,
            format!("{at} config must be less than or equal to {MAX_JOBS}"),
        );
    }
    if bridge {
        check.error(
            node.span,
            format!("{at} config cannot use \"parallel: <number>\"."),
        );
    }
    check.sound_since(faults).then_some(Parallel::Number(count))
}

/// `{matrix: […]}` as its rows, the first variable varying slowest.
pub fn matrix_of(
    check: &mut Check,
    at: &str,
    node: &Node,
    map: &Map,
) -> Option<Vec<Vec<(String, String)>>> {
    let faults = check.faults();
    check.unknown_keys(at, map, &["matrix"]);
    check.required_keys(at, node.span, Some(map), &["matrix"]);
    if !check.sound_since(faults) {
        return None;
    }
    let matrix = given(map, "matrix")?;
    let at = format!("{at}:matrix");
    let items: Option<Vec<&Map>> = matrix
        .as_seq()
        .and_then(|items| items.iter().map(Node::as_map).collect());
    let Some(items) = items else {
        check.error(
            matrix.span,
            format!("{at} config should be an array of hashes"),
        );
        return None;
    };
    let axes: Vec<Option<Axes>> = items
        .iter()
        .map(|item| axes(check, &format!("{at}:variables"), matrix.span, item))
        .collect();
    let axes: Vec<Axes> = axes.into_iter().collect::<Option<_>>()?;
    // Counted before they are made: the product of a few long lists is more than memory holds.
    let count = axes.iter().fold(0_usize, |sum, axes| {
        let product = axes.iter().fold(1_usize, |product, (_, values)| {
            product.saturating_mul(values.len())
        });
        sum.saturating_add(product)
    });
    if count > MAX_JOBS {
        check.error(
            matrix.span,
            format!("{at} config generates too many jobs (maximum is {MAX_JOBS})"),
        );
        return None;
    }
    Some(axes.iter().flat_map(product).collect())
}

/// Each variable of a matrix entry with its values.
type Axes = Vec<(String, Vec<String>)>;

fn axes(check: &mut Check, at: &str, span: Span, map: &Map) -> Option<Axes> {
    if map.is_empty() {
        check.error(span, format!("{at} config requires at least 1 items"));
        return None;
    }
    let axes = map
        .iter()
        .map(|entry| Some((value(&entry.key)?, values(&entry.value)?)))
        .collect();
    if Option::is_none(&axes) {
        check.error(
            span,
            format!("{at} config should be a hash of key value pairs, value can be an array"),
        );
    }
    axes
}

/// One value or a list of some; lists in the list do not count.
fn values(node: &Node) -> Option<Vec<String>> {
    if is_blank(node) {
        return None;
    }
    match node.as_seq() {
        Some(items) => items.iter().map(value).collect(),
        None => Some(vec![value(node)?]),
    }
}

/// A text or number; a boolean is none.
fn value(node: &Node) -> Option<String> {
    matches!(
        node.value,
        Value::Str(_) | Value::Symbol(_) | Value::Int(_) | Value::Float(_)
    )
    .then(|| text(node))
}

fn product(axes: &Axes) -> Vec<Vec<(String, String)>> {
    axes.iter().fold(vec![Vec::new()], |rows, (name, values)| {
        let longer = |row: &Vec<(String, String)>, value: &String| {
            let mut row = row.clone();
            row.push((name.clone(), value.clone()));
            row
        };
        rows.iter()
            .flat_map(|row| values.iter().map(move |value| longer(row, value)))
            .collect()
    })
}
