//! Secrets and their masking with equal length, across the borders of chunks (`runner-protocol.md §4.7`).

use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use regex::bytes::{Regex, RegexBuilder};

/// Values that never appear in a trace that is shown. Cheap to clone; building one costs, so keep it as long as the job runs.
///
/// A value of more than 512 bytes is masked by its pieces of 512 bytes.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Automaton>>);

/// Bytes of a needle at most; longer secrets are several needles. It bounds what is stored but not shown.
pub(super) const NEEDLE: usize = 512;
/// Texts from this size on are searched by the vectorised matcher first.
const LARGE: usize = 4096;

/// The end of a trace that may be the beginning of a secret: as it came, and as it is shown if it turns out to be none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) raw: Vec<u8>,
    pub(super) masked: Vec<u8>,
}

impl Secrets {
    /// Secrets from their values; empty ones are ignored.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut needles = Vec::new();
        for value in values {
            pieces(value.as_bytes(), &mut needles);
        }
        needles.sort_unstable();
        needles.dedup();
        Self((!needles.is_empty()).then(|| Arc::new(Automaton::new(&needles))))
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What may be shown after `chunk` followed `tail`, and the new tail.
    pub(super) fn mask(&self, tail: &Tail, chunk: &Bytes) -> (Bytes, Tail) {
        let joined = (!tail.raw.is_empty()).then(|| [&tail.raw, &chunk[..]].concat());
        let raw = joined.as_deref().unwrap_or(chunk);
        let (hits, held) = match &self.0 {
            Some(automaton) => (automaton.hits(raw), automaton.held(raw)),
            None => (Vec::new(), 0),
        };
        let shown = raw.len() - held;
        let new_raw = raw[shown..].to_vec();
        if joined.is_none() && hits.is_empty() {
            let masked = new_raw.clone();
            let raw = new_raw;
            return (chunk.slice(..shown), Tail { raw, masked });
        }
        let mut text = [&tail.masked, &chunk[..]].concat();
        for hit in hits {
            text[hit].fill(b'x');
        }
        let masked = text.split_off(shown);
        let raw = new_raw;
        (text.into(), Tail { raw, masked })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// The value, or windows that cover it when it is long.
fn pieces(value: &[u8], needles: &mut Vec<Vec<u8>>) {
    if value.is_empty() {
        return;
    }
    for start in (0..value.len()).step_by(NEEDLE) {
        let start = start.min(value.len().saturating_sub(NEEDLE));
        let end = value.len().min(start + NEEDLE);
        needles.push(value[start..end].to_vec());
    }
}

/// Aho and Corasick's automaton: all needles in one pass, overlapping ones included.
struct Automaton {
    nodes: Vec<Node>,
    /// What follows the root, without a search.
    first: Box<[u32; 256]>,
    longest: usize,
    pattern: String,
    matcher: OnceLock<Option<Regex>>,
}

#[derive(Default)]
struct Node {
    /// Sorted by byte.
    edges: Vec<(u8, u32)>,
    /// The longest proper suffix that is a node, too.
    fallback: u32,
    depth: usize,
    /// Length of the longest needle that ends here; 0 is none.
    ends: usize,
}

const ROOT: u32 = 0;

impl Automaton {
    fn new(needles: &[Vec<u8>]) -> Self {
        let mut automaton = Self {
            nodes: vec![Node::default()],
            first: Box::new([ROOT; 256]),
            longest: needles.iter().map(Vec::len).max().unwrap_or(0),
            pattern: pattern(needles),
            matcher: OnceLock::new(),
        };
        for needle in needles {
            automaton.insert(needle);
        }
        automaton.link();
        automaton
    }

    fn insert(&mut self, needle: &[u8]) {
        let mut at = ROOT;
        for (depth, &byte) in (1..).zip(needle) {
            let edges = &self.nodes[at as usize].edges;
            at = match edges.binary_search_by_key(&byte, |edge| edge.0) {
                Ok(found) => edges[found].1,
                Err(place) => {
                    let new = u32::try_from(self.nodes.len()).unwrap_or(ROOT);
                    self.nodes[at as usize].edges.insert(place, (byte, new));
                    self.nodes.push(Node {
                        depth,
                        ..Node::default()
                    });
                    new
                }
            };
        }
        self.nodes[at as usize].ends = needle.len();
    }

    /// Sets the fallbacks, breadth first.
    fn link(&mut self) {
        let mut queue = VecDeque::new();
        for &(byte, node) in &self.nodes[ROOT as usize].edges {
            self.first[usize::from(byte)] = node;
            queue.push_back(node);
        }
        while let Some(at) = queue.pop_front() {
            let fallback = self.nodes[at as usize].fallback;
            for (byte, node) in self.nodes[at as usize].edges.clone() {
                let target = self.next(fallback, byte);
                let ends = self.nodes[target as usize].ends;
                let child = &mut self.nodes[node as usize];
                child.fallback = target;
                child.ends = child.ends.max(ends);
                queue.push_back(node);
            }
        }
    }

    fn next(&self, mut at: u32, byte: u8) -> u32 {
        while at != ROOT {
            let node = &self.nodes[at as usize];
            if let Ok(found) = node.edges.binary_search_by_key(&byte, |edge| edge.0) {
                return node.edges[found].1;
            }
            at = node.fallback;
        }
        self.first[usize::from(byte)]
    }

    /// Where needles stand in the text; in order of their ends, overlapping ones joined.
    fn hits(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut hits: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while let Some(start) = self.candidate(text, at) {
            at = self.walk(text, start, &mut hits);
        }
        hits
    }

    /// Where the next needle may begin.
    fn candidate(&self, text: &[u8], from: usize) -> Option<usize> {
        if from >= text.len() {
            return None;
        }
        if text.len() < LARGE {
            return Some(from);
        }
        match self.matcher.get_or_init(|| self.matcher()) {
            Some(matcher) => matcher.find_at(text, from).map(|found| found.start()),
            None => Some(from),
        }
    }

    /// Follows the text until no needle is under way any more; where that is.
    fn walk(&self, text: &[u8], start: usize, hits: &mut Vec<Range<usize>>) -> usize {
        let mut node = ROOT;
        for (at, &byte) in text.iter().enumerate().skip(start) {
            node = self.next(node, byte);
            let ends = self.nodes[node as usize].ends;
            if ends > 0 {
                join(hits, at + 1 - ends..at + 1);
            } else if node == ROOT && text.len() >= LARGE {
                return at + 1;
            }
        }
        text.len()
    }

    /// Bytes at the end of the text that may be the beginning of a needle.
    fn held(&self, text: &[u8]) -> usize {
        let start = text.len().saturating_sub(self.longest - 1);
        let mut at = text[start..]
            .iter()
            .fold(ROOT, |at, &byte| self.next(at, byte));
        // a complete needle is a beginning only as far as a longer one goes on from it
        while at != ROOT && self.nodes[at as usize].edges.is_empty() {
            at = self.nodes[at as usize].fallback;
        }
        self.nodes[at as usize].depth
    }

    /// `None` when the needles are too many for it; then the automaton does all of the work.
    fn matcher(&self) -> Option<Regex> {
        RegexBuilder::new(&self.pattern).unicode(false).build().ok()
    }
}

fn pattern(needles: &[Vec<u8>]) -> String {
    use fmt::Write as _;
    let mut pattern = String::new();
    for needle in needles {
        if !pattern.is_empty() {
            pattern.push('|');
        }
        for byte in needle {
            // writing to a string does not fail
            let _ = write!(pattern, "\\x{byte:02x}");
        }
    }
    pattern
}

fn join(hits: &mut Vec<Range<usize>>, hit: Range<usize>) {
    let mut start = hit.start;
    while let Some(last) = hits.last()
        && last.end >= start
    {
        start = start.min(last.start);
        hits.pop();
    }
    hits.push(start..hit.end);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{NEEDLE, Secrets, Tail};

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values.iter().map(|value| (*value).to_owned()))
    }

    /// What is shown after all chunks, and what is held back.
    fn masked(secrets: &Secrets, chunks: &[&[u8]]) -> (Vec<u8>, Tail) {
        let mut all = Vec::new();
        let mut tail = Tail::default();
        for chunk in chunks {
            let (text, next) = secrets.mask(&tail, &Bytes::copy_from_slice(chunk));
            all.extend_from_slice(&text);
            tail = next;
        }
        (all, tail)
    }

    /// The slow obvious twin.
    fn naive(values: &[&str], text: &[u8]) -> Vec<u8> {
        let mut result = text.to_vec();
        for value in values.iter().filter(|value| !value.is_empty()) {
            for at in 0..text.len() {
                if text[at..].starts_with(value.as_bytes()) {
                    result[at..at + value.len()].fill(b'x');
                }
            }
        }
        result
    }

    #[test]
    fn masks_with_equal_length() {
        let secrets = secrets(&["hunter22", "päss", ""]);
        let text = "a hunter22 b päss hunter2".as_bytes();
        let (all, tail) = masked(&secrets, &[text]);
        assert_eq!(all, b"a xxxxxxxx b xxxxx ");
        assert_eq!(tail.raw, b"hunter2");
        assert_eq!(tail.masked, b"hunter2");
    }

    #[test]
    fn overlapping_and_nested_secrets_are_all_masked() {
        let values = ["abab", "ababcc", "bcc", "cx"];
        for text in ["ababab", "abababcc", "xababccx", "aababcab", "abcxabab"] {
            for split in 0..=text.len() {
                let (a, b) = text.as_bytes().split_at(split);
                let (mut all, tail) = masked(&secrets(&values), &[a, b]);
                all.extend_from_slice(&tail.masked);
                assert_eq!(all, naive(&values, text.as_bytes()), "{text} at {split}");
            }
        }
    }

    #[test]
    fn a_long_secret_is_masked_by_its_pieces() {
        let secret: String = (0..1300u32)
            .map(|n| char::from(b'a' + (n * n % 26) as u8))
            .collect();
        let secrets = Secrets::new([secret.clone()]);
        let text = format!("<{secret}>");
        for split in [1, 500, 513, 1024, 1300] {
            let (a, b) = text.as_bytes().split_at(split);
            let (all, tail) = masked(&secrets, &[a, b]);
            assert!(tail.raw.len() < NEEDLE);
            assert_eq!(all, format!("<{}>", "x".repeat(1300)).as_bytes());
        }
    }

    #[test]
    fn large_texts_are_masked_like_small_ones() {
        let values = ["token-one", "two-token", "nn"];
        let text = format!(
            "{}token-one{}two-token-onennn{}",
            "a".repeat(9000),
            "tok\n".repeat(3000),
            "token-on"
        );
        let (mut all, tail) = masked(&secrets(&values), &[text.as_bytes()]);
        assert_eq!(tail.raw, b"token-on");
        all.extend_from_slice(&tail.masked);
        assert_eq!(all, naive(&values, text.as_bytes()));
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", secrets(&["hunter22"])), "Secrets(…)");
    }

    proptest! {
        #[test]
        fn any_split_masks_like_the_twin(
            values in prop::collection::vec("[ab]{1,5}", 0..4),
            chunks in prop::collection::vec("[abc]{0,9}", 0..8),
        ) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let parts: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
            let (mut all, tail) = masked(&secrets(&values), &parts);
            all.extend_from_slice(&tail.masked);
            prop_assert_eq!(all, naive(&values, chunks.concat().as_bytes()));
        }
    }
}
