//! A trace as HTML: sections fold, ANSI colours become classes, everything else is escaped.
//!
//! The input is hostile bytes (`runner-protocol.md §4.5`, §7.3): it is read as lossy UTF-8, every character is escaped, and
//! class names come from a closed list.

mod ansi;

use ansi::Pen;

/// One part of the rendered trace.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Lines outside any section, or inside the one that was opened last.
    Line {
        /// 1-based number in the trace.
        number: usize,
        /// Escaped HTML.
        html: String,
    },
    /// A section begins; what follows until its end belongs to it.
    Open {
        /// The section's name: letters, digits, `_`, `.`, `-`.
        name: String,
        /// Its header as escaped HTML.
        header: String,
        /// 1-based number of the header line.
        number: usize,
        /// Folded when the page opens.
        collapsed: bool,
    },
    /// The section that was opened last ends.
    Close {
        /// Seconds it took, when both stamps are sane.
        seconds: Option<i64>,
    },
}

/// A `section_start` or `section_end` marker.
struct Marker<'a> {
    start: bool,
    time: i64,
    name: &'a str,
    collapsed: bool,
    rest: &'a str,
}

/// Renders the text of a trace.
pub fn render(bytes: &[u8]) -> Vec<Part> {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = Vec::new();
    let mut pen = Pen::default();
    let mut open: Vec<(String, i64)> = Vec::new();
    let mut lines = text.split('\n').peekable();
    let mut number = 0;
    while let Some(raw) = lines.next() {
        if raw.is_empty() && lines.peek().is_none() {
            break;
        }
        number += 1;
        render_line(
            without_timestamp(raw),
            number,
            &mut pen,
            &mut open,
            &mut parts,
        );
    }
    for _ in open {
        parts.push(Part::Close { seconds: None });
    }
    parts
}

fn render_line(
    raw: &str,
    number: usize,
    pen: &mut Pen,
    open: &mut Vec<(String, i64)>,
    parts: &mut Vec<Part>,
) {
    let mut line = raw;
    let mut marked = false;
    while let Some((before, marker)) = find_marker(line) {
        if !before.trim().is_empty() {
            parts.push(Part::Line {
                number,
                html: pen.html(visible(before)),
            });
        }
        marked = true;
        line = marker.rest;
        if marker.start {
            let header_end = line
                .find("section_start:")
                .or_else(|| line.find("section_end:"))
                .unwrap_or(line.len());
            let header = pen.html(visible(&line[..header_end]));
            parts.push(Part::Open {
                name: marker.name.to_owned(),
                header,
                number,
                collapsed: marker.collapsed,
            });
            open.push((marker.name.to_owned(), marker.time));
            line = &line[header_end..];
        } else if let Some(depth) = open.iter().rposition(|(name, _)| name == marker.name) {
            while open.len() > depth + 1 {
                open.pop();
                parts.push(Part::Close { seconds: None });
            }
            let started = open.pop().map_or(0, |(_, time)| time);
            parts.push(Part::Close {
                seconds: marker
                    .time
                    .checked_sub(started)
                    .filter(|seconds| *seconds >= 0),
            });
        }
    }
    if !marked || !visible(line).trim().is_empty() {
        parts.push(Part::Line {
            number,
            html: pen.html(visible(line)),
        });
    }
}

/// What a terminal would show: the text after the last carriage return that has text behind it.
fn visible(line: &str) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.rsplit('\r')
        .find(|part| !part.is_empty() && *part != "\u{1b}[0K" && *part != "\u{1b}[K")
        .unwrap_or("")
}

fn find_marker(line: &str) -> Option<(&str, Marker<'_>)> {
    let at = [line.find("section_start:"), line.find("section_end:")]
        .into_iter()
        .flatten()
        .min()?;
    let (before, marker) = line.split_at(at);
    let start = marker.starts_with("section_start:");
    let body = &marker[if start {
        "section_start:".len()
    } else {
        "section_end:".len()
    }..];
    let (stamp, after) = body.split_once(':')?;
    let time = stamp.parse().ok()?;
    let end = after.find('\r').unwrap_or(after.len());
    let (label, rest) = after.split_at(end);
    let (name, options) = label
        .split_once('[')
        .map_or((label, ""), |(name, options)| {
            (name, options.trim_end_matches(']'))
        });
    let sane = !name.is_empty()
        && name.len() <= 255
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let rest = rest.strip_prefix('\r').unwrap_or(rest);
    let rest = rest.strip_prefix("\u{1b}[0K").unwrap_or(rest);
    sane.then(|| {
        (
            before,
            Marker {
                start,
                time,
                name,
                collapsed: options.split(',').any(|o| o == "collapsed=true"),
                rest,
            },
        )
    })
}

/// Drops the runner's 32-byte line header where there is one; it is known by its shape.
fn without_timestamp(line: &str) -> &str {
    let bytes = line.as_bytes();
    let shaped = bytes.len() >= 32
        && line.is_char_boundary(32)
        && [
            (4, b'-'),
            (7, b'-'),
            (10, b'T'),
            (13, b':'),
            (16, b':'),
            (19, b'.'),
            (26, b'Z'),
            (27, b' '),
        ]
        .iter()
        .all(|(at, byte)| bytes[*at] == *byte)
        && matches!(bytes[30], b'O' | b'E')
        && matches!(bytes[31], b' ' | b'+');
    if shaped { &line[32..] } else { line }
}

/// The parts as one piece of HTML: sections fold, every text in it is escaped already.
pub fn to_html(parts: &[Part]) -> String {
    use std::fmt::Write as _;
    let mut html = String::new();
    let mut open = 0;
    for part in parts {
        // Writing to a string cannot fail.
        let _ = match part {
            Part::Line { number, html: line } => {
                writeln!(html, "<span class=\"line-number\">{number}</span>{line}")
            }
            Part::Open {
                header,
                number,
                collapsed,
                ..
            } => {
                open += 1;
                let state = if *collapsed { "" } else { " open" };
                writeln!(
                    html,
                    "<details{state}><summary><span class=\"line-number\">{number}</span>{header}</summary>"
                )
            }
            Part::Close { seconds } if open > 0 => {
                open -= 1;
                match seconds {
                    Some(seconds) => writeln!(html, "<small>{seconds} s</small></details>"),
                    None => writeln!(html, "</details>"),
                }
            }
            Part::Close { .. } => Ok(()),
        };
    }
    html.push_str(&"</details>".repeat(open));
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_colours() {
        let parts = render(b"<b>\x1b[32;1mgo\x1b[0m & stop\n");
        assert_eq!(
            parts,
            [Part::Line {
                number: 1,
                html: "&lt;b&gt;<span class=\"fg2 b\">go</span> &amp; stop".to_owned()
            }]
        );
    }

    #[test]
    fn folds_sections() {
        let trace = "section_start:100:get[collapsed=true]\r\x1b[0KGetting\nx\nsection_end:103:get\r\x1b[0K\ny\n";
        let parts = render(trace.as_bytes());
        assert_eq!(
            parts[0],
            Part::Open {
                name: "get".to_owned(),
                header: "Getting".to_owned(),
                number: 1,
                collapsed: true
            }
        );
        assert_eq!(parts[2], Part::Close { seconds: Some(3) });
        assert_eq!(
            parts[3],
            Part::Line {
                number: 4,
                html: "y".to_owned()
            }
        );
    }

    #[test]
    fn closes_what_never_ends_and_ignores_foreign_ends() {
        let parts = render(b"section_end:1:zz\r\x1b[0K\nsection_start:1:a\r\x1b[0Ka\nsection_start:2:b\r\x1b[0Kb\nsection_end:5:a\r\x1b[0K");
        let opens = parts
            .iter()
            .filter(|p| matches!(p, Part::Open { .. }))
            .count();
        let closes = parts
            .iter()
            .filter(|p| matches!(p, Part::Close { .. }))
            .count();
        assert_eq!((opens, closes), (2, 2));
    }

    #[test]
    fn carriage_returns_overwrite() {
        assert_eq!(
            render(b"10%\r20%\r30%\n"),
            [Part::Line {
                number: 1,
                html: "30%".to_owned()
            }]
        );
    }

    #[test]
    fn survives_rubbish() {
        render(b"\x1b[999999999999999;;;m\x1b[\xff\xfe section_start:x:y\x1b]0;t\x07");
        render(b"2026-03-01T10:00:00.000123Z 00O section_start:1772359200:step\n2026-03-01T10:00:00.000140Z 00O+Executing\n");
    }
}
