//! From libyaml's events to our tree, with Psych's rules for tags, anchors and merges, and with budgets.

mod collections;
mod ends;

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};

use ends::read;

use super::{
    Entry, Limits, Node, Span, Value, YamlError, documents::Document, error::syntax,
    tags::scalar_value, words::Words,
};

/// What a node costs in memory, roughly as Ruby counts it.
const NODE_COST: usize = 40;
/// Texts up to this length cost nothing extra.
const EMBEDDED: usize = 23;

/// Reads the first document of a text.
///
/// # Errors
/// [`YamlError`]; never panics, whatever the bytes.
pub fn load(text: &[u8], file: u32, limits: Limits) -> Result<Node, YamlError> {
    let decoded;
    let text = if let [first, 0, ..] = text
        && *first != 0
    {
        // UTF-16 without a byte order mark: ASCII letters have a zero byte behind them.
        let units: Vec<u16> = text
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        decoded = String::from_utf16_lossy(&units).into_bytes();
        &decoded[..]
    } else {
        text
    };
    let whole = Document {
        text: "",
        line: 0,
        column: 0,
    };
    Ok(read(text, whole, file, limits)?.node)
}

/// A document as a tree, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The tree.
    pub node: Node,
    /// Keys that stand twice in one mapping: the later one, which wins, and where the earlier one is.
    pub duplicates: Vec<(Node, Span)>,
}

/// Reads a part of a text. Places are those of the whole text; the messages, which are Psych's, name lines of the part.
///
/// # Errors
/// [`YamlError`].
pub fn load_document(
    document: Document<'_>,
    file: u32,
    limits: Limits,
) -> Result<Loaded, YamlError> {
    // No tree is smaller than the text that it is read from.
    if document.text.len() > limits.bytes {
        return Err(YamlError::TooLong);
    }
    read(document.text.as_bytes(), document, file, limits)
}

struct Loader<'r> {
    parser: Parser<&'r mut &'r [u8]>,
    text: &'r [u8],
    place: Document<'r>,
    file: u32,
    limits: Limits,
    spent: usize,
    anchors: HashMap<String, Option<Anchored>>,
    /// Bytes of the text without the line break that was put behind it.
    open_at: Option<usize>,
    /// The block scalar at that end was met.
    met_open_end: bool,
    duplicates: Vec<(Node, Span)>,
    words: Words,
    /// Lists and mappings grow in these, until their sizes are known.
    lists: Vec<Vec<Node>>,
    mappings: Vec<Vec<Entry>>,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    cost: usize,
    depth: usize,
}

/// A node with what it cost and how deep it goes.
pub(super) struct Built {
    pub node: Node,
    depth: usize,
    pub from_alias: bool,
}

impl Loader<'_> {
    /// The first document, and whether the open end of the text was met in a block scalar.
    fn read(
        text: &[u8],
        open_at: Option<usize>,
        place: Document<'_>,
        file: u32,
        limits: Limits,
    ) -> (Result<Loaded, YamlError>, bool) {
        let mut input = text;
        let mut parser = Parser::new();
        parser.set_input_string(&mut input);
        let mut loader = Loader {
            parser,
            text,
            place,
            file,
            limits,
            spent: 0,
            anchors: HashMap::new(),
            open_at,
            met_open_end: false,
            duplicates: Vec::new(),
            words: Words::new(),
            lists: Vec::new(),
            mappings: Vec::new(),
        };
        let node = loader.document();
        let duplicates = loader.duplicates;
        (
            node.map(|node| Loaded { node, duplicates }),
            loader.met_open_end,
        )
    }

    fn next(&mut self) -> Result<Event, YamlError> {
        self.parser.parse().map_err(|error| {
            let mut error = syntax(&error, self.text);
            if let YamlError::Syntax {
                at: Some((line, column)),
                ..
            } = &mut error
            {
                if *line == 1 {
                    *column = column.saturating_add(self.place.column);
                }
                *line = line.saturating_add(self.place.line);
            }
            error
        })
    }

    fn document(&mut self) -> Result<Node, YamlError> {
        loop {
            let event = self.next()?;
            match event.data {
                EventData::StreamStart { .. } => {}
                EventData::DocumentStart { .. } => {
                    let first = self.next()?;
                    let built = self.node(first, 0)?;
                    // Psych reads on to the end of the document before it hands it over.
                    self.next()?;
                    return Ok(built.node);
                }
                _ => {
                    return Ok(Node::new(
                        Value::Null,
                        Span {
                            file: self.file,
                            line: self.place.line.saturating_add(1),
                            column: 1,
                        },
                    ));
                }
            }
        }
    }

    fn span(&self, mark: Mark) -> Span {
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        let before = if mark.line == 0 { self.place.column } else { 0 };
        Span {
            file: self.file,
            line: count(mark.line).saturating_add(self.place.line),
            column: count(mark.column).saturating_add(before),
        }
    }

    fn spend(&mut self, cost: usize) -> Result<(), YamlError> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limits.bytes {
            Err(YamlError::TooBig)
        } else {
            Ok(())
        }
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Built, YamlError> {
        if depth > self.limits.depth {
            return Err(YamlError::TooBig);
        }
        let span = self.span(event.start_mark);
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, depth),
            EventData::Scalar {
                anchor,
                tag,
                mut value,
                style,
                ..
            } => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    self.close(&mut value, event.start_mark, event.end_mark);
                }
                let cost = NODE_COST + value.len().saturating_sub(EMBEDDED);
                self.spend(cost)?;
                let plain = style == ScalarStyle::Plain;
                let value = scalar_value(tag.as_deref(), &value, plain, &mut self.words)?;
                let node = Node::new(value, span);
                self.anchor(anchor, &node, cost, 0);
                Ok(Built {
                    node,
                    depth: 0,
                    from_alias: false,
                })
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.sequence(anchor, tag.as_deref(), span, depth)
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.mapping(anchor, tag.as_deref(), span, depth)
            }
            EventData::StreamStart { .. }
            | EventData::StreamEnd
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. }
            | EventData::SequenceEnd
            | EventData::MappingEnd => Ok(Built {
                node: Node::new(Value::Null, span),
                depth: 0,
                from_alias: false,
            }),
        }
    }

    fn alias(&mut self, name: &str, depth: usize) -> Result<Built, YamlError> {
        match self.anchors.get(name).cloned() {
            None => Err(YamlError::plain(format!("Unknown alias: {name}"))),
            // Inside itself: Ruby could build it, but no size would do.
            Some(None) => Err(YamlError::TooBig),
            Some(Some(anchored)) => {
                if depth + anchored.depth > self.limits.depth {
                    return Err(YamlError::TooBig);
                }
                self.spend(anchored.cost)?;
                Ok(Built {
                    node: anchored.node,
                    depth: anchored.depth,
                    from_alias: true,
                })
            }
        }
    }

    /// `!reference` is made by another way and never becomes an anchor.
    fn anchor(&mut self, name: Option<String>, node: &Node, cost: usize, depth: usize) {
        if let Some(name) = name
            && !matches!(node.value, Value::Reference(_))
        {
            self.anchors.insert(
                name,
                Some(Anchored {
                    node: node.clone(),
                    cost,
                    depth,
                }),
            );
        }
    }

    fn open(&mut self, anchor: Option<&String>, tag: Option<&str>) {
        if let Some(name) = anchor
            && tag != Some("!reference")
        {
            self.anchors.insert(name.clone(), None);
        }
    }
}
