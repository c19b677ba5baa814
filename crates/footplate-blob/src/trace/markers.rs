//! The markers of sections in a trace (`runner-protocol.md §4.5`).

/// `section_start:UNIXTIME:NAME[opt=value,…]\r\x1b[0K`, or the same with `end`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marker<'a> {
    pub(super) start: bool,
    /// Unix time in seconds.
    pub(super) time: i64,
    pub(super) name: &'a str,
    /// Bytes of the marker.
    pub(super) length: usize,
}

/// What stands at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// No marker.
    No,
    /// It may become one with more text.
    Incomplete,
    Marker(Marker<'a>),
}

/// What every marker begins with.
pub(super) const BEGINNING: &[u8] = b"section_";
const ERASE: &[u8] = b"\x1b[0K";
const NAME: usize = 255;
const OPTIONS: usize = 512;

/// Parses a marker at the beginning of `text`, which begins with [`BEGINNING`].
pub(super) fn parse(text: &[u8]) -> Parsed<'_> {
    let Some(rest) = text.strip_prefix(BEGINNING) else {
        return Parsed::No;
    };
    for (word, start) in [(&b"start:"[..], true), (b"end:", false)] {
        if let Some(rest) = rest.strip_prefix(word) {
            return after_word(text, rest, start).unwrap_or_else(|parsed| parsed);
        }
        if word.starts_with(rest) {
            return Parsed::Incomplete;
        }
    }
    Parsed::No
}

fn after_word<'a>(
    text: &'a [u8],
    rest: &'a [u8],
    start: bool,
) -> Result<Parsed<'a>, Parsed<'static>> {
    let (time, rest) = split(rest, 19, u8::is_ascii_digit)?;
    let Some(rest) = rest.strip_prefix(b":") else {
        return Ok(Parsed::No);
    };
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let (name, rest) = split(rest, NAME, in_name)?;
    let rest = match rest.strip_prefix(b"[") {
        Some(options) => {
            let inside = |b: &u8| !matches!(b, b']' | b'\r' | b'\n');
            let end = options.iter().take(OPTIONS).take_while(|b| inside(b));
            let rest = &options[end.count()..];
            match rest.strip_prefix(b"]") {
                None if rest.is_empty() => return Ok(Parsed::Incomplete),
                None => return Ok(Parsed::No),
                Some([]) => return Ok(Parsed::Incomplete),
                Some(rest) => rest,
            }
        }
        None => rest,
    };
    // with timestamps the runner breaks the line here and the rest is a continuation
    let Some(rest) = rest.strip_prefix(b"\r") else {
        return Ok(Parsed::No);
    };
    if rest.len() < ERASE.len() && ERASE.starts_with(rest) {
        return Ok(Parsed::Incomplete);
    }
    Ok(complete(
        text,
        rest.strip_prefix(ERASE).unwrap_or(rest),
        start,
        time,
        name,
    ))
}

fn complete<'a>(
    text: &'a [u8],
    rest: &[u8],
    start: bool,
    time: &[u8],
    name: &'a [u8],
) -> Parsed<'a> {
    let time = str::from_utf8(time).ok().and_then(|time| time.parse().ok());
    let (Some(time), Ok(name)) = (time, str::from_utf8(name)) else {
        return Parsed::No;
    };
    Parsed::Marker(Marker {
        start,
        time,
        name,
        length: text.len() - rest.len(),
    })
}

/// One to `most` bytes that fit, and what follows them.
fn split(
    text: &[u8],
    most: usize,
    fits: impl Fn(&u8) -> bool,
) -> Result<(&[u8], &[u8]), Parsed<'static>> {
    let length = text.iter().take(most + 1).take_while(|b| fits(b)).count();
    if length > most {
        return Err(Parsed::No);
    }
    match text.split_at(length) {
        (_, []) => Err(Parsed::Incomplete),
        ([], _) => Err(Parsed::No),
        split => Ok(split),
    }
}

#[cfg(test)]
mod tests {
    use super::{Marker, Parsed, parse};

    #[test]
    fn markers_of_all_shapes() {
        let marker = |start, time, name, length| {
            Parsed::Marker(Marker {
                start,
                time,
                name,
                length,
            })
        };
        let long = format!("section_start:1:{}\r\x1b[0K", "n".repeat(256));
        let many = format!("section_start:1:n[{}]\r\x1b[0K", "o".repeat(513));
        for (text, parsed) in [
            (
                "section_start:1772359200:step_script\r\x1b[0Kx",
                marker(true, 1_772_359_200, "step_script", 41),
            ),
            (
                "section_end:7:a.b-c\r\x1b[0K",
                marker(false, 7, "a.b-c", 24),
            ),
            (
                "section_start:7:a[collapsed=true,hide_duration=true]\r\x1b[0K",
                marker(true, 7, "a", 57),
            ),
            ("section_start:7:a\r\nnext", marker(true, 7, "a", 18)),
            ("section_start:7:a\nnext", Parsed::No),
            ("section_start:7:a b\r\x1b[0K", Parsed::No),
            ("section_start::a\r\x1b[0K", Parsed::No),
            ("section_start:7:\r\x1b[0K", Parsed::No),
            ("section_start:9999999999999999999:a\r\x1b[0K", Parsed::No),
            ("section_start:7:a[b\r\x1b[0K", Parsed::No),
            ("section_of a book", Parsed::No),
            (&long, Parsed::No),
            (&many, Parsed::No),
        ] {
            assert_eq!(parse(text.as_bytes()), parsed, "{text:?}");
        }
    }

    #[test]
    fn every_beginning_is_incomplete() {
        let text = b"section_end:1772359200:step_script[a=b]\r\x1b[0K";
        for length in 8..text.len() {
            assert_eq!(parse(&text[..length]), Parsed::Incomplete, "{length}");
        }
    }
}
