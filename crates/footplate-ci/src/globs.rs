//! Ruby's `File.fnmatch` with PATHNAME, DOTMATCH and EXTGLOB: path patterns of `changes` and `exists` (`ci-yaml.md §11.3`).

/// Alternatives that one pattern may expand to; beyond that the rest is left out.
const MAX_ALTERNATIVES: usize = 1024;

/// Whether the whole path matches the pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    Glob::new(pattern).matches(path)
}

/// A pattern, ready to be tried on many paths.
#[derive(Debug, Clone)]
pub struct Glob {
    alternatives: Vec<Vec<char>>,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let mut alternatives = Vec::new();
        expand_braces(&pattern.chars().collect::<Vec<_>>(), &mut alternatives);
        Self { alternatives }
    }

    /// Whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.alternatives
            .iter()
            .any(|pattern| matches_path(pattern, &path))
    }
}

/// `{a,b}` becomes one pattern for each alternative, as Ruby's `ruby_brace_expand` does it.
fn expand_braces(pattern: &[char], out: &mut Vec<Vec<char>>) {
    if out.len() >= MAX_ALTERNATIVES {
        return;
    }
    let (mut left, mut right, mut nest) = (None, None, 0_i32);
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '{' => {
                if nest == 0 {
                    left = Some(at);
                }
                nest += 1;
            }
            '}' if left.is_some() => {
                nest -= 1;
                if nest == 0 {
                    right = Some(at);
                    break;
                }
            }
            '\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    let (Some(left), Some(right)) = (left, right) else {
        out.push(pattern.to_vec());
        return;
    };
    let mut start = left + 1;
    let (mut at, mut nest) = (left + 1, 0);
    while at <= right {
        let c = pattern[at];
        if at == right || (c == ',' && nest == 0) {
            let mut one = pattern[..left].to_vec();
            one.extend(&pattern[start..at]);
            one.extend(&pattern[right + 1..]);
            expand_braces(&one, out);
            start = at + 1;
        } else if c == '{' {
            nest += 1;
        } else if c == '}' {
            nest -= 1;
        } else if c == '\\' {
            at += 1;
        }
        at += 1;
    }
}

/// Segment by segment; `**/` stands for any number of whole segments.
fn matches_path(pattern: &[char], path: &[char]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        while pattern[p..].starts_with(&['*', '*', '/']) {
            p += 3;
            while pattern.get(p) == Some(&'/') {
                p += 1;
            }
            retry = Some((p, s));
        }
        if let Some((pattern_used, path_used)) = segment(&pattern[p..], &path[s..]) {
            let (next_p, next_s) = (p + pattern_used, s + path_used);
            match (pattern.get(next_p), path.get(next_s)) {
                (None, None) => return true,
                (Some('/'), Some('/')) => {
                    p = next_p + 1;
                    s = next_s + 1;
                    continue;
                }
                _ => {}
            }
        }
        // Let the last `**/` swallow one more segment.
        let Some((after, begun)) = retry else {
            return false;
        };
        let Some(slash) = path[begun..].iter().position(|c| *c == '/') else {
            return false;
        };
        p = after;
        s = begun + slash + 1;
        retry = Some((after, s));
    }
}

/// Matches up to the next `/` of both; how much of each was used.
fn segment(pattern: &[char], path: &[char]) -> Option<(usize, usize)> {
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('*') => {
                while pattern.get(p) == Some(&'*') {
                    p += 1;
                }
                star = Some((p, s));
                continue;
            }
            None | Some('/') if matches!(path.get(s), None | Some('/')) => return Some((p, s)),
            None | Some('/') => None,
            Some('?') if path.get(s).is_some_and(|c| *c != '/') => Some((1, 1)),
            Some('?') => None,
            Some('[') => match path.get(s).filter(|c| **c != '/') {
                Some(c) => bracket(&pattern[p + 1..], *c).map(|used| (used + 1, 1)),
                None => None,
            },
            Some('\\') if pattern.get(p + 1).is_some() => {
                (pattern.get(p + 1) == path.get(s)).then_some((2, 1))
            }
            Some(c) => (path.get(s) == Some(c)).then_some((1, 1)),
        };
        match step {
            Some((of_pattern, of_path)) => {
                p += of_pattern;
                s += of_path;
            }
            None => {
                let (after, begun) = star?;
                if matches!(path.get(begun), None | Some('/')) {
                    return None;
                }
                p = after;
                s = begun + 1;
                star = Some((after, s));
            }
        }
    }
}

/// A set behind its `[`; how much was used when `c` is in it.
fn bracket(set: &[char], c: char) -> Option<usize> {
    let mut at = 0;
    let negated = matches!(set.first(), Some('!' | '^'));
    if negated {
        at += 1;
    }
    let mut found = false;
    let read = |at: &mut usize| -> Option<char> {
        let escaped = set.get(*at) == Some(&'\\') && set.get(*at + 1).is_some();
        if escaped {
            *at += 1;
        }
        let c = set.get(*at).copied()?;
        *at += 1;
        Some(c)
    };
    while set.get(at) != Some(&']') {
        let low = read(&mut at)?;
        let mut high = low;
        if set.get(at) == Some(&'-') && set.get(at + 1).is_some_and(|c| *c != ']') {
            at += 1;
            high = read(&mut at)?;
        }
        if c == low || c == high || (low <= c && c <= high) {
            found = true;
        }
    }
    (found != negated).then_some(at + 1)
}
