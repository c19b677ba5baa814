//! ChronicDuration's grammar: `expire_in`, `timeout`, `start_in`, `auto_stop_in` (`ci-yaml.md §8.11`).

use std::sync::LazyLock;

use regex::Regex;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("An invalid word {0:?} was used in the string to be parsed.")]
pub struct InvalidWord(pub String);

/// Seconds; `None` for nothing or zero.
///
/// # Errors
/// A word that the grammar does not know.
pub fn parse(text: &str) -> Result<Option<f64>, InvalidWord> {
    let words = cleanup(text)?;
    Ok(Some(total(&words)).filter(|seconds| *seconds != 0.0))
}

static NUMBER: LazyLock<Regex> = LazyLock::new(|| constant(r"[0-9]*\.?[0-9]+"));
static CLOCK: LazyLock<Regex> = LazyLock::new(|| constant(r"^[0-9]+(?::[0-9]+)+(?:\.[0-9]+)?$"));

fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
}

const UNITS: [(&str, f64, &[&str]); 7] = [
    ("seconds", 1.0, &["second", "secs", "sec", "s"]),
    ("minutes", 60.0, &["minute", "mins", "min", "m"]),
    ("hours", 3600.0, &["hour", "hrs", "hr", "h"]),
    ("days", 86400.0, &["day", "d"]),
    ("weeks", 604_800.0, &["week", "wks", "wk", "w"]),
    ("months", 2_592_000.0, &["month", "mos", "mo"]),
    ("years", 31_557_600.0, &["year", "yrs", "yr", "y"]),
];
const JOINERS: [&str; 4] = ["and", "with", "plus", "years"];

fn unit(word: &str) -> Option<&'static str> {
    UNITS
        .iter()
        .find(|(name, _, others)| *name == word || others.contains(&word))
        .map(|(name, _, _)| *name)
}

/// Lower case, words for numbers as digits, a clock as units, every word in its long form.
fn cleanup(text: &str) -> Result<Vec<String>, InvalidWord> {
    let text = numerize(&text.to_lowercase());
    let text = clock(&text);
    let mut spaced = String::new();
    let mut rest = text.as_str();
    // Every number stands alone.
    while let Some(found) = NUMBER.find(rest) {
        spaced.push_str(&rest[..found.start()]);
        spaced.push(' ');
        spaced.push_str(found.as_str());
        spaced.push(' ');
        rest = &rest[found.end()..];
    }
    spaced.push_str(rest);
    let mut words = Vec::new();
    for word in spaced.split_whitespace() {
        if NUMBER
            .find(word)
            .is_some_and(|found| found.len() == word.len())
        {
            words.push(word.to_owned());
            continue;
        }
        let bare = word.trim_start_matches(',').trim_end_matches(',');
        match unit(bare) {
            Some(long) => words.push(long.to_owned()),
            None if bare.is_empty()
                && word == ","
                && !words.is_empty()
                && !spaced.trim_start().starts_with(',')
                && unit_before(&words) => {}
            None if JOINERS.contains(&bare) => {}
            None => return Err(InvalidWord(word.to_owned())),
        }
    }
    Ok(words)
}

fn unit_before(words: &[String]) -> bool {
    words.last().is_some_and(|word| unit(word).is_some())
}

/// `12:30:45` as `12 hours 30 minutes 45 seconds`; the last part is seconds.
fn clock(text: &str) -> String {
    if !CLOCK.is_match(text.trim()) {
        return text.to_owned();
    }
    let names = [
        "seconds", "minutes", "hours", "days", "weeks", "months", "years",
    ];
    let parts: Vec<&str> = text.trim().split(':').collect();
    parts
        .iter()
        .rev()
        .zip(names)
        .map(|(part, name)| format!("{part} {name}"))
        .rev_join()
}

trait ReverseJoin {
    fn rev_join(self) -> String;
}

impl<I: Iterator<Item = String>> ReverseJoin for I {
    fn rev_join(self) -> String {
        let mut all: Vec<String> = self.collect();
        all.reverse();
        all.join(" ")
    }
}

/// Sums `number unit` pairs; a number without unit are seconds, a unit without number is one.
fn total(words: &[String]) -> f64 {
    let mut sum = 0.0;
    let mut index = 0;
    while index < words.len() {
        match words[index].parse::<f64>() {
            Ok(number) => {
                let factor = words.get(index + 1).and_then(|word| factor(word));
                sum += number * factor.unwrap_or(1.0);
                index += if factor.is_some() { 2 } else { 1 };
            }
            Err(_) => {
                sum += factor(&words[index]).unwrap_or(0.0);
                index += 1;
            }
        }
    }
    sum
}

fn factor(word: &str) -> Option<f64> {
    UNITS
        .iter()
        .find(|(name, _, _)| *name == word)
        .map(|(_, factor, _)| *factor)
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// Number words as digits, as the Numerizer library does it for the numbers that people write.
fn numerize(text: &str) -> String {
    let text = text.replace(" and a half", ".5").replace("quarter", "1/4");
    let mut out: Vec<String> = Vec::new();
    let mut number: Option<u64> = None;
    for word in text.split(' ') {
        let (head, tail) = word
            .split_once(".5")
            .map_or((word, ""), |(head, _)| (head, ".5"));
        let small = SMALL.iter().position(|name| *name == head);
        let tens = TENS
            .iter()
            .position(|name| !name.is_empty() && *name == head);
        let value = small
            .or_else(|| tens.map(|n| n * 10))
            .and_then(|n| u64::try_from(n).ok());
        match (value, head) {
            (Some(value), _) if !tail.is_empty() => {
                out.push(format!("{}{tail}", number.take().unwrap_or(0) + value));
            }
            (Some(value), _) => number = Some(number.unwrap_or(0) + value),
            (None, "hundred") if number.is_some() => number = number.map(|n| n * 100),
            (None, "thousand") if number.is_some() => number = number.map(|n| n * 1000),
            (None, _) => {
                out.extend(number.take().map(|n| n.to_string()));
                out.push(word.to_owned());
            }
        }
    }
    out.extend(number.map(|n| n.to_string()));
    out.join(" ")
}
