//! ANSI colour codes as HTML spans with classes from a closed list.

use std::fmt::Write as _;

/// What the terminal's pen looks like; it carries over from line to line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pen {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    italic: bool,
    underline: bool,
}

impl Pen {
    /// The line as escaped HTML; codes change the pen, other control characters vanish.
    pub fn html(&mut self, line: &str) -> String {
        let mut html = String::with_capacity(line.len() + 16);
        let mut rest = line;
        let mut open = false;
        while let Some(at) = rest.find('\u{1b}') {
            self.text(&rest[..at], &mut open, &mut html);
            rest = &rest[at + 1..];
            let Some((codes, command, after)) = split_sequence(rest) else {
                rest = skip_other_sequence(rest);
                continue;
            };
            if command == 'm' {
                if open {
                    html.push_str("</span>");
                    open = false;
                }
                self.select(codes);
            }
            rest = after;
        }
        self.text(rest, &mut open, &mut html);
        if open {
            html.push_str("</span>");
        }
        html
    }

    fn text(&self, text: &str, open: &mut bool, html: &mut String) {
        if text.is_empty() {
            return;
        }
        if !*open && *self != Self::default() {
            let _ = write!(html, "<span class=\"{}\">", self.classes());
            *open = true;
        }
        for c in text.chars() {
            match c {
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '&' => html.push_str("&amp;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                '\t' => html.push('\t'),
                c if c.is_control() => {}
                c => html.push(c),
            }
        }
    }

    fn classes(&self) -> String {
        let colour = |prefix: &str, colour: Option<u8>| colour.map(|n| format!("{prefix}{n}"));
        [
            colour("fg", self.foreground),
            colour("bg", self.background),
            self.bold.then(|| "b".to_owned()),
            self.italic.then(|| "i".to_owned()),
            self.underline.then(|| "u".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
    }

    fn select(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| {
            code.parse::<u16>()
                .unwrap_or(if code.is_empty() { 0 } else { u16::MAX })
        });
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                3 => self.italic = true,
                4 => self.underline = true,
                22 => self.bold = false,
                23 => self.italic = false,
                24 => self.underline = false,
                30..=37 => self.foreground = u8::try_from(code - 30).ok(),
                39 => self.foreground = None,
                40..=47 => self.background = u8::try_from(code - 40).ok(),
                49 => self.background = None,
                90..=97 => self.foreground = u8::try_from(code - 82).ok(),
                100..=107 => self.background = u8::try_from(code - 92).ok(),
                38 => self.foreground = extended(&mut codes).or(self.foreground),
                48 => self.background = extended(&mut codes).or(self.background),
                _ => {}
            }
        }
    }
}

/// `5;N` picks one of 256; `2;R;G;B` is brought to the nearest of the colour cube.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    match codes.next()? {
        5 => u8::try_from(codes.next()?).ok(),
        2 => {
            let mut channel = || codes.next().map(|value| (value.min(255) * 5 + 127) / 255);
            let (red, green, blue) = (channel()?, channel()?, channel()?);
            u8::try_from(16 + 36 * red + 6 * green + blue).ok()
        }
        _ => None,
    }
}

/// Splits `[codes` + command letter off a control sequence, whose escape character is already gone.
fn split_sequence(text: &str) -> Option<(&str, char, &str)> {
    let body = text.strip_prefix('[')?;
    let end = body.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == '?' || c == ':'))?;
    let command = body[end..].chars().next()?;
    Some((&body[..end], command, &body[end + command.len_utf8()..]))
}

/// Leaves out an operating-system command up to its end, or else one character.
fn skip_other_sequence(text: &str) -> &str {
    if let Some(body) = text.strip_prefix(']') {
        return body
            .find(['\u{7}', '\u{1b}'])
            .map_or("", |end| &body[end + 1..]);
    }
    text.strip_prefix('[').unwrap_or(text)
}
