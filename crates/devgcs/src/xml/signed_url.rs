//! Signed URLs expire; who signed them is not checked
//! (<https://cloud.google.com/storage/docs/access-control/signed-urls>).

use http::StatusCode;

use crate::digits::digits;
use crate::error::Error;
use crate::query::Query;
use crate::time::Time;

/// The longest that a URL can be valid, in seconds.
const LONGEST: i64 = 7 * 24 * 3600;

/// Refuses a request whose signed URL has expired. The signature itself is not checked.
pub(crate) fn check_expiry(query: &Query, now: Time) -> Result<(), Error> {
    let malformed = || Error::invalid("The signed URL's date or time of validity is malformed.");
    for (date, expires) in [("X-Goog-Date", "X-Goog-Expires"), ("X-Amz-Date", "X-Amz-Expires")] {
        let (Some(date), Some(expires)) = (query.get(date), query.get(expires)) else {
            continue;
        };
        let begin = Time::parse_compact(date).ok_or_else(malformed)?;
        let seconds: i64 = digits(expires).ok_or_else(malformed)?;
        if !(0..=LONGEST).contains(&seconds) {
            return Err(malformed());
        }
        return refuse_after(begin.plus(seconds * 1_000_000), now);
    }
    // The old form.
    match query.get("Expires") {
        Some(expires) if query.has("Signature") => {
            let seconds: i64 = digits(expires).ok_or_else(malformed)?;
            refuse_after(Time::of_seconds(seconds), now)
        }
        _ => Ok(()),
    }
}

fn refuse_after(end: Time, now: Time) -> Result<(), Error> {
    if now <= end {
        return Ok(());
    }
    let message = format!("The signed URL expired at {}.", end.rfc3339());
    Err(Error::new(StatusCode::BAD_REQUEST, "expiredToken", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_valid_until_their_end() {
        let now = Time::parse("2026-01-02T03:04:05Z").expect("a time");
        for (query, status) in [
            ("X-Goog-Date=20260102T030400Z&X-Goog-Expires=5", 200),
            ("X-Goog-Date=20260102T030400Z&X-Goog-Expires=4", 400),
            ("X-Amz-Date=20260102T030400Z&X-Amz-Expires=4", 400),
            ("X-Goog-Date=yesterday&X-Goog-Expires=4", 400),
            ("X-Goog-Date=20260102T030400Z&X-Goog-Expires=-1", 400),
            ("X-Goog-Date=20260102T030400Z&X-Goog-Expires=604801", 400),
            ("Expires=1767323045&Signature=x", 200),
            ("Expires=1767323044&Signature=x", 400),
            ("Expires=1", 200),
            ("", 200),
        ] {
            let query = Query::parse(query).expect("a query");
            let checked = check_expiry(&query, now);
            let found = checked.map_or_else(|error| error.status().as_u16(), |()| 200);
            assert_eq!(found, status, "{query:?}");
        }
    }
}
