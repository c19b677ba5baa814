//! A file as header and body (`ci-yaml.md §3.1`).

use super::{
    Fault, HeaderError, Specification, definition,
    interpolate::{Known, interpolate},
    specification,
};
use crate::{
    variables::Variable,
    yaml::{Limits, Loaded, Map, Node, Span, Value, documents, load_document},
};

/// A file whose YAML was read, but whose blocks still stand.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// What stands under `spec`, where the file has a header.
    pub spec: Option<Node>,
    /// The configuration.
    pub body: Node,
    /// Keys that stand twice in one mapping, and where the earlier one is.
    pub duplicates: Vec<(Node, Span)>,
}

/// Reads header and body.
///
/// # Errors
/// [`HeaderError`] where either is no YAML or too big, or where there are more documents.
pub(crate) fn open(text: &str, file: u32, limits: Limits) -> Result<Opened, HeaderError> {
    let mut parts = Vec::new();
    for document in documents(text) {
        let loaded = load_document(document, file, limits)?;
        if !is_blank(&loaded.node) {
            parts.push(loaded);
        }
    }
    if parts.len() > 2 {
        let message = "The parsed YAML has too many documents";
        let span = parts.pop().map(|last| last.node.span);
        return Err(HeaderError::Message(Fault::new(message, span)));
    }
    let mut parts = parts.into_iter();
    let (first, second) = (parts.next(), parts.next());
    let spec = first
        .as_ref()
        .and_then(|first| first.node.as_map()?.get("spec"))
        .cloned();
    let (spec, body) = match (spec, first, second) {
        (Some(spec), Some(_), Some(body)) => (Some(spec), Some(body)),
        (_, first, _) => (None, first),
    };
    let body = body.unwrap_or_else(|| Loaded {
        node: Node::new(
            Value::Null,
            Span {
                file,
                line: 1,
                column: 1,
            },
        ),
        duplicates: Vec::new(),
    });
    Ok(Opened {
        spec,
        body: body.node,
        duplicates: body.duplicates,
    })
}

/// Nothing that could be a configuration; such documents are not counted.
fn is_blank(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Str(text) => text.trim().is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Bool(true)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Symbol(_)
        | Value::Binary(_)
        | Value::Reference(_) => false,
    }
}

/// The body with every block replaced.
///
/// # Errors
/// [`HeaderError::Message`] about inputs or blocks, or that the result is too big.
pub(crate) fn fill(
    body: &Node,
    definitions: &Map,
    given: &Map,
    component: &Map,
    variables: &[Variable],
    limits: Limits,
) -> Result<Node, HeaderError> {
    let inputs = definition::values(definitions, given, variables)?;
    let known = Known {
        inputs: &inputs,
        component,
        variables,
    };
    root(interpolate(body, known, limits)?)
}

/// A file without a header: it takes no inputs.
///
/// # Errors
/// [`HeaderError::Message`] where there are some, or where the file is no mapping.
pub(crate) fn plain(body: &Node, given: &Map) -> Result<Node, HeaderError> {
    if let Some(first) = given.iter().next() {
        return Err(HeaderError::Message(Fault::at(
            first.key.span,
            "Given inputs not defined in the `spec` section of the included configuration file",
        )));
    }
    root(body.clone())
}

fn root(node: Node) -> Result<Node, HeaderError> {
    if node.as_map().is_some() {
        return Ok(node);
    }
    Err(HeaderError::Message(Fault::at(
        node.span,
        "Invalid configuration format",
    )))
}

/// Reads a file that includes no definitions: header, inputs, and the body with every block replaced.
///
/// # Errors
/// [`HeaderError`].
pub fn load_with_inputs(
    text: &str,
    file: u32,
    given: &Map,
    variables: &[Variable],
    limits: Limits,
) -> Result<Node, HeaderError> {
    let opened = open(text, file, limits)?;
    let Some(spec) = &opened.spec else {
        return plain(&opened.body, given);
    };
    let Specification {
        inputs, include, ..
    } = specification(spec)?;
    if let Some(item) = include.first() {
        let message = "header:spec:include needs somebody who answers";
        return Err(HeaderError::Message(Fault::at(item.span, message)));
    }
    let component = Map::default();
    fill(&opened.body, &inputs, given, &component, variables, limits)
}
