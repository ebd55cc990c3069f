//! The attempts of one read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::connection::Connection;
use super::super::object_reader::ObjectReader;
use super::super::read::ReadRequest;
use super::super::{Daemons, Error};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::report::Report;
use super::retry::Attempts;
use gcsd_wire::Retry;

/// Makes the request of a read, again and again, on a connection of its own.
pub(super) struct ReadAttempts {
    daemons: Daemons,
    connection: Option<Connection>,
    /// What the next attempt asks for.
    pub(super) request: ReadRequest,
    attempts: Attempts,
    not_before: Option<Instant>,
    pub(super) reports: watch::Sender<Report>,
    /// The attempt that is not answered yet.
    pending: Option<Pending>,
}

/// An attempt that is not answered yet.
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The first answer to an attempt.
struct Answer {
    daemons: Daemons,
    connection: Option<Connection>,
    answer: Result<ObjectReader, Error>,
}

impl ReadAttempts {
    /// Nothing is sent yet.
    pub(super) fn new(daemons: Daemons, request: ReadRequest, retries: &RetryPolicy) -> Self {
        Self {
            daemons,
            connection: None,
            request,
            attempts: Attempts::new(retries, retries.budget),
            not_before: None,
            reports: watch::Sender::default(),
            pending: None,
        }
    }

    /// Makes the next attempt, once the wait after the last one is over. Dropping the caller's future loses nothing.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<ObjectReader, Error>> {
        let pending = match &mut self.pending {
            Some(pending) => pending,
            none => none.insert(Box::pin(attempt(
                self.daemons.clone(),
                self.connection.take(),
                self.request.clone(),
                self.not_before.take(),
            ))),
        };
        let answered = ready!(pending.as_mut().poll(cx));
        self.pending = None;
        self.daemons = answered.daemons;
        self.connection = answered.connection;
        Poll::Ready(answered.answer)
    }

    /// Bytes arrived: earlier failures no longer count.
    pub(super) fn progressed(&mut self) {
        self.attempts.progressed();
    }

    /// Counts a failure, and sets how long to wait.
    pub(super) fn failed(&mut self, error: &Error) -> Result<(), GivenUp> {
        let delay = self.attempts.failed(error)?;
        self.reports.send_modify(|report| report.count_request(error));
        self.not_before = Some(Instant::now() + delay);
        if error.retry() == Retry::Reconnect {
            self.connection = None;
        }
        Ok(())
    }

    /// The read has ended: another one may have the connection.
    pub(super) fn release_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.daemons.release(connection);
        }
    }
}

/// One attempt, on `connection` if that is not over.
async fn attempt(
    mut daemons: Daemons,
    connection: Option<Connection>,
    request: ReadRequest,
    not_before: Option<Instant>,
) -> Answer {
    if let Some(instant) = not_before {
        sleep_until(instant).await;
    }
    let usable = connection.filter(|connection| !connection.is_over());
    let connected = match usable {
        Some(connection) => Ok(connection),
        None => daemons.connect().await,
    };
    let (connection, answer) = match connected {
        Ok(connection) => {
            let answer = connection.read_at(&request.into()).await;
            (Some(connection), answer)
        }
        Err(error) => (None, Err(error)),
    };
    Answer {
        daemons,
        connection,
        answer,
    }
}
