//! One request and its response on one connection, under two clocks.
//!
//! The exchange drives its connection itself, in the caller's task. After each step it checks who must move
//! next, GCS or the body's source, and how long that side has kept the other waiting: neither clock runs while the
//! other side is to blame.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;

use super::clock::{Activity, Clock, Limits, WaitingFor};
use super::connection::Connection;
use super::error::{Error, ErrorKind};
use super::link::Link;
use super::pool::Pool;
use super::request::RequestBody;
use super::slot::{BodyState, Lending};
use super::tls;

/// What became of a request.
pub(super) enum Sent {
    /// The response's head has arrived.
    Answered(Response<Incoming>, Exchange),
    /// The connection ended before any of the request was used.
    Unsent(Request<RequestBody>),
}

/// A request in flight. Dropping it closes the connection.
pub(super) struct Exchange {
    connection: Box<Connection>,
    /// The body that is being sent, until GCS answers.
    lending: Option<Arc<dyn Lending>>,
    /// What the socket had taken before this request.
    sent_before: u64,
    clock: Clock,
    pool: Arc<Pool>,
}

impl Exchange {
    pub(super) fn new(connection: Box<Connection>, limits: Limits, pool: Arc<Pool>) -> Self {
        let sent_before = connection.link.sent();
        Self {
            connection,
            lending: None,
            sent_before,
            clock: Clock::new(limits),
            pool,
        }
    }

    /// Sends `request` and waits for the response's head.
    pub(super) async fn send(mut self, mut request: Request<RequestBody>) -> Result<Sent, Error> {
        let unanswered = Unanswered(Some(self.connection.link.clone()));
        self.connection.link.begin();
        request.body_mut().attach(&self.connection.link);
        self.lending = request.body().lending();
        if self.lending.is_some() {
            let link = self.connection.link.clone();
            hyper::ext::on_informational(&mut request, move |_| link.informed());
        }
        let mut response = pin!(self.connection.sender.try_send_request(request));
        let outcome = std::future::poll_fn(|cx| {
            self.connection.drive(cx);
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            self.poll_trouble(cx).map(Err)
        })
        .await
        .inspect_err(|error| self.note(error))?;
        match outcome {
            Ok(response) => {
                unanswered.answered();
                if let Some(lending) = self.lending.take() {
                    lending.stop();
                }
                Ok(Sent::Answered(response, self))
            }
            Err(mut refused) => match refused.take_message() {
                Some(request) => Ok(Sent::Unsent(request)),
                None => {
                    let error = self.failed(&refused.into_error());
                    self.note(&error);
                    Err(error)
                }
            },
        }
    }

    /// The next bytes of the response's body, `None` at its end. Nothing is read from the socket otherwise.
    pub(super) async fn chunk(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        self.clock.restart();
        std::future::poll_fn(|cx| {
            // Asking first lets the connection read; then there may be something.
            for attempt in 0..2 {
                while let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    match frame {
                        None => return Poll::Ready(Ok(None)),
                        Some(Err(error)) => return Poll::Ready(Err(self.failed(&error))),
                        // Trailers mean nothing here.
                        Some(Ok(frame)) => {
                            if let Ok(bytes) = frame.into_data() {
                                return Poll::Ready(Ok(Some(bytes)));
                            }
                        }
                    }
                }
                if attempt == 0 {
                    self.connection.drive(cx);
                }
            }
            self.poll_trouble(cx).map(Err)
        })
        .await
        .inspect_err(|error| self.note(error))
    }

    /// Tells the pool when it is the connection that failed, and not the body's source.
    fn note(&self, error: &Error) {
        let broke = matches!(
            error.kind(),
            ErrorKind::Reset
                | ErrorKind::EarlyClose
                | ErrorKind::GcsStalled
                | ErrorKind::Tls
                | ErrorKind::BadResponse
        );
        if broke {
            self.pool.broke(&self.connection);
        }
    }

    /// How long GCS may keep us waiting.
    pub(super) fn patience(&self) -> Duration {
        self.clock.limits.stall
    }

    /// Keeps the connection for the next request, if it can carry one. The response's body must have been read to its
    /// end.
    pub(super) async fn finish(mut self) {
        if std::future::poll_fn(|cx| Poll::Ready(self.connection.is_reusable(cx))).await {
            self.connection.answered += 1;
            self.pool.put(self.connection);
        }
    }

    /// Whether GCS can have seen any of the request.
    fn request_sent(&self) -> bool {
        self.connection.link.sent() > self.sent_before
    }

    /// Ready when the exchange cannot continue: the body was taken back, or a clock ran out.
    fn poll_trouble(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let link = &self.connection.link;
        let mut waiting_for = WaitingFor::Gcs;
        let mut received = 0;
        if let Some(lending) = &self.lending {
            let body = lending.observe(cx.waker());
            if body.state == BodyState::Taken {
                return Poll::Ready(self.cut(body.state));
            }
            received = body.received;
            if body.source_pending && !link.is_blocked() && !link.is_answered() {
                waiting_for = WaitingFor::Source;
            }
        }
        if link.broken().is_some() {
            waiting_for = WaitingFor::Nobody;
        }
        let activity = Activity {
            waiting_for,
            source: received,
            sent: link.sent(),
        };
        let Self {
            clock, connection, ..
        } = self;
        let acknowledged = |cx: &mut Context<'_>| {
            connection.link.acknowledgements.ask();
            // It reads, for nothing else is due; reading answers.
            connection.drive(cx);
            connection.link.acknowledgements.advanced()
        };
        if clock.poll(cx, activity, acknowledged).is_pending() {
            return Poll::Pending;
        }
        let link = &self.connection.link;
        let error = match waiting_for {
            WaitingFor::Source => Error::new(
                ErrorKind::SourceStalled,
                format!(
                    "the client sent nothing for {:?} inside a body",
                    self.clock.limits.source
                ),
            ),
            WaitingFor::Gcs => Error::new(
                ErrorKind::GcsStalled,
                format!(
                    "GCS neither accepted nor sent anything for {:?}",
                    self.clock.limits.stall
                ),
            ),
            WaitingFor::Nobody => broken(link),
        };
        Poll::Ready(error.sent(self.request_sent()))
    }

    /// The error for a body that could not continue.
    fn cut(&self, state: BodyState) -> Error {
        let error = match state {
            BodyState::Ended => Error::new(ErrorKind::SourceEnded, "the client left inside a body"),
            BodyState::Failed(kind) => Error::new(
                ErrorKind::SourceFailed,
                format!("reading from the client: {kind}"),
            ),
            BodyState::Aborted => Error::new(ErrorKind::SourceAborted, "the client aborted the body"),
            BodyState::Malformed(why) => Error::new(ErrorKind::SourceMalformed, why),
            BodyState::Damaged => Error::new(
                ErrorKind::SourceDamaged,
                "the body does not match its checksum: it was cut, and no object was made of it",
            ),
            BodyState::Taken | BodyState::Lent | BodyState::Complete | BodyState::Stopped => {
                Error::new(ErrorKind::SourceTaken, "the body was taken back")
            }
        };
        error.sent(self.request_sent())
    }

    /// The error for what hyper reports.
    fn failed(&self, error: &hyper::Error) -> Error {
        let link = &self.connection.link;
        if error.is_user()
            && let Some(lending) = &self.lending
        {
            return self.cut(lending.state());
        }
        let cause = io_cause(error);
        let found = match cause {
            _ if link.broken().is_some() => broken(link),
            _ if error.is_incomplete_message() => early_close(),
            Some(cause) if tls::tls_error(cause).is_some() => {
                Error::new(ErrorKind::Tls, format!("TLS: {cause}"))
            }
            Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => early_close(),
            Some(cause) if is_malformed(cause) => {
                Error::new(ErrorKind::BadResponse, format!("the answer is not HTTP: {cause}"))
            }
            Some(cause) => reset(cause),
            None if error.is_parse() => {
                Error::new(ErrorKind::BadResponse, format!("the answer is not HTTP: {error}"))
            }
            None => Error::new(ErrorKind::Reset, format!("the connection broke: {error}")),
        };
        found.sent(self.request_sent())
    }
}

/// A request whose answer has not begun. Dropped before, it is cut.
struct Unanswered(Option<Arc<Link>>);

impl Unanswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.cut();
        }
    }
}

/// The I/O error that caused an error.
fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

/// hyper's decoder of chunked bodies reports malformed input as an I/O error of these kinds.
fn is_malformed(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}

fn early_close() -> Error {
    Error::new(
        ErrorKind::EarlyClose,
        "the server closed the connection before its response was complete",
    )
}

fn reset(cause: &io::Error) -> Error {
    Error::new(ErrorKind::Reset, format!("the connection broke: {cause}"))
}

fn broken(link: &Link) -> Error {
    match link.broken() {
        Some(cause) => match tls::tls_error(cause) {
            Some(tls) => Error::new(ErrorKind::Tls, format!("TLS: {tls}")),
            None => reset(cause),
        },
        None => Error::new(ErrorKind::Reset, "the connection broke"),
    }
}
