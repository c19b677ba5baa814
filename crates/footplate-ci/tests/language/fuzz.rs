//! Real files, mutated: whatever becomes of them is compiled or refused, twice in the same way.
//!
//! Runs for two seconds; `FOOTPLATE_FUZZ_SECONDS` lets it run longer.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Case, harness::folder};

/// A small generator of numbers (SplitMix64): mutations can be had again from their seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn one<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path)
            && text.len() < 20_000
            && path
                .extension()
                .is_some_and(|end| end == "yml" || end == "yaml")
        {
            found.push(text);
        }
    }
}

const PIECES: [&str; 24] = [
    "*a",
    "&a ",
    "!reference [",
    "$[[ inputs.x ]]",
    "\t",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "<<: *a\n",
    "99999999999999999999",
    "-1",
    "~",
    "'",
    "\"",
    "|\n",
    "---\n",
    "spec:\n  inputs:\n    x:\n---\n",
    "\u{0}",
    "\u{feff}",
    "rules:\n  - if: $X ==\n",
    "extends: job\n",
];

fn mutated(numbers: &mut Numbers, corpus: &[String]) -> String {
    let mut text = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            break;
        }
        let (one, other) = (numbers.below(lines.len()), numbers.below(lines.len()));
        match numbers.below(6) {
            0 => drop(lines.remove(one)),
            1 => lines.insert(one, lines[other]),
            2 => lines.swap(one, other),
            3 => {
                let donor = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(donor.lines().count());
                lines.splice(one..one, donor.lines().skip(from).take(5));
            }
            _ => {
                let mut joined = lines.join("\n");
                let mut at = numbers.below(joined.len());
                while !joined.is_char_boundary(at) {
                    at -= 1;
                }
                joined.insert_str(at, numbers.one(&PIECES));
                text = joined;
                continue;
            }
        }
        text = lines.join("\n");
    }
    text
}

#[test]
fn mutated_files_are_compiled_or_refused() {
    let mut corpus = Vec::new();
    for set in ["templates", "ci-schema", "local-runs", "ci-compile"] {
        if let Some(folder) = folder(set) {
            files(&folder, &mut corpus);
        }
    }
    if corpus.is_empty() {
        return;
    }
    let seconds = std::env::var("FOOTPLATE_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(2);
    let seed = std::env::var("FOOTPLATE_FUZZ_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    let (mut numbers, mut count) = (Numbers(seed), 0_u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end || count < 100 {
        let text = mutated(&mut numbers, &corpus);
        // Seen when a panic shows the last line.
        let shown = std::panic::catch_unwind(|| once(&text));
        assert!(shown.is_ok(), "number {count} of seed {seed}:\n{text}");
        count += 1;
    }
    println!("{count} mutated files");
}

fn once(text: &str) {
    let case = Case::new(text).push("main", &[("A", "x")]);
    let answer = |case: &Case| match case.compile() {
        Ok(compiled) => {
            let report = footplate_ci::lint::report(&compiled, case.context.as_ref(), true);
            (report.to_string(), String::new())
        }
        Err(refused) => (
            String::new(),
            format!("{:?}{:?}", refused.errors, refused.warnings),
        ),
    };
    let first = answer(&case);
    assert!(!first.0.is_empty() || first.1.len() > 4);
    assert_eq!(first, answer(&case));
}
