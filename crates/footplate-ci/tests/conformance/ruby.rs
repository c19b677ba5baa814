//! Recordings of the Ruby libraries underneath: every row.

use std::fs;

use footplate_ci::{durations, globs, patterns};
use serde_json::Value as Json;

use crate::harness::folder;

fn rows(file: &str) -> Option<Vec<Json>> {
    let path = folder("ruby")?.join(file);
    Some(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

fn judge(file: &str, count: usize, faults: &[String]) {
    println!(
        "{file}: {} passed, {} failed",
        count - faults.len(),
        faults.len()
    );
    assert!(
        count > 0 && faults.is_empty(),
        "{file}: {} faults\n{}",
        faults.len(),
        faults
            .iter()
            .take(60)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn globs_match_as_fnmatch() {
    let Some(rows) = rows("fnmatch.json") else {
        return;
    };
    let faults: Vec<String> = rows
        .iter()
        .filter(|row| {
            globs::matches(row["glob"].as_str().unwrap(), row["path"].as_str().unwrap())
                != row["match"].as_bool().unwrap()
        })
        .map(Json::to_string)
        .collect();
    judge("fnmatch.json", rows.len(), &faults);
}

#[test]
fn durations_read_as_chronic_duration() {
    let Some(rows) = rows("durations.json") else {
        return;
    };
    let mut faults = Vec::new();
    for row in &rows {
        let got = durations::parse(row["text"].as_str().unwrap());
        let fits = match (&got, row["error"].as_str()) {
            (Err(error), Some(expected)) => error.to_string() == expected,
            (Ok(seconds), None) => *seconds == row["seconds"].as_f64(),
            _ => false,
        };
        if !fits {
            faults.push(format!("{row}: got {got:?}"));
        }
    }
    judge("durations.json", rows.len(), &faults);
}

#[test]
fn patterns_match_as_re2() {
    let Some(rows) = rows("regexp.json") else {
        return;
    };
    let mut faults = Vec::new();
    for row in &rows {
        let text = row["pattern"].as_str().unwrap();
        let texts = |key: &str| {
            row[key]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .collect::<Vec<_>>()
        };
        match (patterns::parse(text), row.get("error")) {
            (Err(_), Some(_)) => {}
            (Ok(pattern), None) => {
                let wrong: Vec<&str> = texts("matches")
                    .into_iter()
                    .filter(|t| !pattern.is_match(t))
                    .chain(texts("not").into_iter().filter(|t| pattern.is_match(t)))
                    .collect();
                if !wrong.is_empty() {
                    faults.push(format!("{text} ({pattern}): wrong on {wrong:?}"));
                }
            }
            (Ok(pattern), Some(error)) => {
                faults.push(format!("{text}: accepted as {pattern}, expected {error}"));
            }
            (Err(error), None) => faults.push(format!("{text}: {error}")),
        }
    }
    judge("regexp.json", rows.len(), &faults);
}
