//! `spec:include`: definitions of inputs from other files (`ci-yaml.md §3.3`).

use std::sync::Arc;

use super::{Includer, Outcome, Purpose, scope::Scope};
use crate::{
    inputs::{
        Fault, HeaderError, Opened, Specification, definitions, fill, plain, shown, specification,
    },
    yaml::{Map, Node},
};

impl Includer<'_> {
    /// The configuration of a file whose YAML was read; the inner error is the file's own.
    ///
    /// # Errors
    /// Missing answers, or a fault of a file that the header includes.
    pub(super) fn configuration(
        &mut self,
        opened: &Opened,
        given: &Map,
        scope: &Scope,
    ) -> Outcome<Result<Node, HeaderError>> {
        let Some(spec) = &opened.spec else {
            return Ok(plain(&opened.body, given));
        };
        let spec = match specification(spec) {
            Ok(spec) => spec,
            Err(faults) => return Ok(Err(faults.into())),
        };
        let inputs = match self.definitions(&spec, scope)? {
            Ok(inputs) => inputs,
            Err(fault) => return Ok(Err(HeaderError::Message(fault))),
        };
        let facts = scope.facts(&spec.component);
        let variables = self.variables(scope);
        let limits = self.context.limits;
        Ok(fill(
            &opened.body,
            &inputs,
            given,
            &facts,
            variables,
            limits,
        ))
    }

    /// The definitions of all files and of the header itself, united.
    fn definitions(
        &mut self,
        spec: &Specification,
        scope: &Scope,
    ) -> Outcome<Result<Arc<Map>, Fault>> {
        if spec.include.is_empty() {
            return Ok(Ok(Arc::clone(&spec.inputs)));
        }
        let files = self.level(&spec.include, scope, Purpose::Inputs)?;
        let inputs = |file: &Node| file.as_map().and_then(|map| map.get("inputs")).cloned();
        let lists: Vec<Node> = files.iter().filter_map(inputs).collect();
        let all = || {
            let of_files = lists.iter().filter_map(Node::as_map).flat_map(Map::iter);
            of_files.chain(spec.inputs.iter())
        };
        let (mut united, mut twice) = (Map::default(), Vec::<&Node>::new());
        for entry in all() {
            if united
                .replace(entry.key.clone(), entry.value.clone())
                .is_some()
            {
                let known = twice.iter().any(|key| shown(key) == shown(&entry.key));
                if !known {
                    twice.push(&entry.key);
                }
            }
        }
        if let Some(second) = twice.first() {
            let names: Vec<String> = twice.iter().map(|key| shown(key)).collect();
            return Ok(Err(Fault::at(
                second.span,
                format!(
                    "Duplicate input keys found: {}. Input keys must be unique across all included files and inline specifications.",
                    names.join(", ")
                ),
            )));
        }
        let faults = definitions(&united);
        if faults.is_empty() {
            Ok(Ok(Arc::new(united)))
        } else {
            Ok(Err(Fault::joined(faults)))
        }
    }
}

/// What is wrong with a file that should hold only inputs.
pub(super) fn only_inputs(node: &Node, location: &str) -> Result<(), Fault> {
    let other: Vec<&Node> = node
        .as_map()
        .into_iter()
        .flat_map(Map::iter)
        .map(|entry| &entry.key)
        .filter(|key| key.as_str() != Some("inputs"))
        .collect();
    let names: Vec<String> = other.iter().map(|key| format!(":{}", shown(key))).collect();
    match other.first() {
        None => Ok(()),
        Some(first) => Err(Fault::at(
            first.span,
            format!(
                "Header include file `{location}` contains unknown keys: [{}]",
                names.join(", ")
            ),
        )),
    }
}
