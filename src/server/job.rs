//! A request in hand, from its head to its reply and its line in the log.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::body::Body;
use super::in_flight::{Permit, Reserved};
use super::ledger::UnderWay;
use super::lines::{Client, Line};
use super::reader::Next;
use crate::ops::{Answer, Decided, Failure, Replier, Share, Subject, Turn, decide_upload};
use crate::policy::{Place, Rule};
use gcsd_gcs::Tally;
use gcsd_wire::{Kind, RequestHead};

/// A request in hand.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) replier: Replier,
    line: Line,
    under_way: UnderWay,
    /// By which rule it is permitted, if there is a policy.
    rule: Option<Arc<Rule>>,
    /// How much of its body arrived, if that was lent.
    body: Option<Tally>,
    /// Reserves the request's sequence, and says when the client wants it to end.
    reserved: Reserved,
    /// What it may hold of the daemon's memory, until its reply is written.
    room: Option<Share>,
    /// Counts the request as in flight until it is dropped. Cancel and Ping do not count.
    _permit: Option<Permit>,
    /// The same among the requests of its identity.
    _place: Option<Place>,
}

impl Job {
    /// A request whose head was read just now.
    pub(super) fn new(
        client: Arc<Client>,
        under_way: UnderWay,
        head: &RequestHead,
        replier: Replier,
        reserved: Reserved,
        (permit, place): (Option<Permit>, Option<Place>),
        room: Share,
    ) -> Self {
        Self {
            replier,
            line: Line::new(client, head),
            under_way,
            rule: None,
            body: None,
            reserved,
            room: Some(room),
            _permit: permit,
            _place: place,
        }
    }

    /// Cancelled when the client wants the request to end.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.reserved.cancel()
    }

    /// Notes what the request is about, where that is known.
    pub(super) fn about(&mut self, about: Option<Arc<Subject>>) {
        self.under_way.about(&about);
        self.line.about(about);
    }

    /// Notes what the policy has decided on it.
    pub(super) fn decided(&mut self, decided: Decided) {
        self.rule = Some(decided.rule.clone());
        self.line.decided(decided);
    }

    /// Its turn on an upload has come: notes what that is, and decides whether it may go on.
    pub(super) fn in_turn(&mut self, turn: &Turn) -> Result<(), Failure> {
        let about = turn.about();
        self.about(about.clone());
        match about.as_deref().filter(|_| turn.is_bound()) {
            Some(Subject {
                bucket: Some(bucket),
                object: Some(object),
                ..
            }) => decide_upload(self.rule.as_deref(), bucket, object),
            // There is no upload, and that is what is answered.
            _ => Ok(()),
        }
    }

    /// How many bytes an object may have that it sends.
    pub(super) fn max_object_size(&self) -> u64 {
        let max = self.rule.as_ref().and_then(|rule| rule.limits().max_object_size);
        max.unwrap_or(u64::MAX)
    }

    /// Its body is lent.
    pub(super) fn lent(&mut self, body: Tally) {
        self.under_way.lent(body.clone());
        self.body = Some(body);
    }

    /// Answers the request.
    pub(super) async fn finish(mut self, outcome: Result<Answer, Failure>, closing: bool) {
        let received = self.body.take().map(|body| body.received());
        self.line.ended(&outcome, received);
        self.under_way.answered(&outcome);
        self.reserved.answered();
        let room = self.room.take();
        if self.replier.end(&outcome, closing, room).await.is_err() {
            self.line.unread();
        }
    }

    /// Answers the request, then skips the rest of its body, so that the next request can be found. If that is not
    /// possible, or would take too long, the reply announces that the connection closes.
    pub(super) async fn conclude(
        self,
        shared: &Shared,
        outcome: Result<Answer, Failure>,
        rest: Option<Body>,
    ) -> Next {
        let cap = shared.context.limits.drain_cap;
        let stalled = matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::ClientStalled));
        let open = !stalled && !shared.shutdown.cut.is_cancelled();
        match rest {
            Some(rest) if open && rest.can_be_skipped(cap) => {
                self.finish(outcome, false).await;
                rest.skip(cap).await
            }
            rest => {
                self.finish(outcome, true).await;
                Next::Close(rest.map(Body::into_reader))
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line.panicked();
        }
    }
}
