//! Lists and mappings.

use std::{collections::HashSet, sync::Arc};

use libyaml_safer::EventData;

use super::{Built, Loader, NODE_COST};
use crate::yaml::{
    Key, Map, Node, Span, Value, YamlError,
    merge::merge,
    tags::{after_colon, unspecified},
};

impl Loader<'_> {
    pub(super) fn sequence(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
        depth: usize,
    ) -> Result<Built, YamlError> {
        let before = self.spent;
        self.spend(NODE_COST)?;
        self.open(anchor.as_ref(), tag);
        let (mut items, mut deepest) = (self.lists.pop().unwrap_or_default(), 0);
        loop {
            let event = self.next()?;
            if event.data == EventData::SequenceEnd {
                break;
            }
            let built = self.node(event, depth + 1)?;
            deepest = deepest.max(built.depth + 1);
            items.push(built.node);
        }
        let list: Arc<[Node]> = items.drain(..).collect();
        self.lists.push(items);
        let value = match tag {
            Some("!reference") => Value::Reference(Arc::new(Node::new(Value::Seq(list), span))),
            Some("!omap" | "tag:yaml.org,2002:omap") => {
                let mut map = Map::default();
                list.iter()
                    .filter_map(Node::as_map)
                    .flat_map(Map::iter)
                    .for_each(|entry| {
                        map.insert(entry.key.clone(), entry.value.clone());
                    });
                Value::Map(Arc::new(map))
            }
            Some(tag) if tag.starts_with("!ruby/array:") || tag.starts_with("!seq:") => {
                return Err(unspecified(after_colon(tag)));
            }
            Some(_) | None => Value::Seq(list),
        };
        let node = Node::new(value, span);
        self.anchor(anchor, &node, self.spent - before, deepest);
        Ok(Built {
            node,
            depth: deepest,
            from_alias: false,
        })
    }

    pub(super) fn mapping(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
        depth: usize,
    ) -> Result<Built, YamlError> {
        let before = self.spent;
        self.spend(NODE_COST)?;
        self.open(anchor.as_ref(), tag);
        let room = self.mappings.pop().unwrap_or_default();
        let (mut map, mut deepest) = (Map::with_room(room), 0);
        let mut merged: HashSet<Key> = HashSet::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let text_tag = matches!(&event.data, EventData::Scalar { tag: Some(tag), .. } if tag == "tag:yaml.org,2002:str");
            let key = self.node(event, depth + 1)?;
            let value_event = self.next()?;
            let is_sequence = matches!(value_event.data, EventData::SequenceStart { .. });
            let is_mapping = matches!(value_event.data, EventData::MappingStart { .. });
            let value = self.node(value_event, depth + 1)?;
            deepest = deepest.max(key.depth.max(value.depth) + 1);
            let merges =
                matches!(&key.node.value, Value::Str(text) if &**text == "<<") && !text_tag;
            // What was merged may be written again: that is what merging is for.
            if merges && merge(&mut map, &mut merged, &value, is_mapping, is_sequence) {
                continue;
            }
            if let Some(first) = map.replace(key.node.clone(), value.node)
                && !merged.remove(&Key::of(&key.node))
            {
                self.duplicates.push((key.node, first));
            }
        }
        let map = map.without_room(&mut self.mappings);
        let value = match tag {
            Some("!reference") => {
                Value::Reference(Arc::new(Node::new(Value::Map(Arc::new(map)), span)))
            }
            Some("!set" | "tag:yaml.org,2002:set") => return Err(unspecified("Psych::Set")),
            Some(tag)
                if tag.starts_with("!ruby/object:")
                    || tag.starts_with("!ruby/hash:")
                    || tag.starts_with("!map:") =>
            {
                return Err(unspecified(after_colon(tag)));
            }
            Some(_) | None => Value::Map(Arc::new(map)),
        };
        let node = Node::new(value, span);
        self.anchor(anchor, &node, self.spent - before, deepest);
        Ok(Built {
            node,
            depth: deepest,
            from_alias: false,
        })
    }
}
