//! Time as a parameter: a timestamp with microseconds and the clock it comes from.

use std::{fmt, time::Duration};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// An instant in UTC, in whole microseconds since 1970.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// From whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// The instant `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Seconds from `earlier` to `self` with their fraction, never negative.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.since(earlier).as_secs_f64()
    }

    /// Parses an ISO 8601 date and time with a zone, a date and time without one (read as UTC), or a date.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .or_else(|| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok())
            .or_else(|| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok())
            .or_else(|| OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339).ok())?;
        i64::try_from(at.unix_timestamp_nanos() / 1000)
            .ok()
            .map(Self)
    }

    /// The calendar date in UTC, `YYYY-MM-DD`.
    pub fn date(self) -> String {
        self.calendar()
            .date()
            .format(format_description!("[year]-[month]-[day]"))
            .unwrap_or_default()
    }

    /// ISO 8601 with whole seconds, `2015-12-24T15:51:21Z`, as predefined variables show it.
    pub fn iso_seconds(self) -> String {
        self.calendar()
            .format(format_description!(
                "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
            ))
            .unwrap_or_default()
    }

    /// The calendar form in UTC; instants beyond year 9999 are shown as its end.
    pub fn calendar(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(::time::macros::datetime!(9999-12-31 23:59:59 UTC))
    }
}

/// GitLab's form: UTC, exactly three fractional digits, `Z` (`rest-api.md §1.9`).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.calendar();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // A list shows some eighty of these: digits are put where they belong, without the machinery of formats.
        for (place, number) in [
            (0..4, at.year().unsigned_abs()),
            (5..7, u32::from(u8::from(at.month()))),
            (8..10, at.day().into()),
            (11..13, at.hour().into()),
            (14..16, at.minute().into()),
            (17..19, at.second().into()),
            (20..23, at.millisecond().into()),
        ] {
            put(&mut text[place], number);
        }
        if at.year() < 0 {
            f.write_str("-")?;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes the last digits of a number, as many as there is room for.
fn put(room: &mut [u8], mut number: u32) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// Where the present comes from; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        Timestamp(i64::try_from(nanos / 1000).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn shows_three_digits() {
        let at = Timestamp::parse("2015-12-24T15:51:21.802345Z").unwrap();
        assert_eq!(at.to_string(), "2015-12-24T15:51:21.802Z");
        assert_eq!(at.iso_seconds(), "2015-12-24T15:51:21Z");
        assert_eq!(at.date(), "2015-12-24");
    }

    #[test]
    fn parses_zones_and_dates() {
        assert_eq!(
            Timestamp::parse("1970-01-01T01:00:00+01:00"),
            Some(Timestamp::from_micros(0))
        );
        assert_eq!(
            Timestamp::parse("1970-01-01"),
            Some(Timestamp::from_micros(0))
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
