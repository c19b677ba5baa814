//! From libyaml's events to our tree, with Psych's rules for tags, anchors and merges, and with budgets.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};

use super::{Map, Node, Span, Value, scalar};

/// What a text may cost (`ci-yaml.md §24`). Aliases count each time they are used.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deep size in bytes.
    pub bytes: usize,
    /// Nesting.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 2 << 20,
            depth: 100,
        }
    }
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Psych's message, which GitLab shows.
    #[error("{message}")]
    Syntax {
        /// With line and column where there are some.
        message: String,
        /// Line and column, from 1.
        at: Option<(u32, u32)>,
    },
    /// A budget is spent, or an alias is inside itself.
    #[error("The parsed YAML is too big")]
    TooBig,
}

impl YamlError {
    fn plain(message: impl Into<String>) -> Self {
        Self::Syntax {
            message: message.into(),
            at: None,
        }
    }
}

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
    let mut input = text;
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut loader = Loader {
        parser,
        text,
        file,
        limits,
        spent: 0,
        anchors: HashMap::new(),
        words: HashSet::new(),
    };
    loader.document()
}

struct Loader<'r> {
    parser: Parser<&'r mut &'r [u8]>,
    text: &'r [u8],
    file: u32,
    limits: Limits,
    spent: usize,
    anchors: HashMap<String, Option<Anchored>>,
    /// Keys that were met below the root.
    words: HashSet<Arc<str>>,
}

/// So many different keys are remembered.
const WORDS: usize = 256;

#[derive(Clone)]
struct Anchored {
    node: Node,
    cost: usize,
    depth: usize,
}

/// A node with what it cost and how deep it goes.
struct Built {
    node: Node,
    depth: usize,
    from_alias: bool,
}

impl Loader<'_> {
    fn next(&mut self) -> Result<Event, YamlError> {
        self.parser
            .parse()
            .map_err(|error| syntax(&error, self.text))
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
                            line: 1,
                            column: 1,
                        },
                    ));
                }
            }
        }
    }

    fn span(&self, mark: Mark) -> Span {
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Span {
            file: self.file,
            line: count(mark.line),
            column: count(mark.column),
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
                value,
                style,
                ..
            } => {
                self.spend(NODE_COST + value.len().saturating_sub(EMBEDDED))?;
                let plain = style == ScalarStyle::Plain;
                let before = self.spent;
                let value = scalar_value(tag.as_deref(), &value, plain)?;
                let node = Node::new(value, span);
                self.anchor(anchor, &node, NODE_COST + self.spent - before, 0);
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

    fn sequence(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
        depth: usize,
    ) -> Result<Built, YamlError> {
        let before = self.spent;
        self.spend(NODE_COST)?;
        self.open(anchor.as_ref(), tag);
        let (mut items, mut deepest) = (Vec::new(), 0);
        loop {
            let event = self.next()?;
            if event.data == EventData::SequenceEnd {
                break;
            }
            let built = self.node(event, depth + 1)?;
            deepest = deepest.max(built.depth + 1);
            items.push(built.node);
        }
        let value = match tag {
            Some("!reference") => {
                let list = Node::new(Value::Seq(Arc::new(items)), span);
                Value::Reference(Arc::new(list))
            }
            Some("!omap" | "tag:yaml.org,2002:omap") => {
                let mut map = Map::default();
                items
                    .iter()
                    .filter_map(Node::as_map)
                    .flat_map(Map::iter)
                    .for_each(|entry| map.insert(entry.key.clone(), entry.value.clone()));
                Value::Map(Arc::new(map))
            }
            Some(tag) if tag.starts_with("!ruby/array:") || tag.starts_with("!seq:") => {
                return Err(unspecified(after_colon(tag)));
            }
            Some(_) | None => Value::Seq(Arc::new(items)),
        };
        let node = Node::new(value, span);
        self.anchor(anchor, &node, self.spent - before, deepest);
        Ok(Built {
            node,
            depth: deepest,
            from_alias: false,
        })
    }

    fn mapping(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
        depth: usize,
    ) -> Result<Built, YamlError> {
        let before = self.spent;
        self.spend(NODE_COST)?;
        self.open(anchor.as_ref(), tag);
        let (mut map, mut deepest) = (Map::default(), 0);
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let text_tag = matches!(&event.data, EventData::Scalar { tag: Some(tag), .. } if tag == "tag:yaml.org,2002:str");
            let key = self.key(event, depth)?;
            let value_event = self.next()?;
            let is_sequence = matches!(value_event.data, EventData::SequenceStart { .. });
            let is_mapping = matches!(value_event.data, EventData::MappingStart { .. });
            let value = self.node(value_event, depth + 1)?;
            deepest = deepest.max(key.depth.max(value.depth) + 1);
            let merges =
                matches!(&key.node.value, Value::Str(text) if &**text == "<<") && !text_tag;
            if !(merges && merge(&mut map, &value, is_mapping, is_sequence)) {
                map.insert(key.node, value.node);
            }
        }
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

impl Loader<'_> {
    /// A key. Below the root the same few words come again and again; they share their text.
    fn key(&mut self, event: Event, depth: usize) -> Result<Built, YamlError> {
        let mut built = self.node(event, depth + 1)?;
        if depth > 0
            && let Value::Str(text) = &mut built.node.value
        {
            match self.words.get(&**text) {
                Some(known) => *text = Arc::clone(known),
                None if self.words.len() < WORDS => {
                    self.words.insert(Arc::clone(text));
                }
                None => {}
            }
        }
        Ok(built)
    }
}

/// Lays what `<<` names over the keys so far; `false` when it is nothing that merges.
fn merge(map: &mut Map, value: &Built, is_mapping: bool, is_sequence: bool) -> bool {
    if is_sequence {
        let Some(items) = value.node.as_seq() else {
            return false;
        };
        let Some(maps) = items.iter().map(Node::as_map).collect::<Option<Vec<_>>>() else {
            return false;
        };
        // Earlier in the list wins, so the last is laid down first.
        let mut joined = Map::default();
        maps.iter()
            .rev()
            .flat_map(|from| from.iter())
            .for_each(|entry| joined.insert(entry.key.clone(), entry.value.clone()));
        joined
            .iter()
            .for_each(|entry| map.insert(entry.key.clone(), entry.value.clone()));
        return true;
    }
    let Some(from) = value
        .node
        .as_map()
        .filter(|_| is_mapping || value.from_alias)
    else {
        return false;
    };
    from.iter()
        .for_each(|entry| map.insert(entry.key.clone(), entry.value.clone()));
    true
}

fn scalar_value(tag: Option<&str>, text: &str, plain: bool) -> Result<Value, YamlError> {
    let resolve = || scalar::resolve(text).map_err(unspecified);
    match tag {
        None if plain => resolve(),
        None | Some("tag:yaml.org,2002:str" | "!str" | "!ruby/string") => {
            Ok(Value::Str(text.into()))
        }
        Some("!reference") => Ok(Value::Reference(Arc::new(Node::new(
            Value::Str(text.into()),
            Span::default(),
        )))),
        Some("tag:yaml.org,2002:binary" | "!binary") => Ok(binary(text)),
        Some("tag:yaml.org,2002:float" | "!float") => Ok(match resolve()? {
            Value::Int(number) => Value::Float(number as f64),
            other => other,
        }),
        Some("!ruby/regexp") => Err(unspecified("Regexp")),
        Some("!ruby/range") => Err(unspecified("Range")),
        Some(tag) if tag.starts_with("!ruby/sym") => Ok(Value::Symbol(text.into())),
        Some(tag) if tag.starts_with("!ruby/object:") => Err(unspecified(after_colon(tag))),
        Some(_) => resolve(),
    }
}

/// Base 64 as Ruby's `unpack("m")` reads it: what is no digit is left out. Valid UTF-8 is text.
fn binary(text: &str) -> Value {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text
        .bytes()
        .take_while(|c| *c != b'=')
        .filter_map(digit)
        .collect();
    let bytes: Vec<u8> = digits
        .chunks(4)
        .flat_map(|group| {
            let bits = group
                .iter()
                .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit))
                << (6 * (4 - group.len()));
            let [_, one, two, three] = bits.to_be_bytes();
            [one, two, three].into_iter().take(group.len() * 6 / 8)
        })
        .collect();
    match String::from_utf8(bytes) {
        Ok(text) => Value::Str(text.into()),
        Err(error) => Value::Binary(error.into_bytes().into()),
    }
}

fn after_colon(tag: &str) -> &str {
    tag.split_once(':').map_or(tag, |(_, name)| name)
}

fn unspecified(class: &str) -> YamlError {
    YamlError::plain(format!("Tried to load unspecified class: {class}"))
}

/// Psych's wording: the place is that of the context where there is one.
fn syntax(error: &libyaml_safer::Error, text: &[u8]) -> YamlError {
    let mark = match error.kind() {
        libyaml_safer::ErrorKind::Scanner => error.context_mark().or_else(|| error.problem_mark()),
        _ => error.context_mark(),
    };
    let place = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    let (line, column) = mark.map_or((1, 1), |mark| (place(mark.line), place(mark.column)));
    let context = error
        .context()
        .map(|context| format!(" {context}"))
        .unwrap_or_default();
    let problem = if error.problem() == "invalid UTF-8" {
        invalid_utf8(text)
    } else {
        error.problem()
    };
    YamlError::Syntax {
        message: format!("(<unknown>): {problem}{context} at line {line} column {column}"),
        at: Some((line, column)),
    }
}

/// libyaml's own words for what is wrong with the bytes.
fn invalid_utf8(text: &[u8]) -> &'static str {
    let Err(error) = std::str::from_utf8(text) else {
        return "invalid UTF-8";
    };
    let leading = text.get(error.valid_up_to()).copied().unwrap_or_default();
    match error.error_len() {
        None => "incomplete UTF-8 octet sequence",
        Some(_) if matches!(leading, 0xC2..=0xF4) => "invalid trailing UTF-8 octet",
        Some(_) => "invalid leading UTF-8 octet",
    }
}
