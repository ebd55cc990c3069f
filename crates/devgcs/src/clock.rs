//! The server's clock, which a test can move forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::answer;
use super::call::Call;
use super::error::Error;
use super::json as document;
use super::response_body::ResponseBody;
use super::service::Service;
use super::time::Time;
use gcsd_fault::syntax;

/// The furthest that a clock can be moved: a hundred years.
const MAX_AHEAD: i64 = 100 * 365 * 24 * 3600 * 1_000_000;

/// How far ahead of the system's clock, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicI64);

impl Clock {
    pub(crate) fn now(&self) -> Time {
        Time::now().plus(self.0.load(Ordering::Relaxed))
    }

    /// Moves it forward; false if that is too far.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let Ok(by) = i64::try_from(by.as_micros()) else {
            return false;
        };
        let moved = |ahead: i64| ahead.checked_add(by).filter(|ahead| *ahead <= MAX_AHEAD);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved)
            .is_ok()
    }
}

/// `GET /devgcs/clock` says what time it is here; `POST` with `{"advance": "7d"}` moves the clock forward.
pub(crate) async fn serve(service: &Service, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    match call.method {
        Method::GET => {}
        Method::POST => {
            let request = document::object(&mut call.body).await?;
            let span = request.get("advance").and_then(Value::as_str);
            let span = span.and_then(parse).ok_or_else(|| {
                Error::invalid("The clock takes {\"advance\": SPAN}, a span such as 90s, 12h or 7d.")
            })?;
            if !service.clock.advance(span) {
                return Err(Error::invalid("The clock moves a hundred years at most."));
            }
        }
        _ => return Err(Error::not_implemented(&format!("{} /devgcs/clock", call.method))),
    }
    Ok(answer::json(
        StatusCode::OK,
        &json!({ "now": service.now().rfc3339() }),
    ))
}

fn parse(text: &str) -> Option<Duration> {
    let whole = |unit: &str, seconds: u64| {
        let count = syntax::number(text.strip_suffix(unit)?)?;
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    };
    whole("d", 24 * 3600)
        .or_else(|| whole("h", 3600))
        .or_else(|| syntax::duration(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, seconds) in [
            ("7d", Some(604_800)),
            ("2h", Some(7200)),
            ("90s", Some(90)),
            ("0s", Some(0)),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse(text).map(|span| span.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn a_clock_moves_forward_and_not_for_ever() {
        let clock = Clock::default();
        let before = clock.now();
        assert!(clock.advance(Duration::from_secs(60)));
        assert!(clock.now().micros() - before.micros() >= 60_000_000);
        assert!(!clock.advance(Duration::from_secs(u64::MAX)));
        assert!(!clock.advance(Duration::from_secs(101 * 365 * 24 * 3600)));
    }
}
