//! The graph of needs: a topological sort that names a circle as Ruby's `tsort` does (`ci-yaml.md §13.2`).

use std::collections::HashMap;

/// Jobs and what each needs, in order; names that are no jobs are allowed and lead nowhere.
pub(super) type Graph<'a> = [(&'a str, Vec<&'a str>)];

/// A circle, in the words that follow `The pipeline has circular dependencies: `.
pub(super) fn find_circle(graph: &Graph<'_>) -> Option<String> {
    let index: HashMap<&str, usize> = graph
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (*name, at))
        .collect();
    let mut search = Search {
        graph,
        index,
        ids: vec![Id::Unseen; graph.len()],
        stack: Vec::new(),
        seen: 0,
    };
    (0..graph.len()).find_map(|at| match search.ids[at] {
        Id::Unseen => search.component_from(at),
        Id::Open(_) | Id::Closed => None,
    })
}

#[derive(Clone, Copy)]
enum Id {
    Unseen,
    Open(usize),
    Closed,
}

struct Frame {
    node: usize,
    next_child: usize,
    stack_length: usize,
    id: usize,
    minimum: usize,
}

struct Search<'a> {
    graph: &'a Graph<'a>,
    index: HashMap<&'a str, usize>,
    ids: Vec<Id>,
    stack: Vec<usize>,
    seen: usize,
}

impl Search<'_> {
    /// Tarjan's search with its own stack of frames, because chains of needs may be as long as the pipeline.
    fn component_from(&mut self, start: usize) -> Option<String> {
        let mut frames = Vec::new();
        if let Some(own) = self.enter(start, &mut frames) {
            return Some(own);
        }
        while let Some(frame) = frames.last_mut() {
            let Some(child) = self.graph[frame.node].1.get(frame.next_child) else {
                if let Some(circle) = self.leave(&mut frames) {
                    return Some(circle);
                }
                continue;
            };
            frame.next_child += 1;
            let Some(child) = self.index.get(child).copied() else {
                continue;
            };
            match self.ids[child] {
                Id::Open(id) => frame.minimum = frame.minimum.min(id),
                Id::Closed => {}
                Id::Unseen => {
                    if let Some(own) = self.enter(child, &mut frames) {
                        return Some(own);
                    }
                }
            }
        }
        None
    }

    fn enter(&mut self, node: usize, frames: &mut Vec<Frame>) -> Option<String> {
        let (name, needs) = &self.graph[node];
        if needs.contains(name) {
            return Some(format!("self-dependency: {name}"));
        }
        let id = self.seen;
        self.seen += 1;
        self.ids[node] = Id::Open(id);
        frames.push(Frame {
            node,
            next_child: 0,
            stack_length: self.stack.len(),
            id,
            minimum: id,
        });
        self.stack.push(node);
        None
    }

    fn leave(&mut self, frames: &mut Vec<Frame>) -> Option<String> {
        let frame = frames.pop()?;
        if frame.minimum == frame.id {
            let component = self.stack.split_off(frame.stack_length);
            if component.len() > 1 {
                let names: Vec<String> = component
                    .iter()
                    .map(|node| inspect(self.graph[*node].0))
                    .collect();
                return Some(format!("topological sort failed: [{}]", names.join(", ")));
            }
            for node in component {
                self.ids[node] = Id::Closed;
            }
        }
        if let Some(parent) = frames.last_mut() {
            parent.minimum = parent.minimum.min(frame.minimum);
        }
        None
    }
}

/// A text as Ruby's `inspect` prints it.
fn inspect(text: &str) -> String {
    let mut out = String::from("\"");
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '#' if matches!(characters.peek(), Some('{' | '$' | '@')) => out.push_str("\\#"),
            other if other.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_named_in_the_order_of_the_search() {
        let graph = [
            ("job_a", vec!["job_c"]),
            ("job_b", vec!["job_a"]),
            ("job_c", vec!["job_b"]),
        ];
        assert_eq!(
            find_circle(&graph).as_deref(),
            Some("topological sort failed: [\"job_a\", \"job_c\", \"job_b\"]")
        );
    }

    #[test]
    fn a_job_that_needs_itself_is_named_alone() {
        let graph = [("a", vec!["b"]), ("b", vec!["b"])];
        assert_eq!(find_circle(&graph).as_deref(), Some("self-dependency: b"));
    }

    #[test]
    fn diamonds_and_unknown_names_are_no_circles() {
        let graph = [
            ("d", vec!["b", "c"]),
            ("b", vec!["a"]),
            ("c", vec!["a", "absent"]),
            ("a", vec![]),
        ];
        assert_eq!(find_circle(&graph), None);
    }

    #[test]
    fn a_very_long_chain_does_not_overflow() {
        let names: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let graph: Vec<(&str, Vec<&str>)> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let next = names.get(at + 1).map(String::as_str);
                (name.as_str(), next.into_iter().collect())
            })
            .collect();
        assert_eq!(find_circle(&graph), None);
    }

    #[test]
    fn names_are_printed_as_ruby_prints_them() {
        assert_eq!(inspect("a\"b\\c#{d}#e\n"), r##""a\"b\\c\#{d}#e\n""##);
    }
}
