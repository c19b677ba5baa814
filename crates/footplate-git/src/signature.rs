//! Who made a commit or tag, and when, with the offset of their clock.

use footplate_model::Timestamp;

/// A name, an address and an instant with the writer's offset from UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Name, may be empty.
    pub name: String,
    /// Address, may be empty.
    pub email: String,
    /// The instant.
    pub time: Timestamp,
    /// Offset of the writer's clock in minutes east of UTC.
    pub offset_minutes: i32,
}

impl Signature {
    /// Parses `NAME <EMAIL> SECONDS +HHMM` as it stands in objects; whatever is missing is empty or zero.
    pub(crate) fn parse(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let (name, rest) = text.split_once('<').unwrap_or((&text, ""));
        let (email, when) = rest.rsplit_once('>').unwrap_or((rest, ""));
        let mut when = when.split_whitespace();
        let seconds = when.next().and_then(|s| s.parse().ok()).unwrap_or(0);
        Self {
            name: name.trim().to_owned(),
            email: email.trim().to_owned(),
            time: Timestamp::from_seconds(seconds),
            offset_minutes: when.next().map_or(0, offset),
        }
    }

    /// The line as it stands in objects; characters that git forbids there are left out.
    pub(crate) fn line(&self) -> String {
        let minutes = self.offset_minutes.unsigned_abs();
        format!(
            "{} <{}> {} {}{:02}{:02}",
            clean(&self.name),
            clean(&self.email),
            self.time.as_seconds(),
            if self.offset_minutes < 0 { '-' } else { '+' },
            minutes / 60,
            minutes % 60
        )
    }

    /// ISO 8601 with milliseconds and the writer's offset, as GitLab shows commit dates: `2012-09-20T11:50:22.000+03:00`.
    pub fn iso8601(&self) -> String {
        let shifted = self
            .time
            .as_seconds()
            .saturating_add(i64::from(self.offset_minutes) * 60);
        let local = Timestamp::from_seconds(shifted).to_string();
        let minutes = self.offset_minutes.unsigned_abs();
        format!(
            "{}{}{:02}:{:02}",
            local.trim_end_matches('Z'),
            if self.offset_minutes < 0 { '-' } else { '+' },
            minutes / 60,
            minutes % 60
        )
    }
}

fn clean(text: &str) -> String {
    let allowed: String = text
        .chars()
        .filter(|c| !matches!(c, '<' | '>' | '\n' | '\r' | '\0'))
        .collect();
    // git strips these from both ends of names and addresses
    allowed
        .trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c))
        .to_owned()
}

fn offset(zone: &str) -> i32 {
    let (sign, digits) = match zone.split_at_checked(1) {
        Some(("-", digits)) => (-1, digits),
        Some(("+", digits)) => (1, digits),
        _ => return 0,
    };
    let number: i32 = digits.parse().unwrap_or(0);
    let minutes = number / 100 * 60 + number % 100;
    if minutes < 24 * 60 { sign * minutes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::Signature;

    #[test]
    fn reads_and_writes_the_line_of_objects() {
        let line = "A U Thor <a@example.org> 1348131022 +0300";
        let signature = Signature::parse(line.as_bytes());
        assert_eq!(signature.name, "A U Thor");
        assert_eq!(signature.offset_minutes, 180);
        assert_eq!(signature.iso8601(), "2012-09-20T11:50:22.000+03:00");
        assert_eq!(signature.line(), line);
    }

    #[test]
    fn survives_nonsense() {
        for line in [
            "",
            "<",
            ">",
            "a <b",
            "a <b> x y",
            "a <b> 99999999999999999999 +9999",
            "é <> -5 -0130",
        ] {
            let _ = Signature::parse(line.as_bytes()).iso8601();
        }
        let hostile = Signature {
            name: "a\nparent x <".into(),
            ..Signature::parse(b"")
        };
        assert!(!hostile.line().contains('\n'));
    }
}
