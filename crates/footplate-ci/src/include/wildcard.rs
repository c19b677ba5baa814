//! Wildcards of `include:local` (`ci-yaml.md §4.2`). They are no globs: `*` and `**` are all there is.

use regex::Regex;

/// The paths that a location matches, in their order.
pub(super) fn matching<'p>(location: &str, paths: &'p [String]) -> Vec<&'p String> {
    let pattern = regex::escape(location.trim_start_matches('/'))
        .replace(r"\*\*", ".*?")
        .replace(r"\*", "[^/]*?");
    // One that is too large for the engine matches no path of sensible length either.
    let Ok(pattern) = Regex::new(&format!("^{pattern}$")) else {
        return Vec::new();
    };
    paths.iter().filter(|path| pattern.is_match(path)).collect()
}
