//! What is under way: for whoever looks at the daemon, and for what is counted.
//!
//! A request is entered when its head was read, and struck out with its answer. Looking costs those who look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lines::Client;
use crate::ops::{Answer, Failure, Subject};
use crate::stats::{Culprit, Stats};
use gcsd_gcs::Tally;
use gcsd_wire::{Kind, Opcode, RequestHead};

/// The requests that are under way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    stats: Arc<Stats>,
    next: AtomicU64,
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    client: Arc<Client>,
    opcode: &'static str,
    body_len: Option<u64>,
    begun: Instant,
    about: Mutex<Option<Arc<Subject>>>,
    /// What came of its body, if that was lent.
    body: Mutex<Option<Tally>>,
    /// How much of that was counted.
    counted: AtomicU64,
}

/// A request that is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    ledger: Arc<Ledger>,
    id: u64,
    entry: Arc<Entry>,
}

/// A request that is under way, as [`Handle::requests`](super::Handle::requests) shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// The number of its connection, as in the log.
    pub connection: u64,
    /// Where the client is.
    pub peer: String,
    /// What it asks for.
    pub opcode: &'static str,
    /// What it is about, where that is known.
    pub about: Option<Arc<Subject>>,
    /// The bytes of its body that came.
    pub received: u64,
    /// The length of its body, where the client has said it.
    pub body_len: Option<u64>,
    /// How long ago it began.
    pub age: Duration,
}

impl Ledger {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self {
            stats,
            ..Self::default()
        }
    }

    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        // Each change is one insertion or removal.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a request whose head was read just now.
    pub(super) fn enter(self: &Arc<Self>, client: Arc<Client>, head: &RequestHead) -> UnderWay {
        let opcode = Opcode::from_code(head.opcode);
        let has_body = opcode.is_some_and(Opcode::has_body);
        let entry = Arc::new(Entry {
            client,
            opcode: opcode.map_or("unknown", Opcode::name),
            body_len: (has_body && !head.streamed()).then_some(head.body_len),
            begun: Instant::now(),
            about: Mutex::default(),
            body: Mutex::default(),
            counted: AtomicU64::new(0),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, entry.clone());
        let ledger = self.clone();
        UnderWay { ledger, id, entry }
    }

    /// How many requests are under way.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The requests that are under way, the oldest first.
    pub(super) fn requests(&self) -> Vec<Request> {
        let entries: Vec<_> = self.lock().values().cloned().collect();
        let mut requests: Vec<_> = entries.iter().map(|entry| entry.show()).collect();
        requests.sort_by_key(|request| std::cmp::Reverse(request.age));
        requests
    }

    /// Counts what has come of bodies that are still under way.
    pub(super) fn settle(&self) {
        let entries: Vec<_> = self.lock().values().cloned().collect();
        for entry in entries {
            self.stats.received(entry.uncounted());
        }
    }
}

impl Entry {
    fn received(&self) -> u64 {
        held(&self.body).as_ref().map_or(0, Tally::received)
    }

    /// What has come of the body since this was asked last.
    fn uncounted(&self) -> u64 {
        let received = self.received();
        let counted = self.counted.fetch_max(received, Ordering::Relaxed);
        received.saturating_sub(counted)
    }

    fn show(&self) -> Request {
        Request {
            connection: self.client.id(),
            peer: self.client.place(),
            opcode: self.opcode,
            about: held(&self.about).clone(),
            received: self.received(),
            body_len: self.body_len,
            age: self.begun.elapsed(),
        }
    }
}

impl UnderWay {
    /// Says what it is about.
    pub(super) fn about(&self, about: &Option<Arc<Subject>>) {
        if about.is_some() {
            held(&self.entry.about).clone_from(about);
        }
    }

    /// Its body is lent.
    pub(super) fn lent(&self, body: Tally) {
        *held(&self.entry.body) = Some(body);
    }

    /// It was answered.
    pub(super) fn answered(&self, outcome: &Result<Answer, Failure>) {
        let stats = &self.ledger.stats;
        let status = match outcome {
            Ok(_) => "ok",
            Err(failure) => failure.status.name(),
        };
        stats.answered(self.entry.opcode, status, self.entry.begun.elapsed());
        match outcome.as_ref().err().and_then(|failure| failure.status.kind()) {
            Some(Kind::ClientStalled) => stats.stalled(Culprit::Client),
            Some(Kind::GcsStalled) => stats.stalled(Culprit::Gcs),
            Some(Kind::Unauthenticated) => stats.refused(Stats::WRONG_SECRET),
            _ => {}
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ledger.lock().remove(&self.id);
        self.ledger.stats.received(self.entry.uncounted());
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single assignment.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
