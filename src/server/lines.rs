//! Lines of the log about connections and requests: here their fields have their names, and failures their levels.
//!
//! What a client did is logged at INFO, with every failure that answers it; what GCS, the network or the credentials did wrong
//! at WARN; a defect of the daemon at ERROR. Requests that succeeded are logged at DEBUG: a line of each connection says
//! how many there were.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinError;
use tracing::{Level, debug, error, info, warn};

use super::audit;
use crate::ops::{Answer, Decided, Failure, Subject};
use crate::peer::{Certificate, Origin, Peer};
use gcsd_wire::{Kind, Layer, Opcode, RequestHead};

/// A connection, as lines name it, and what became of its requests.
#[derive(Debug)]
pub(super) struct Client {
    /// Its number in this process.
    id: u64,
    peer: Peer,
    since: Instant,
    requests: AtomicU64,
    failed: AtomicU64,
    objects: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client has closed it, or its own half of it, between two requests.
    Closed,
    /// The client's stream broke.
    Broke(io::Error),
    /// The client asked for nothing for too long.
    Idle,
    /// The client said nothing in time after it had connected.
    Silent,
    /// The TLS handshake failed. It is `new` if nobody from there did something of the kind lately.
    Handshake { error: io::Error, new: bool },
    /// The client does not take its replies: not in time, or no more.
    Unread(io::Error),
    /// A request failed so that what is behind it cannot be read, or is not to be.
    Failed,
    /// No further request could be found in the client's bytes.
    Unframed,
    /// The daemon stops.
    Draining,
    /// A defect of the daemon.
    Defect(JoinError),
}

impl End {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broke(_) => "broke",
            Self::Idle => "idle",
            Self::Silent => "silent",
            Self::Handshake { .. } => "handshake",
            Self::Unread(_) => "unread",
            Self::Failed => "failed",
            Self::Unframed => "unframed",
            Self::Draining => "draining",
            Self::Defect(_) => "defect",
        }
    }

    fn error(&self) -> Option<String> {
        match self {
            Self::Broke(error) | Self::Unread(error) | Self::Handshake { error, .. } => {
                Some(error.to_string())
            }
            Self::Defect(error) => Some(error.to_string()),
            _ => None,
        }
    }
}

/// A request, as lines name it.
#[derive(Debug)]
pub(super) struct Line {
    client: Arc<Client>,
    opcode: &'static str,
    sequence: u64,
    upload: Option<u32>,
    body_len: Option<u64>,
    about: Option<Arc<Subject>>,
    decided: Option<Decided>,
    begun: Instant,
}

/// An event with the fields that every line about a request has.
macro_rules! about {
    ($event:ident, $line:expr, $generation:expr, $($more:tt)+) => {{
        let line: &Line = $line;
        let none = Subject::default();
        let about = line.about.as_deref().unwrap_or(&none);
        let Client { id, peer, .. } = &*line.client;
        let generation: Option<u64> = $generation;
        $event!(
            target: "gcsd::request",
            connection = id, %peer, opcode = %line.opcode, sequence = line.sequence, upload = line.upload,
            upload_name = about.upload_name.as_deref(),
            bucket = about.bucket.as_ref().map(|name| name.as_str()),
            object = about.object.as_ref().map(|name| name.as_str()),
            generation = generation.or(about.generation),
            $($more)+
        )
    }};
}

impl Client {
    /// A connection that was accepted just now: the `id`th.
    pub(super) fn new(id: u64, peer: Peer) -> Arc<Self> {
        debug!(
            target: "gcsd::connection",
            connection = id, %peer, certificate = owner(&peer), "connection accepted"
        );
        Arc::new(Self {
            id,
            peer,
            since: Instant::now(),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    /// The connection has ended. One that asked for nothing and just closed, as those of a health check do, is logged at DEBUG.
    pub(super) fn ended(&self, end: &End) {
        let Self { id, peer, .. } = self;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let requests = load(&self.requests);
        macro_rules! ended {
            ($event:ident) => {
                $event!(
                    target: "gcsd::connection",
                    connection = id, %peer, certificate = owner(peer), end = %end.name(), requests, failed = load(&self.failed),
                    objects = load(&self.objects), received = load(&self.received), sent = load(&self.sent),
                    duration_ms = ms(self.since.elapsed()), error = end.error(), "connection ended"
                )
            };
        }
        match end {
            End::Closed | End::Broke(_) | End::Draining if requests == 0 => ended!(debug),
            End::Handshake { new: false, .. } => ended!(debug),
            End::Defect(_) => ended!(error),
            _ => ended!(info),
        }
    }

    /// The client has gone from an upload that is not finished.
    pub(super) fn left(&self, upload: &Subject, committed: u64) {
        let Self { id, peer, .. } = self;
        info!(
            target: "gcsd::connection",
            connection = id, %peer, upload_name = upload.upload_name.as_deref(),
            bucket = upload.bucket.as_ref().map(|name| name.as_str()),
            object = upload.object.as_ref().map(|name| name.as_str()),
            committed, "an upload is left unfinished: its token leads back to it"
        );
    }

    /// Its number in this process.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Where it comes from, for people.
    pub(super) fn place(&self) -> String {
        self.peer.to_string()
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> Origin {
        self.peer.origin()
    }

    /// The client speaks another protocol. One that is not new is logged at DEBUG.
    pub(super) fn foreign(&self, protocol: &'static str, new: bool) {
        let Self { id, peer, .. } = self;
        macro_rules! foreign {
            ($event:ident) => {
                $event!(
                    target: "gcsd::connection",
                    connection = id, %peer, protocol, "the client speaks another protocol than gcsd's"
                )
            };
        }
        match new {
            true => foreign!(info),
            false => foreign!(debug),
        }
    }

    /// No further request can be found in the client's bytes.
    pub(super) fn lost(&self, failure: &Failure) {
        let Self { id, peer, .. } = self;
        let Failure { status, reply, .. } = failure;
        info!(
            target: "gcsd::connection",
            connection = id, %peer, %status, layer = layer(failure), retry = retry(failure), error = reply.message,
            "the client's bytes cannot be read further"
        );
    }
}

impl Line {
    /// A request whose head was read just now.
    pub(super) fn new(client: Arc<Client>, head: &RequestHead) -> Self {
        let opcode = Opcode::from_code(head.opcode);
        let has_body = opcode.is_some_and(Opcode::has_body);
        Self {
            client,
            opcode: opcode.map_or("unknown", Opcode::name),
            sequence: head.sequence,
            upload: Some(head.upload).filter(|upload| *upload != 0),
            body_len: (has_body && !head.streamed()).then_some(head.body_len),
            about: None,
            decided: None,
            begun: Instant::now(),
        }
    }

    /// Says what the request is about, where that is known.
    pub(super) fn about(&mut self, about: Option<Arc<Subject>>) {
        if about.is_some() {
            self.about = about;
        }
    }

    /// Says what the policy has decided on the request.
    pub(super) fn decided(&mut self, decided: Decided) {
        self.decided = Some(decided);
    }

    /// The request ended. `received` is how much of a lent body arrived.
    pub(super) fn ended(&mut self, outcome: &Result<Answer, Failure>, received: Option<u64>) {
        if let Ok(Answer {
            upload_name: Some(name),
            ..
        }) = outcome
        {
            let about = self.about.take().map(Arc::unwrap_or_clone).unwrap_or_default();
            let upload_name = Some(name.clone());
            self.about = Some(Arc::new(Subject { upload_name, ..about }));
        }
        let Client {
            requests,
            failed,
            objects,
            ..
        } = &*self.client;
        let bytes_in = &self.client.received;
        requests.fetch_add(1, Ordering::Relaxed);
        bytes_in.fetch_add(received.unwrap_or(0), Ordering::Relaxed);
        if let Some(decided) = &self.decided {
            audit::line(
                &self.client,
                self.opcode,
                decided,
                self.about.as_deref(),
                outcome,
                received,
            );
        }
        match outcome {
            Ok(answer) => {
                let sent = received.is_none().then_some(answer.moved);
                self.client.sent.fetch_add(sent.unwrap_or(0), Ordering::Relaxed);
                objects.fetch_add(u64::from(answer.made()), Ordering::Relaxed);
                self.carried_out(answer, received, sent);
            }
            Err(failure) => {
                failed.fetch_add(1, Ordering::Relaxed);
                self.failed(failure, received);
            }
        }
    }

    fn carried_out(&self, answer: &Answer, received: Option<u64>, sent: Option<u64>) {
        let sent = sent.filter(|sent| *sent > 0);
        about!(
            debug, self, answer.generation,
            status = %"ok", http_status = http(answer.http_status), received, sent, duration_ms = ms(self.begun.elapsed()),
            part = self.about.as_deref().and_then(|about| about.part),
            "request"
        );
    }

    fn failed(&self, failure: &Failure, received: Option<u64>) {
        let none = Subject::default();
        let about = self.about.as_deref().unwrap_or(&none);
        let reply = &failure.reply;
        macro_rules! failed {
            ($event:ident) => {
                about!(
                    $event, self, None,
                    part = about.part,
                    source_bucket = about.source_bucket.as_ref().map(|name| name.as_str()),
                    source_object = about.source_object.as_ref().map(|name| name.as_str()),
                    source_generation = about.source_generation,
                    prefix = about.prefix.as_deref(),
                    project = about.project.as_deref(),
                    status = %failure.status, layer = layer(failure), retry = retry(failure),
                    http_status = http(failure.http_status), reason = reply.reason.as_deref(),
                    request_id = reply.request_id.as_deref(), committed = reply.committed,
                    received, body_len = self.body_len, duration_ms = ms(self.begun.elapsed()), error = reply.message,
                    "request failed"
                )
            };
        }
        match level(failure) {
            Level::ERROR => failed!(error),
            Level::WARN => failed!(warn),
            _ => failed!(info),
        }
    }

    /// The request was carried out, or not, and its client is gone.
    pub(super) fn unread(&self) {
        about!(debug, self, None, "the client is gone: its reply is dropped");
    }

    /// A defect: the task of the request panicked.
    pub(super) fn panicked(&self) {
        about!(error, self, None, "the request panicked");
    }
}

/// The level of a failure: it depends on whose fault it is.
fn level(failure: &Failure) -> Level {
    let Some(kind) = failure.status.kind() else {
        return Level::WARN;
    };
    match kind {
        Kind::Internal => Level::ERROR,
        // The daemon's machine cannot; GCS does not take its credentials, cannot now, or has less than it had.
        Kind::Exhausted
        | Kind::GcsUnauthorized
        | Kind::RateLimited
        | Kind::Unavailable
        | Kind::Incomplete
        | Kind::Regress => Level::WARN,
        // 499 answers a client that had cancelled the upload.
        Kind::SessionLost if failure.http_status != 499 => Level::WARN,
        _ => match kind.layer() {
            Layer::Network | Layer::Credentials => Level::WARN,
            // What else GCS answers, it answers to what the client asked for.
            Layer::Client | Layer::Daemon | Layer::Gcs => Level::INFO,
        },
    }
}

/// Whose certificate the peer has shown.
fn owner(peer: &Peer) -> Option<&str> {
    peer.certificate().map(Certificate::name)
}

fn layer(failure: &Failure) -> Option<&'static str> {
    failure.status.layer().map(Layer::name)
}

fn retry(failure: &Failure) -> Option<&'static str> {
    failure.status.retry().map(|retry| retry.name())
}

fn http(status: u16) -> Option<u16> {
    Some(status).filter(|status| *status != 0)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcsd_wire::Retry;

    #[test]
    fn a_failure_is_as_loud_as_it_is_the_daemons_matter() {
        let level_of = |kind| level(&Failure::new(kind, Retry::Never, "why"));
        for kind in Kind::ALL {
            match kind.layer() {
                Layer::Client => assert_eq!(level_of(*kind), Level::INFO, "{kind:?}"),
                Layer::Network | Layer::Credentials => assert_eq!(level_of(*kind), Level::WARN, "{kind:?}"),
                Layer::Daemon | Layer::Gcs => {}
            }
        }
        assert_eq!(level_of(Kind::Internal), Level::ERROR);
        assert_eq!(level_of(Kind::Draining), Level::INFO);
        for kind in [
            Kind::Exhausted,
            Kind::Unavailable,
            Kind::RateLimited,
            Kind::GcsUnauthorized,
            Kind::Regress,
        ] {
            assert_eq!(level_of(kind), Level::WARN, "{kind:?}");
        }
        for kind in [
            Kind::NotFound,
            Kind::PreconditionFailed,
            Kind::Forbidden,
            Kind::Refused,
        ] {
            assert_eq!(level_of(kind), Level::INFO, "{kind:?}");
        }
        let mut lost = Failure::new(Kind::SessionLost, Retry::Restart, "why");
        for (http_status, expected) in [(410, Level::WARN), (404, Level::WARN), (499, Level::INFO)] {
            lost.http_status = http_status;
            assert_eq!(level(&lost), expected, "{http_status}");
        }
    }
}
