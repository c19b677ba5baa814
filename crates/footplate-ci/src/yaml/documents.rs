//! A text as documents, divided the way GitLab divides it (`ci-yaml.md §2`).

/// White space of Ruby's `\s`.
const BLANK: [char; 6] = [' ', '\t', '\r', '\n', '\u{b}', '\u{c}'];
/// Header and body, and what may stand before the first divider.
const PARTS: usize = 3;

/// A part of a text, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'t> {
    /// The text behind the divider and the white space that follows it.
    pub text: &'t str,
    /// Lines before it.
    pub line: u32,
    /// Columns before it on its first line.
    pub column: u32,
}

/// At most three parts; the last one keeps whatever dividers follow, and only its first document is read.
///
/// Parts without anything to read are kept: whether they are blank shows only when they are read.
pub fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parts = Vec::new();
    let mut begin = 0;
    for (start, behind) in dividers(text).take(PARTS - 1) {
        parts.push(part(text, begin, start));
        begin = behind;
    }
    parts.push(part(text, begin, text.len()));
    parts
}

fn part(text: &str, begin: usize, end: usize) -> Document<'_> {
    let before = &text[..begin];
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Document {
        text: &text[begin..end],
        line: count(before.matches('\n').count()),
        column: count(before[line_start..].chars().count()),
    }
}

/// Where each divider begins, and where the text behind it does.
fn dividers(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[next..].find("---") {
            let start = next + found;
            let behind = &text[start + 3..];
            let blank = behind.len() - behind.trim_start_matches(BLANK).len();
            let begins_line = start == 0 || text.as_bytes()[start - 1] == b'\n';
            next = start + 3;
            if begins_line && blank > 0 {
                next += blank;
                return Some((start, next));
            }
        }
        None
    })
}
