//! The uploads of a connection, by the client's ids, with a queue of requests for each.
//!
//! Requests on one upload run in the order in which they were received; all others may overtake. Each request on an
//! upload has a [`Turn`], and waits until the turns before it on the same upload have ended.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::fences::{Claim, Fenced, Fences};
use super::{Failure, Subject};
use gcsd_gcs::Session;
use gcsd_types::ObjectInfo;
use gcsd_wire::{Kind, Opcode, Retry};

/// What an id names.
#[derive(Debug)]
pub(super) enum Bound {
    /// Nothing: not yet, or no longer.
    Free,
    /// The request that should have opened an upload failed, with this status and message.
    Failed(String, Option<Arc<Subject>>),
    /// An upload, ended or not.
    Upload(OpenUpload),
}

/// An upload that GCS knows.
#[derive(Debug)]
pub(super) struct OpenUpload {
    /// The upload at GCS, and what is known of it.
    session: Arc<Session>,
    /// Gives the right to work on it, until it has ended.
    claim: Option<Claim>,
    /// The object that it becomes, and its name in the log.
    about: Arc<Subject>,
}

impl OpenUpload {
    /// Claims `session`, which fences earlier claims on other connections or under other ids.
    pub(super) fn claim(fences: &Fences, session: Session, about: Subject) -> Self {
        let claim = fences.claim(session.uri());
        let session = Arc::new(session);
        let about = Arc::new(about);
        claim.describe(&session, &about);
        Self {
            session,
            claim: Some(claim),
            about,
        }
    }

    fn is_fenced(&self) -> bool {
        self.claim.as_ref().is_some_and(Claim::is_fenced)
    }

    fn fenced(&self) -> Failure {
        let message =
            "another connection attached to this upload and owns it now: here it can only be detached";
        Failure::new(Kind::Fenced, Retry::Never, message).with_committed(self.session.committed())
    }
}

impl Bound {
    fn is_open(&self) -> bool {
        matches!(self, Self::Upload(open) if !open.session.has_ended() && !open.is_fenced())
    }
}

/// What an id is bound to. Only the request whose turn it is changes it.
struct Slot(Mutex<Bound>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Bound> {
        // Each change is a single assignment: a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entry {
    slot: Arc<Slot>,
    /// Resolves when the turn of the last request in the queue ends; `None` if it is known to have ended.
    last: Option<Before>,
    /// When the entry was last used, as a count of requests.
    used: u64,
}

impl Entry {
    /// Whether its queue is empty and it names no open upload.
    fn is_idle(&mut self) -> bool {
        if self.last.as_mut().is_none_or(Before::has_ended) {
            self.last = None;
        }
        self.last.is_none() && !self.slot.lock().is_open()
    }
}

/// The uploads of a connection.
pub struct Uploads {
    entries: HashMap<u32, Entry>,
    max: usize,
    requests: u64,
}

impl Uploads {
    /// A table of at most `max` ids.
    pub fn new(max: u32) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            entries: HashMap::new(),
            max,
            requests: 0,
        }
    }

    /// Queues a request that has just been received for the upload `id`.
    pub fn enqueue(&mut self, opcode: Opcode, id: u32) -> Result<Turn, Failure> {
        let binds = matches!(opcode, Opcode::StartUpload | Opcode::AttachUpload);
        if id == 0 {
            return Err(unknown("the upload id 0 names no upload".to_owned()));
        }
        self.requests += 1;
        let (end, ended) = oneshot::channel();
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.used = self.requests;
            let before = entry.last.replace(Before(ended));
            return Ok(Turn {
                slot: entry.slot.clone(),
                before,
                end: Some(end),
            });
        }
        if !binds {
            return Err(unknown(format!(
                "the upload {id} was not started or attached on this connection"
            )));
        }
        self.evict_idle()?;
        let slot = Arc::new(Slot(Mutex::new(Bound::Free)));
        self.entries.insert(
            id,
            Entry {
                slot: slot.clone(),
                last: Some(Before(ended)),
                used: self.requests,
            },
        );
        Ok(Turn {
            slot,
            before: None,
            end: Some(end),
        })
    }

    /// The uploads that are still open and nobody else's, with what is committed of each: for the log.
    pub fn unfinished(&self) -> Vec<(Arc<Subject>, u64)> {
        let open = |entry: &Entry| match &*entry.slot.lock() {
            bound @ Bound::Upload(upload) if bound.is_open() => {
                Some((upload.about.clone(), upload.session.committed()))
            }
            _ => None,
        };
        self.entries.values().filter_map(open).collect()
    }

    /// Forgets the id that has been idle longest, if the table is full.
    fn evict_idle(&mut self) -> Result<(), Failure> {
        if self.entries.len() < self.max {
            return Ok(());
        }
        let idle = self
            .entries
            .iter_mut()
            .filter_map(|(id, entry)| entry.is_idle().then_some((entry.used, *id)));
        let Some((_, oldest)) = idle.min() else {
            let message = format!(
                "{} uploads are open on this connection: finish, cancel or detach one",
                self.max
            );
            return Err(Failure::new(Kind::TooManyUploads, Retry::Never, message));
        };
        self.entries.remove(&oldest);
        Ok(())
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploads")
            .field("ids", &self.entries.len())
            .field("max", &self.max)
            .finish()
    }
}

/// A request's turn in the queue of an upload. It ends when it is dropped.
pub struct Turn {
    slot: Arc<Slot>,
    /// Resolves when the turn before ends; `None` once it has.
    before: Option<Before>,
    /// Tells the turn behind. `None` once it was told.
    end: Option<oneshot::Sender<Before>>,
}

/// The previous turn. If that was given up before it came, it passes on the one that it waited for.
struct Before(oneshot::Receiver<Before>);

impl Before {
    /// Waits until all turns before have ended. Cancel safe.
    async fn ended(&mut self) {
        // An error means that the turn was dropped when it had come, which is its end.
        while let Ok(before) = (&mut self.0).await {
            *self = before;
        }
    }

    /// Whether all turns before are known to have ended.
    fn has_ended(&mut self) -> bool {
        loop {
            match self.0.try_recv() {
                Ok(before) => *self = before,
                Err(error) => return error == TryRecvError::Closed,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A later request must not overtake an earlier one.
        if let Some(before) = self.before.take()
            && let Some(end) = self.end.take()
        {
            // Nobody may be behind.
            let _ = end.send(before);
        }
    }
}

impl Turn {
    /// Waits until it is this request's turn. Cancel safe.
    pub async fn wait(&mut self) {
        if let Some(before) = &mut self.before {
            before.ended().await;
            self.before = None;
        }
    }

    /// Whether an upload may be bound to the id now.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        if self.slot.lock().is_open() {
            let message =
                "the upload id names an upload that has not ended: finish, cancel or detach it first";
            return Err(Failure::new(Kind::UploadInUse, Retry::Never, message));
        }
        Ok(())
    }

    /// Binds the id.
    pub(super) fn bind(&self, bound: Bound) {
        *self.slot.lock() = bound;
    }

    /// Notes why there is no upload, for the requests that wait in the queue.
    pub(super) fn bind_failure(&self, failure: &Failure, about: Option<Subject>) {
        let why = format!("{}: {}", failure.status, failure.reply.message);
        self.bind(Bound::Failed(why, about.map(Arc::new)));
    }

    /// Notes that a StartUpload or an AttachUpload was ended from outside; it was `begun` if it may have bound the id.
    pub fn opening_failed(&self, begun: bool, failure: &Failure) {
        // Before, a refusal would have left alone what the id is bound to.
        if begun || self.check_free().is_ok() {
            self.bind_failure(failure, None);
        }
    }

    /// Looks at the upload. Fails if there is none.
    fn with<T>(&self, look: impl FnOnce(&mut OpenUpload) -> T) -> Result<T, Failure> {
        match &mut *self.slot.lock() {
            Bound::Upload(open) => Ok(look(open)),
            Bound::Failed(why, _) => {
                let message = format!("the upload was not opened: {why}");
                Err(Failure::new(Kind::UploadFailed, Retry::Never, message))
            }
            Bound::Free => Err(unknown("the upload was detached from this connection".to_owned())),
        }
    }

    /// Fails if there is no upload.
    pub(super) fn check_bound(&self) -> Result<(), Failure> {
        self.with(|_| ())
    }

    /// Whether there is an upload, ended or not.
    pub fn is_bound(&self) -> bool {
        self.check_bound().is_ok()
    }

    /// The object, if the upload is known to have become one.
    pub(super) fn object(&self) -> Result<Option<ObjectInfo>, Failure> {
        self.with(|open| open.session.object())
    }

    /// The upload's session, for a request on it. Fails if another connection took the upload over.
    pub(super) fn session(&self) -> Result<Arc<Session>, Failure> {
        self.with(|open| match open.is_fenced() {
            true => Err(open.fenced()),
            false => Ok(open.session.clone()),
        })?
    }

    /// Carries out a request on the upload, once earlier claims have none in flight. If another connection takes the upload
    /// over, the request is cut.
    pub(super) async fn call<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let called = match self.with(|open| open.claim.clone())? {
            Some(claim) => claim.call(request).await,
            None => Ok(request.await),
        };
        self.with(|open| {
            // An upload that has ended cannot be taken over.
            if open.session.has_ended() {
                open.claim = None;
            }
            match called {
                Ok(outcome) => outcome.map_err(Failure::from),
                Err(Fenced) => Err(open.fenced()),
            }
        })?
    }

    /// Waits until another connection takes the upload over; for ever, if there is none. Cancel safe.
    pub async fn fenced(&self) {
        match self.with(|open| open.claim.clone()) {
            Ok(Some(claim)) => claim.fenced().await,
            _ => std::future::pending().await,
        }
    }

    /// What the upload is, for the log; `None` if nothing is known of it. It must be the request's turn.
    pub fn about(&self) -> Option<Arc<Subject>> {
        match &*self.slot.lock() {
            Bound::Upload(open) => Some(open.about.clone()),
            Bound::Failed(_, about) => about.clone(),
            Bound::Free => None,
        }
    }

    /// What is known to be committed; `None` if there is no upload.
    pub fn committed(&self) -> Option<u64> {
        self.with(|open| open.session.committed()).ok()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("waits", &self.before.is_some())
            .finish_non_exhaustive()
    }
}

fn unknown(message: String) -> Failure {
    Failure::new(Kind::UnknownUpload, Retry::Never, message)
}
