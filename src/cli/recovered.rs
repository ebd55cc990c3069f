//! The failures that an upload or a read recovered from, in words.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::client_errors::UNREACHABLE;
use super::exit::Failure;
use super::retries::Patience;
use super::stderr;
use gcsd_client::Report;

/// How long nothing is said again of a kind of failure.
const SAID_FOR: Duration = Duration::from_secs(60);

/// Which kinds of failure were told of, and when. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<BTreeMap<&'static str, Instant>>>);

impl Told {
    /// Whether to tell of the kind now: once, and rarely again.
    fn tells(&self, kind: &'static str, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tells = said.get(kind).is_none_or(|before| now - *before >= SAID_FOR);
        if tells {
            said.insert(kind, now);
        }
        tells
    }
}

/// Prints what failed and is tried again: each kind of failure once, and again once a minute at most. It never returns by
/// itself.
pub(super) async fn report_failures<T>(
    mut reports: watch::Receiver<Report>,
    patience: &Patience,
    said: Told,
    quiet: bool,
) -> T {
    let mut printed = 0;
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update();
        let Some(failure) = &report.last_failure else {
            continue;
        };
        if report.recovered() == printed {
            continue;
        }
        printed = report.recovered();
        if !quiet && said.tells(failure.name(), Instant::now()) {
            let line = Failure::from(failure);
            let line = match report.checkpoint {
                // There may never have been a daemon.
                None if failure.name() == UNREACHABLE => line.also(patience.outlook()),
                _ => line.advise(patience.outlook()),
            };
            stderr::line(format_args!("gcsd: {line}"));
        }
    }
    // The upload or read has ended, and reports how.
    pending().await
}

/// `recovered 3 times: 2 reset, 1 unavailable`; `None` where nothing failed.
pub(super) fn line(report: &Report) -> Option<String> {
    let recovered = report.recovered();
    if recovered == 0 {
        return None;
    }
    let times = match recovered {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    };
    let mut kinds: Vec<_> = report.failures.iter().collect();
    // The most frequent first; the names are in order already.
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let restarts = match report.restarts {
        0 => String::new(),
        1 => "; began again from byte 0 once".to_owned(),
        more => format!("; began again from byte 0 {more} times"),
    };
    Some(format!("recovered {times}: {}{restarts}", kinds.join(", ")))
}

/// The same for programs.
pub(super) fn json(report: &Report) -> Value {
    json!({
        "recovered": report.recovered(),
        "failures": report.failures,
        "restarts": report.restarts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_failure_is_told_once_and_rarely_again() {
        let (said, began) = (Told::default(), Instant::now());
        let told = [
            (0, "reset"),
            (1, "reset"),
            (2, "unavailable"),
            (59, "reset"),
            (60, "reset"),
            (61, "reset"),
        ];
        let told = told.map(|(second, kind)| said.tells(kind, began + Duration::from_secs(second)));
        assert_eq!(told, [true, false, true, false, true, false]);
    }

    #[test]
    fn failures_are_counted_by_name() {
        assert_eq!(line(&Report::default()), None);
        let mut report = Report::default();
        (report.queries, report.restarts) = (3, 1);
        report.failures = [("reset", 1), ("unavailable", 3)].into();
        let text = "recovered 4 times: 3 unavailable, 1 reset; began again from byte 0 once";
        assert_eq!(line(&report).as_deref(), Some(text));
        assert_eq!(
            json(&report).to_string(),
            r#"{"failures":{"reset":1,"unavailable":3},"recovered":4,"restarts":1}"#
        );
    }
}
