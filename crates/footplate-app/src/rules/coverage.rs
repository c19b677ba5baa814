//! The coverage value of a job, from the end of its trace (`pipeline-processing.md §15`).

use std::sync::LazyLock;

use regex::Regex;

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d+(?:\.\d+)?").unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
});

/// The first number of the last match in the last matching line; the capture counts where the pattern has one.
///
/// The pattern has no slashes. A pattern that does not compile finds nothing, as in GitLab.
pub fn extract(trace: &str, pattern: &str) -> Option<f64> {
    let pattern = Regex::new(pattern).ok()?;
    trace.lines().rev().find_map(|line| {
        let found = pattern.captures_iter(line).last()?;
        let text = found
            .iter()
            .skip(1)
            .flatten()
            .last()
            .or_else(|| found.get(0))?;
        NUMBER.find(text.as_str())?.as_str().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::extract;

    #[test]
    fn takes_the_last_line_and_the_last_match() {
        let trace = "Coverage: 10%\nCoverage: 20.5% then Coverage: 98.29%\nbye";
        assert_eq!(extract(trace, r"Coverage: \d+(\.\d+)?%"), Some(29.0));
        assert_eq!(extract(trace, r"Coverage: (\d+\.\d+)%"), Some(98.29));
        assert_eq!(extract(trace, r"Coverage: \d+(?:\.\d+)?%"), Some(98.29));
        assert_eq!(extract(trace, r"nothing"), None);
        assert_eq!(extract(trace, r"("), None);
        let indented = "  Lines:   48.46% (510/650)\n  Lines:   78.46% (510/650)\nsection_end:1:step_script\r\x1b[0K";
        let pattern = r"^\s*Lines:\s*(\d+.\d+)\%";
        assert_eq!(extract(indented, pattern), Some(78.46));
    }
}
