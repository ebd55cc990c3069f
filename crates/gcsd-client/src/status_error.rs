//! A failed request in the words of the protocol.

use std::fmt;
use std::time::Duration;

use gcsd_wire::{ErrorReply, Kind, Retry, Status};

/// A request that failed with a status of the protocol (proto-spec.md, "Errors and recovery"): the daemon's answer, or
/// what a daemon would have answered where the request went straight to Cloud Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusError {
    /// Which failure it is, whose fault, and what to do.
    pub status: Status,
    /// GCS's HTTP status, or 0 where GCS did not answer.
    pub http_status: u16,
    /// The details.
    pub reply: ErrorReply,
    /// The connection ended with this answer, so that a repeat needs another one.
    pub connection_over: bool,
}

impl StatusError {
    /// As it was received.
    pub fn new(status: Status, http_status: u16, reply: ErrorReply) -> Self {
        Self {
            status,
            http_status,
            reply,
            connection_over: false,
        }
    }

    /// What to do next.
    pub fn retry(&self) -> Retry {
        match self.status.retry() {
            None => Retry::Never,
            Some(Retry::Same | Retry::Query) if self.connection_over => Retry::Reconnect,
            Some(retry) => retry,
        }
    }

    /// How long the daemon or GCS asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.reply.retry_after_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
        }
    }

    /// Whether the request may have been carried out although it failed.
    pub(crate) fn may_have_happened(&self) -> bool {
        use gcsd_wire::Layer;

        match (self.status.retry(), self.status.layer()) {
            (Some(Retry::Query), _) => true,
            (Some(Retry::Never) | None, _) => self.status.kind() == Some(Kind::BadResponse),
            // It did not reach GCS, or GCS refused to look at it. Everything else can hide an answer that was lost, as a
            // request that is safe to repeat is never in doubt for its class.
            (_, Some(Layer::Client | Layer::Credentials)) => false,
            _ => !matches!(
                self.status.kind(),
                Some(Kind::ConnectFailed | Kind::TlsFailed | Kind::RateLimited)
            ),
        }
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = one_line(&self.reply.message);
        write!(f, "{}: {message}", self.status)?;
        if self.http_status == 0 {
            return Ok(());
        }
        let mut rest = Vec::new();
        let answered = format!("GCS answered {}", self.http_status);
        let reason = self.reply.reason.as_deref().map(one_line);
        match (message.starts_with(&answered), reason) {
            // The daemon's words have it already.
            (true, None) => {}
            (true, Some(reason)) => rest.push(reason),
            (false, None) => rest.push(format!("GCS: HTTP {}", self.http_status)),
            (false, Some(reason)) => rest.push(format!("GCS: HTTP {} {reason}", self.http_status)),
        }
        rest.extend(
            self.reply
                .request_id
                .as_deref()
                .map(|id| format!("request {}", one_line(id))),
        );
        match rest.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", rest.join(", ")),
        }
    }
}

impl std::error::Error for StatusError {}

/// `text` with its control characters replaced, so that it is safe to print on one line of a terminal.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, retry: Retry) -> StatusError {
        StatusError::new(Status::new(kind, retry), 0, ErrorReply::default())
    }

    #[test]
    fn an_answer_is_one_harmless_line() {
        let reply = ErrorReply {
            message: "no such\n\u{1b}[2Jobject".into(),
            reason: Some("notFound".into()),
            request_id: Some("AB-12".into()),
            ..ErrorReply::default()
        };
        let error = StatusError::new(Status::new(Kind::NotFound, Retry::Never), 404, reply);
        assert_eq!(
            error.to_string(),
            "not_found: no such\u{fffd}\u{fffd}[2Jobject (GCS: HTTP 404 notFound, request AB-12)"
        );
        // What the message has is not told again.
        let reply = ErrorReply {
            message: "GCS answered 404: No such object".into(),
            request_id: Some("AB-12".into()),
            ..ErrorReply::default()
        };
        let mut error = StatusError::new(Status::new(Kind::NotFound, Retry::Never), 404, reply);
        assert_eq!(
            error.to_string(),
            "not_found: GCS answered 404: No such object (request AB-12)"
        );
        error.reply.request_id = None;
        assert_eq!(error.to_string(), "not_found: GCS answered 404: No such object");
    }

    #[test]
    fn without_its_connection_a_request_needs_another_one() {
        for (retry, over) in [
            (Retry::Same, Retry::Reconnect),
            (Retry::Query, Retry::Reconnect),
            (Retry::Never, Retry::Never),
            (Retry::Restart, Retry::Restart),
            (Retry::Reconnect, Retry::Reconnect),
        ] {
            let mut error = error(Kind::Unavailable, retry);
            assert_eq!(error.retry(), retry);
            error.connection_over = true;
            assert_eq!(error.retry(), over, "{retry:?}");
        }
    }

    #[test]
    fn only_what_cannot_have_reached_gcs_is_known_not_to_have_happened() {
        for (kind, retry, may) in [
            (Kind::Reset, Retry::Query, true),
            // GCS may have done it before it failed; the class says only that it may be repeated.
            (Kind::Unavailable, Retry::Same, true),
            (Kind::Draining, Retry::Reconnect, true),
            (Kind::BadResponse, Retry::Never, true),
            (Kind::RateLimited, Retry::Same, false),
            (Kind::ConnectFailed, Retry::Same, false),
            (Kind::CredentialsUnavailable, Retry::Same, false),
            (Kind::Damaged, Retry::Reconnect, false),
            (Kind::NotFound, Retry::Never, false),
        ] {
            assert_eq!(error(kind, retry).may_have_happened(), may, "{kind:?}");
        }
    }
}
