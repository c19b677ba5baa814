//! `/PATTERN/flags` as RE2 behind GitLab reads it, on the `regex` crate: linear time whatever the pattern (`ci-yaml.md §10`).

use regex::{Regex, RegexBuilder};

/// Memory that a compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// RE2 refuses larger counts.
const MAX_REPEAT: u32 = 1000;

/// Why a text is no usable pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not of the form `/PATTERN/flags`.
    #[error("not a pattern")]
    NotAPattern,
    /// RE2 would refuse it.
    #[error("{0}")]
    Invalid(String),
}

/// Reads `/PATTERN/flags` with flags out of `i s m U`.
///
/// # Errors
/// [`PatternError`].
pub fn parse(text: &str) -> Result<Regex, PatternError> {
    let body = text.strip_prefix('/').ok_or(PatternError::NotAPattern)?;
    let end = body.rfind('/').ok_or(PatternError::NotAPattern)?;
    let (source, flags) = (&body[..end], &body[end + 1..]);
    if !flags.chars().all(|flag| "ismU".contains(flag)) {
        return Err(PatternError::NotAPattern);
    }
    compile(&source.replace("\\/", "/"), flags)
}

/// Compiles a pattern without slashes.
///
/// # Errors
/// [`PatternError::Invalid`].
pub fn compile(source: &str, flags: &str) -> Result<Regex, PatternError> {
    let translated = translate(source)?;
    let has = |flag: char| flags.contains(flag);
    RegexBuilder::new(&translated)
        .case_insensitive(has('i'))
        .dot_matches_new_line(has('s'))
        .multi_line(has('m'))
        .swap_greed(has('U'))
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| PatternError::Invalid(error.to_string()))
}

fn invalid(message: String) -> PatternError {
    PatternError::Invalid(message)
}

/// Rewrites what RE2 and the `regex` crate mean differently, and refuses what only the crate knows.
fn translate(source: &str) -> Result<String, PatternError> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len() + 16);
    let (mut at, mut in_set) = (0, false);
    while at < chars.len() {
        let c = chars[at];
        match c {
            '\\' => at += escape(&chars[at + 1..], in_set, &mut out)?,
            '[' if in_set && chars.get(at + 1) == Some(&':') => {
                let end = chars[at..]
                    .iter()
                    .position(|c| *c == ']')
                    .ok_or_else(|| invalid(format!("missing ]: {source}")))?;
                out.extend(&chars[at..=at + end]);
                at += end;
            }
            // Inside a set these are plain characters to RE2, but operators to the crate.
            '[' if in_set => out.push_str("\\["),
            '&' | '~' if in_set => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_set && chars.get(at + 1) == Some(&'-') => out.push_str("\\-"),
            '[' => {
                in_set = true;
                out.push('[');
                if chars.get(at + 1) == Some(&'^') {
                    out.push('^');
                    at += 1;
                }
                if chars.get(at + 1) == Some(&']') {
                    out.push_str("\\]");
                    at += 1;
                }
            }
            ']' if in_set => {
                in_set = false;
                out.push(']');
            }
            '(' if !in_set && chars.get(at + 1) == Some(&'?') => {
                group(&chars[at + 2..])?;
                out.push('(');
            }
            '*' | '+' | '?' if !in_set && at > 0 && repeats_twice(&chars, at) => {
                return Err(invalid(format!(
                    "bad repetition operator: {}{c}",
                    chars[at - 1]
                )));
            }
            '{' if !in_set => {
                let count = repeat(&chars[at..]);
                if let Some(Err(message)) = count {
                    return Err(invalid(message));
                }
                out.push_str(if count.is_none() { "\\{" } else { "{" });
            }
            _ => out.push(c),
        }
        at += 1;
    }
    Ok(out)
}

/// `**`, `++` and the like; `+?` is the lazy form.
fn repeats_twice(chars: &[char], at: usize) -> bool {
    let escaped = at >= 2 && chars[at - 2] == '\\' && !(at >= 3 && chars[at - 3] == '\\');
    matches!(chars[at - 1], '*' | '+') && chars[at] != '?' && !escaped
}

/// `{n}`, `{n,}`, `{n,m}`; `None` for a brace that is just a brace.
fn repeat(chars: &[char]) -> Option<Result<(), String>> {
    let end = chars.iter().position(|c| *c == '}')?;
    let body: String = chars[1..end].iter().collect();
    let (low, high) = body.split_once(',').unwrap_or((&body, &body));
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u32>().unwrap_or(u32::MAX))
    };
    let low = number(low)?;
    let high = if high.is_empty() { low } else { number(high)? };
    Some(if low > MAX_REPEAT || high > MAX_REPEAT || high < low {
        Err(format!("invalid repetition size: {{{body}}}"))
    } else {
        Ok(())
    })
}

/// Which `(?…` RE2 knows: flags `i m s U`, `(?:`, `(?P<name>`.
fn group(rest: &[char]) -> Result<(), PatternError> {
    let text: String = rest.iter().take(8).collect();
    if text.starts_with("P<") {
        return Ok(());
    }
    let flags = text.chars().take_while(|c| "imsU-".contains(*c)).count();
    match text.chars().nth(flags) {
        Some(':' | ')') => Ok(()),
        _ => Err(invalid(format!(
            "invalid perl operator: (?{}",
            text.chars().take(1).collect::<String>()
        ))),
    }
}

/// What follows a backslash; how many characters were used.
fn escape(rest: &[char], in_set: bool, out: &mut String) -> Result<usize, PatternError> {
    let Some(c) = rest.first().copied() else {
        return Err(invalid("trailing \\".to_owned()));
    };
    let class = |out: &mut String, inside: &str, negated: bool| {
        out.push_str(&format!("[{}{inside}]", if negated { "^" } else { "" }));
    };
    match c {
        'd' | 'D' => class(out, "0-9", c == 'D'),
        'w' | 'W' => class(out, "0-9A-Za-z_", c == 'W'),
        's' | 'S' => class(out, "\\t\\n\\x0C\\r ", c == 'S'),
        'b' if !in_set => out.push_str("(?-u:\\b)"),
        'B' if !in_set => out.push_str("(?-u:\\B)"),
        'C' if !in_set => out.push_str("(?s:.)"),
        'Q' => {
            let end = rest.windows(2).position(|pair| pair == ['\\', 'E']);
            let literal: String = rest[1..end.unwrap_or(rest.len())].iter().collect();
            out.push_str(&regex::escape(&literal));
            return Ok(end.map_or(rest.len(), |end| end + 2));
        }
        'A' | 'z' if !in_set => out.extend(['\\', c]),
        'x' | 'p' | 'P' if rest.get(1) == Some(&'{') => {
            let end = rest
                .iter()
                .position(|c| *c == '}')
                .ok_or_else(|| invalid(format!("invalid escape sequence: \\{c}")))?;
            out.push('\\');
            out.extend(&rest[..=end]);
            return Ok(end + 1);
        }
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => out.extend(['\\', c]),
        '0'..='7' if c == '0' || rest.get(1).is_some_and(|next| ('0'..='7').contains(next)) => {
            let digits: String = rest
                .iter()
                .take(3)
                .take_while(|c| ('0'..='7').contains(*c))
                .collect();
            out.push_str(&format!(
                "\\x{{{:X}}}",
                u32::from_str_radix(&digits, 8).unwrap_or(0)
            ));
            return Ok(digits.len());
        }
        c if c.is_ascii_punctuation() => {
            out.push_str(&regex::escape(&c.to_string()));
            if in_set && !regex::escape(&c.to_string()).starts_with('\\') {
                let plain = out.pop();
                out.push('\\');
                out.extend(plain);
            }
        }
        c if !c.is_ascii() => out.push(c),
        c => return Err(invalid(format!("invalid escape sequence: \\{c}"))),
    }
    Ok(1)
}
