//! Where a job speaks of its stage and of other jobs, for faults that are found when all jobs are known.

use crate::{
    check::{flat, given},
    yaml::{Node, Span},
};

/// Places of what a job says of its stage and of other jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The value of `stage`.
    pub stage: Option<Span>,
    /// Items of `needs` that name a job, in their order.
    pub needs: Vec<(String, Span)>,
    /// Items of `dependencies`.
    pub dependencies: Vec<(String, Span)>,
    /// `environment:on_stop`.
    pub on_stop: Option<Span>,
}

impl Places {
    /// Where a need is written; for an instance of a parallel job where that job is.
    pub fn need(&self, name: &str) -> Option<Span> {
        find(&self.needs, name)
    }

    /// Where a need is written for the second time.
    pub fn need_again(&self, name: &str) -> Option<Span> {
        let mut places = self.needs.iter().filter(|(word, _)| word == name);
        places.nth(1).map(|(_, span)| *span)
    }

    /// Where a dependency is written; for an instance of a parallel job where that job is.
    pub fn dependency(&self, name: &str) -> Option<Span> {
        find(&self.dependencies, name)
    }
}

fn find(list: &[(String, Span)], name: &str) -> Option<Span> {
    let whole = list.iter().find(|(word, _)| word == name);
    let part = || {
        let instance = |word: &str| name.strip_prefix(word)?.strip_prefix([' ', ':']);
        list.iter().find(|(word, _)| instance(word).is_some())
    };
    whole.or_else(part).map(|(_, span)| *span)
}

/// The places of texts in a list.
pub(super) fn places_of_words(node: &Node) -> Vec<(String, Span)> {
    let items = node.as_seq().into_iter().flatten();
    items
        .filter_map(|item| Some((item.as_str()?.to_owned(), item.span)))
        .collect()
}

/// The places of the jobs that items of `needs` name.
pub(super) fn places_of_needs(node: &Node) -> Vec<(String, Span)> {
    let named = |item: &Node| {
        let job = match item.as_map() {
            Some(map) => given(map, "job")?.clone(),
            None => item.clone(),
        };
        Some((job.as_str()?.to_owned(), job.span))
    };
    let items = flat(node);
    let mut places = Vec::with_capacity(items.len());
    places.extend(items.into_iter().filter_map(named));
    places
}
