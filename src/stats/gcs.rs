//! What is counted of Cloud Storage.

use std::borrow::Cow;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{OutcomeLabel, Stats, histogram};
use gcsd_gcs::{Call, ErrorKind, Observer, Token};

/// Calls, connections and access tokens.
pub(super) struct Calls {
    calls: Family<CallLabels, Counter>,
    durations: Family<CallLabel, Histogram, fn() -> Histogram>,
    dials: Family<StatusLabel, Counter>,
    dial_durations: Histogram,
    reused: Counter,
    tokens: Family<OutcomeLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    status: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: Cow<'static, str>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            dials: Family::default(),
            dial_durations: histogram(),
            reused: Counter::default(),
            tokens: Family::default(),
        }
    }
}

impl Calls {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gcs_calls",
            "Calls to Cloud Storage, by HTTP status or the kind of failure",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "gcs_call_duration",
            "From the beginning of a call to the head of its answer, its body included",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "gcs_dials",
            "Connections to Cloud Storage that were dialed, TLS included",
            self.dials.clone(),
        );
        registry.register_with_unit(
            "gcs_dial_duration",
            "How long dialing took",
            Unit::Seconds,
            self.dial_durations.clone(),
        );
        registry.register(
            "gcs_connections_reused",
            "Calls that were answered on a kept connection",
            self.reused.clone(),
        );
        for outcome in ["fetched", "refused", "failed"] {
            drop(self.tokens.get_or_create(&OutcomeLabel { outcome }));
        }
        registry.register(
            "gcs_tokens",
            "Access tokens: fetched, refused by Cloud Storage, or failed to come",
            self.tokens.clone(),
        );
    }
}

impl Observer for Stats {
    fn called(&self, call: Call, outcome: Result<u16, ErrorKind>, took: Duration) {
        let calls = &self.calls;
        let call = call.name();
        let status = match outcome {
            Ok(status) => Cow::Owned(status.to_string()),
            Err(kind) => name(kind),
        };
        calls.calls.get_or_create(&CallLabels { call, status }).inc();
        let durations = calls.durations.get_or_create(&CallLabel { call });
        durations.observe(took.as_secs_f64());
    }

    fn dialed(&self, outcome: Result<(), ErrorKind>, took: Duration) {
        let status = match outcome {
            Ok(()) => Cow::Borrowed("ok"),
            Err(kind) => name(kind),
        };
        self.calls.dials.get_or_create(&StatusLabel { status }).inc();
        self.calls.dial_durations.observe(took.as_secs_f64());
    }

    fn reused(&self) {
        self.calls.reused.inc();
    }

    fn token(&self, token: Token) {
        let outcome = match token {
            Token::Fetched => "fetched",
            Token::Refused => "refused",
            _ => "failed",
        };
        self.calls.tokens.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

/// A kind in the words of metrics: `gcs_stalled`.
fn name(kind: ErrorKind) -> Cow<'static, str> {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_counted() {
        let stats = Stats::default();
        stats.called(Call::StartMultipart, Ok(503), Duration::from_secs(2));
        stats.called(Call::Write, Err(ErrorKind::GcsStalled), Duration::from_secs(2));
        stats.dialed(Err(ErrorKind::ConnectTimeout), Duration::ZERO);
        stats.dialed(Ok(()), Duration::ZERO);
        stats.reused();
        stats.token(Token::Failed(ErrorKind::CredentialsTimeout));
        let text = stats.text();
        for line in [
            "gcsd_gcs_calls_total{call=\"start_multipart\",status=\"503\"} 1",
            "gcsd_gcs_calls_total{call=\"write\",status=\"gcs_stalled\"} 1",
            "gcsd_gcs_call_duration_seconds_bucket{le=\"2.5\",call=\"write\"} 1",
            "gcsd_gcs_dials_total{status=\"connect_timeout\"} 1",
            "gcsd_gcs_dials_total{status=\"ok\"} 1",
            "gcsd_gcs_connections_reused_total 1",
            "gcsd_gcs_tokens_total{outcome=\"failed\"} 1",
            "gcsd_gcs_tokens_total{outcome=\"fetched\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
    }
}
