//! The merge key `<<` (`ci-yaml.md §5.2`).

use std::collections::HashSet;

use super::{Key, Map, Node, load::Built};

/// Lays what `<<` names over the keys so far; `false` when it is nothing that merges.
pub(super) fn merge(
    map: &mut Map,
    merged: &mut HashSet<Key>,
    value: &Built,
    is_mapping: bool,
    is_sequence: bool,
) -> bool {
    let mut lay = |from: &Map| {
        for entry in from.iter() {
            map.insert(entry.key.clone(), entry.value.clone());
            merged.insert(Key::of(&entry.key));
        }
    };
    if is_sequence {
        let Some(items) = value.node.as_seq() else {
            return false;
        };
        let Some(maps) = items.iter().map(Node::as_map).collect::<Option<Vec<_>>>() else {
            return false;
        };
        // Earlier in the list wins, so the last is laid down first.
        let mut joined = Map::default();
        for entry in maps.iter().rev().flat_map(|from| from.iter()) {
            joined.insert(entry.key.clone(), entry.value.clone());
        }
        lay(&joined);
        return true;
    }
    let Some(from) = value
        .node
        .as_map()
        .filter(|_| is_mapping || value.from_alias)
    else {
        return false;
    };
    lay(from);
    true
}
