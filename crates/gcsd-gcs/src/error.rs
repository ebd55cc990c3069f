//! What went wrong with a call to GCS, and what may be done about it.

use std::fmt;
use std::time::Duration;

pub use super::error_kind::{Call, ErrorKind};
use super::one_line::{MAX_MESSAGE, one_line};

/// The longest reason, in bytes.
const MAX_REASON: usize = 128;

/// What may be done after an [`Error`]. A closed set: it is what callers decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: the request is wrong or refused, and would be again.
    Never,
    /// Send it again, after a delay: nothing happened, or doing it twice does no harm.
    Same,
    /// It is unknown what happened. Query the session and go on from what is committed, or look at the objects.
    Query,
    /// The session is lost: start a new upload from byte 0.
    Restart,
}

/// A failed call to GCS.
///
/// Its message is one bounded line without session URIs and tokens. It has no [`source`](std::error::Error::source): the
/// causes' own texts can quote both, so that what may be shown of them is in the message.
#[derive(Clone)]
pub struct Error(Box<Details>);

#[derive(Clone)]
struct Details {
    kind: ErrorKind,
    call: Option<Call>,
    request_sent: bool,
    repeatable: bool,
    http_status: Option<u16>,
    /// What the status means, where GCS's reason says something else.
    meant_status: Option<u16>,
    /// The next try is made with another access token.
    fresh_token: bool,
    retry_after: Option<Duration>,
    message: String,
    reason: Option<String>,
    request_id: Option<String>,
}

impl Error {
    /// An error of `kind`; `message` is cut to one bounded line.
    pub(super) fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self(Box::new(Details {
            kind,
            call: None,
            request_sent: false,
            repeatable: false,
            http_status: None,
            meant_status: None,
            fresh_token: false,
            retry_after: None,
            message: one_line(message.as_ref(), MAX_MESSAGE),
            reason: None,
            request_id: None,
        }))
    }

    pub(super) fn sent(mut self, sent: bool) -> Self {
        self.0.request_sent = sent;
        self
    }

    pub(super) fn during(mut self, call: Call) -> Self {
        self.0.call = Some(call);
        self
    }

    pub(super) fn repeatable(mut self, repeatable: bool) -> Self {
        self.0.repeatable = repeatable;
        self
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    pub(super) fn meaning(mut self, status: u16) -> Self {
        self.0.meant_status = Some(status);
        self
    }

    pub(super) fn with_fresh_token(mut self, fresh: bool) -> Self {
        self.0.fresh_token = fresh;
        self
    }

    pub(super) fn after(mut self, delay: Option<Duration>) -> Self {
        self.0.retry_after = delay;
        self
    }

    pub(super) fn with_reason(mut self, reason: Option<String>) -> Self {
        self.0.reason = reason.map(|reason| one_line(&reason, MAX_REASON));
        self
    }

    pub(super) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The call that failed, where the failure belongs to one.
    pub fn call(&self) -> Option<Call> {
        self.0.call
    }

    /// Whether GCS could have seen any byte of the request. False means that nothing happened.
    pub fn request_sent(&self) -> bool {
        self.0.request_sent
    }

    /// The HTTP status of GCS's answer, where there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The HTTP status that says what GCS means: its [`http_status`](Self::http_status), unless its reason tells
    /// otherwise. A rate limit is 429, also where GCS answered 403 `rateLimitExceeded`.
    pub fn meant_status(&self) -> Option<u16> {
        self.0.meant_status.or(self.0.http_status)
    }

    /// How long to wait, as GCS asked (`Retry-After`), or until another access token can be had.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// One line for a human, at most 512 bytes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// GCS's own word for the failure, such as `conditionNotMet`
    /// (<https://cloud.google.com/storage/docs/json_api/v1/status-codes>).
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The value of `X-GUploader-UploadID`: it names the request for Google's support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What may be done next
    /// (<https://cloud.google.com/storage/docs/retry-strategy>).
    ///
    /// Starts, queries, stats, reads and lists may be repeated. After a write, a finish or a cancel that GCS may have
    /// seen, only a query tells what happened. A change of objects may be repeated where its preconditions let it happen
    /// only once, and after 429 (too many requests) or 401 (with a fresh token), which GCS did not begin; otherwise look at
    /// the objects first.
    pub fn recovery(&self) -> Recovery {
        use ErrorKind as Kind;
        match self.0.kind {
            Kind::Invalid
            | Kind::ProxyRefused
            | Kind::Certificate
            | Kind::SessionCancelled
            | Kind::CredentialsRefused => Recovery::Never,
            Kind::ChecksumMismatch if self.0.call == Some(Call::UploadPart) => Recovery::Same,
            Kind::SessionLost | Kind::ChecksumMismatch => Recovery::Restart,
            // The session may hold damaged bytes.
            Kind::SourceDamaged if self.0.request_sent && self.0.call == Some(Call::Write) => {
                Recovery::Restart
            }
            Kind::SourceDamaged => Recovery::Same,
            Kind::Gap => Recovery::Query,
            Kind::Http if !self.is_transient() => Recovery::Never,
            Kind::Http
            | Kind::Exhausted
            | Kind::Resolve
            | Kind::Connect
            | Kind::ConnectTimeout
            | Kind::Tls
            | Kind::Reset
            | Kind::EarlyClose
            | Kind::GcsStalled
            | Kind::SourceStalled
            | Kind::SourceEnded
            | Kind::SourceFailed
            | Kind::SourceTaken
            | Kind::SourceAborted
            | Kind::SourceMalformed
            | Kind::LateError
            | Kind::BadResponse
            | Kind::CredentialsUnavailable
            | Kind::CredentialsTimeout => match self.0.call {
                _ if !self.0.request_sent => Recovery::Same,
                Some(Call::Start | Call::Query | Call::Stat | Call::Read | Call::List) => Recovery::Same,
                Some(Call::Write | Call::Finish | Call::Cancel) | None => Recovery::Query,
                Some(
                    Call::Put
                    | Call::Delete
                    | Call::Compose
                    | Call::Rewrite
                    | Call::Patch
                    | Call::Move
                    | Call::StartMultipart
                    | Call::UploadPart
                    | Call::ListParts
                    | Call::CompleteMultipart
                    | Call::AbortMultipart,
                ) => {
                    if self.0.repeatable || self.was_not_begun() {
                        Recovery::Same
                    } else {
                        Recovery::Query
                    }
                }
            },
        }
    }
}

impl Error {
    /// Whether it is one that GCS's retry strategy calls transient, or one that a fresh token can mend.
    fn is_transient(&self) -> bool {
        matches!(self.meant_status(), Some(408 | 429 | 500..=599)) || self.0.fresh_token
    }

    /// Whether GCS refused the request before it did anything. Of a body that was on its way nobody knows.
    fn was_not_begun(&self) -> bool {
        match self.meant_status() {
            Some(429) => true,
            Some(401) => self.0.call != Some(Call::Put),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("call", &self.0.call)
            .field("request_sent", &self.0.request_sent)
            .field("http_status", &self.0.http_status)
            .field("message", &self.0.message)
            .field("reason", &self.0.reason)
            .field("request_id", &self.0.request_id)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_follows_the_call_and_whether_anything_was_sent() {
        let error = |kind, call, sent| Error::new(kind, "x").during(call).sent(sent).recovery();
        assert_eq!(error(ErrorKind::Reset, Call::Write, false), Recovery::Same);
        assert_eq!(error(ErrorKind::Reset, Call::Write, true), Recovery::Query);
        assert_eq!(error(ErrorKind::Reset, Call::Read, true), Recovery::Same);
        assert_eq!(error(ErrorKind::Gap, Call::Write, true), Recovery::Query);
        assert_eq!(error(ErrorKind::Reset, Call::Delete, false), Recovery::Same);
        assert_eq!(error(ErrorKind::Reset, Call::Delete, true), Recovery::Query);
        let pinned = Error::new(ErrorKind::Reset, "x").during(Call::Delete).sent(true);
        assert_eq!(pinned.repeatable(true).recovery(), Recovery::Same);
        assert_eq!(
            error(ErrorKind::SessionLost, Call::Query, true),
            Recovery::Restart
        );
        assert_eq!(error(ErrorKind::Certificate, Call::Start, false), Recovery::Never);
        let http = |status, call| {
            Error::new(ErrorKind::Http, "x")
                .status(status)
                .during(call)
                .sent(true)
                .recovery()
        };
        assert_eq!(http(503, Call::Write), Recovery::Query);
        assert_eq!(http(429, Call::Start), Recovery::Same);
        assert_eq!(http(429, Call::Compose), Recovery::Same);
        assert_eq!(http(503, Call::Compose), Recovery::Query);
        assert_eq!(http(412, Call::Write), Recovery::Never);
        assert_eq!(http(404, Call::Stat), Recovery::Never);
    }

    #[test]
    fn a_refused_token_is_worth_another_try_if_there_is_another_token() {
        for (call, fresh) in [
            (Call::Stat, Recovery::Same),
            (Call::Start, Recovery::Same),
            (Call::Delete, Recovery::Same),
            (Call::UploadPart, Recovery::Same),
            (Call::CompleteMultipart, Recovery::Same),
            (Call::Put, Recovery::Query),
            (Call::Write, Recovery::Query),
            (Call::Finish, Recovery::Query),
        ] {
            let error = || {
                Error::new(ErrorKind::Http, "x")
                    .status(401)
                    .during(call)
                    .sent(true)
            };
            assert_eq!(error().recovery(), Recovery::Never, "{call:?}");
            let fresh_token = error().with_fresh_token(true);
            assert_eq!(fresh_token.recovery(), fresh, "{call:?}");
        }
    }

    #[test]
    fn the_reason_decides_before_the_status() {
        let limited = |call| {
            let error = Error::new(ErrorKind::Http, "x").status(403).meaning(429);
            error.during(call).sent(true).recovery()
        };
        assert_eq!(limited(Call::Write), Recovery::Query);
        assert_eq!(limited(Call::Start), Recovery::Same);
        assert_eq!(limited(Call::Put), Recovery::Same);
        assert_eq!(limited(Call::Compose), Recovery::Same);
    }
}
