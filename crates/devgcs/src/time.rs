//! Points in time, as GCS writes them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Microseconds since 1970, GCS's resolution for generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    /// As many microseconds later.
    pub(crate) fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Reads RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }

    /// So many seconds after 1970.
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Reads the date of a signature, `20260102T030405Z`.
    pub(crate) fn parse_compact(text: &str) -> Option<Self> {
        let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(zoned.timestamp().as_microsecond()))
    }

    /// Reads the date of an HTTP header.
    pub(crate) fn parse_http(text: &str) -> Option<Self> {
        let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Self(zoned.timestamp().as_microsecond()))
    }

    /// Microseconds since 1970.
    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// RFC 3339 with milliseconds, as the JSON API writes it.
    pub(crate) fn rfc3339(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// The date of an HTTP header.
    pub(crate) fn http(self) -> String {
        self.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_gcs_writes_them() {
        let time = Time(784_111_777_012_345);
        assert_eq!(time.rfc3339(), "1994-11-06T08:49:37.012Z");
        assert_eq!(time.http(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
