//! One session: its progress and its bytes.
//!
//! Locks: `slot` is held while bytes go to the storage, and always taken before `progress`, which is held
//! for a few instructions only, so that a query never waits for a disk. Neither is held across an await.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::progress::{Batch, Phase, Plan, Progress};
use super::range::ContentRange;
use crate::acl::Grants;
use crate::error::Error;
use crate::inspect::{SessionPhase, SessionRecord};
use crate::lock::locked;
use crate::metadata::{Expected, Metadata};
use crate::resource::{Draft, Object};
use crate::storage::{BlobId, Store, Writer};
use crate::time::Time;
use gcsd_types::{CHUNK_ALIGNMENT, Preconditions};

/// What a session was started with. It does not change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) expected: Expected,
    /// `X-Upload-Content-Length`.
    pub(crate) declared: Option<u64>,
    #[serde(with = "conditions")]
    pub(crate) conditions: Preconditions,
    pub(crate) created: Time,
    /// The SHA-256 of the key to encrypt the object with; each request needs that key.
    #[serde(default)]
    pub(crate) key_sha256: Option<String>,
    /// The object's access control list, if it is not the bucket's default.
    #[serde(default)]
    pub(crate) acl: Option<Grants>,
    /// What the answer that shows the object shows of it (`fields` of the start).
    #[serde(default)]
    pub(crate) fields: Option<String>,
    /// The answer shows who may do what, too (`projection=full` of the start).
    #[serde(default)]
    pub(crate) full: bool,
}

/// A session as a directory keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    pub(crate) intent: Intent,
    pub(crate) blob: BlobId,
    /// The object that it became.
    pub(crate) finished: Option<Object>,
}

/// Where a session's bytes go.
#[derive(Debug)]
enum Slot {
    Ready(Writer),
    /// Left in a file by an earlier process; its checksums are recomputed only when they are needed.
    Dormant(BlobId),
    /// They became an object, or were thrown away.
    Gone,
}

/// A resumable session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Derived from the session's id; unlike the id, it gives no access.
    pub(crate) key: String,
    pub(crate) intent: Intent,
    slot: Mutex<Slot>,
    progress: Mutex<Progress>,
    /// Bytes read from the bodies of its requests.
    pub(crate) received: AtomicU64,
    /// Requests whose body is being read.
    pub(crate) writing: AtomicUsize,
    /// Requests that named it since its start.
    pub(crate) requests: AtomicU64,
    /// Bytes that are persisted and not reported yet.
    hidden: AtomicU64,
    /// The server knows that it has ended.
    noted: AtomicBool,
}

impl Session {
    /// A new session, with nothing persisted.
    pub(crate) fn start(store: &Store, key: String, intent: Intent) -> Result<Self, Error> {
        let mut writer = store.writer()?;
        if let (Some(directory), Some(blob)) = (store.directory(), writer.blob()) {
            let record = SavedSession {
                intent: intent.clone(),
                blob: blob.clone(),
                finished: None,
            };
            directory.save_session(&key, &record)?;
        }
        writer.keep();
        let progress = Progress::new(0, intent.declared, intent.expected);
        Ok(Self::with(key, intent, Slot::Ready(writer), progress))
    }

    /// A session that an earlier process left, with `len` bytes in its file.
    pub(crate) fn restore(key: String, record: SavedSession, len: u64) -> Self {
        let persisted = len - len % CHUNK_ALIGNMENT;
        let mut progress = Progress::new(persisted, record.intent.declared, record.intent.expected);
        let slot = match record.finished {
            Some(object) => {
                progress.phase = Phase::Finished(Arc::new(object));
                Slot::Gone
            }
            None => Slot::Dormant(record.blob),
        };
        Self::with(key, record.intent, slot, progress)
    }

    fn with(key: String, intent: Intent, slot: Slot, progress: Progress) -> Self {
        Self {
            key,
            intent,
            slot: Mutex::new(slot),
            progress: Mutex::new(progress),
            received: AtomicU64::new(0),
            writing: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
            noted: AtomicBool::new(false),
        }
    }

    /// Bytes that are persisted.
    pub(crate) fn persisted(&self) -> u64 {
        locked(&self.progress).persisted
    }

    /// Bytes that a query reports: those that are persisted and not hidden.
    pub(crate) fn reported(&self) -> u64 {
        self.persisted()
            .saturating_sub(self.hidden.load(Ordering::Relaxed))
    }

    /// Hides this many of the persisted bytes from now on.
    pub(crate) fn hide(&self, bytes: u64) {
        self.hidden.store(bytes, Ordering::Relaxed);
    }

    /// What a test can see of it.
    pub(crate) fn record(&self) -> SessionRecord {
        SessionRecord {
            bucket: self.intent.bucket.clone(),
            object: self.intent.name.clone(),
            received: self.received.load(Ordering::Relaxed),
            persisted: self.persisted(),
            writing: self.writing.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            phase: match self.phase() {
                Phase::Open => SessionPhase::Open,
                Phase::Finished(_) => SessionPhase::Finished,
                Phase::Ended(error) => SessionPhase::Ended(error.status().as_u16()),
            },
        }
    }

    /// Whether it has ended and nobody has asked this since.
    pub(crate) fn has_just_ended(&self) -> bool {
        !matches!(self.phase(), Phase::Open) && !self.noted.swap(true, Ordering::Relaxed)
    }

    /// Its state.
    pub(crate) fn phase(&self) -> Phase {
        locked(&self.progress).phase.clone()
    }

    /// Adds the checksums in a request's headers.
    pub(crate) fn expect(&self, headers: &http::HeaderMap) -> Result<(), Error> {
        if !headers.contains_key("x-goog-hash") {
            return Ok(());
        }
        // A later request's replace an earlier one's; those of the start always hold.
        let mut expected = self.intent.expected;
        expected.merge_headers(headers)?;
        locked(&self.progress).expected = expected;
        Ok(())
    }

    /// See [`Progress::plan`].
    pub(crate) fn plan(&self, range: ContentRange, length: Option<u64>) -> Result<Plan, Error> {
        locked(&self.progress).plan(range, length)
    }

    /// Persists the new bytes of `batch`. May block.
    pub(crate) fn append(&self, store: &Store, batch: Batch) -> Result<(), Error> {
        let mut slot = locked(&self.slot);
        let persisted = match locked(&self.progress) {
            progress if matches!(progress.phase, Phase::Open) => progress.persisted,
            progress => return progress.phase.refusal(),
        };
        let pieces = batch.from(persisted).unwrap_or_default();
        if pieces.is_empty() {
            return Ok(());
        }
        let writer = slot.ready(store, persisted)?;
        writer.append(&pieces)?;
        locked(&self.progress).persisted = writer.len();
        Ok(())
    }

    /// Makes the object of what is persisted and `tail`, if that is `total` bytes; `publish` makes it visible. May block.
    ///
    /// Returns where the session stands then: a wrong total leaves it open. A wrong checksum or a
    /// precondition that does not hold ends it.
    pub(crate) fn finish(
        &self,
        store: &Store,
        total: u64,
        tail: Batch,
        publish: impl FnOnce(&Draft, &Preconditions) -> Result<Arc<Object>, Error>,
    ) -> Result<Phase, Error> {
        let mut slot = locked(&self.slot);
        let (persisted, expected) = match locked(&self.progress) {
            progress if matches!(progress.phase, Phase::Open) => (progress.persisted, progress.expected),
            progress => return Ok(progress.phase.clone()),
        };
        let Some(tail) = tail.from(persisted) else {
            return Ok(Phase::Open);
        };
        let tail_len: u64 = tail.iter().map(|piece| piece.len() as u64).sum();
        if persisted + tail_len != total {
            return Ok(Phase::Open);
        }
        let writer = slot.ready(store, persisted)?;
        let (content, digests) = writer.complete(&tail)?;
        let draft = Draft {
            bucket: self.intent.bucket.clone(),
            name: self.intent.name.clone(),
            metadata: self.intent.metadata.clone(),
            digests,
            component_count: None,
            key_sha256: self.intent.key_sha256.clone(),
            acl: self.intent.acl.clone(),
            content,
        };
        let published = expected
            .check(digests.crc32c, digests.md5)
            .and_then(|()| publish(&draft, &self.intent.conditions));
        match published {
            Ok(object) => {
                self.record_finish(store, &slot, &object);
                *slot = Slot::Gone;
                let phase = Phase::Finished(Arc::new(object.without_chunks()));
                locked(&self.progress).phase = phase.clone();
                Ok(phase)
            }
            // The storage failed, not the request: the client may try again.
            Err(error) if error.is_internal() => Err(error),
            Err(error) => {
                self.clear(store, &mut slot);
                locked(&self.progress).phase = Phase::Ended(Error::text(StatusCode::GONE, "Gone"));
                Err(error)
            }
        }
    }

    /// Ends the session, unless it has ended already: every later request gets `answer`. May block.
    pub(crate) fn end(&self, store: &Store, answer: Error) -> Phase {
        let mut slot = locked(&self.slot);
        let mut progress = locked(&self.progress);
        let was_open = matches!(progress.phase, Phase::Open);
        if was_open {
            progress.phase = Phase::Ended(answer);
        }
        let phase = progress.phase.clone();
        drop(progress);
        if was_open {
            self.clear(store, &mut slot);
        }
        phase
    }

    /// Whether it is older than `lifetime`.
    pub(crate) fn is_expired(&self, lifetime: std::time::Duration, now: Time) -> bool {
        let age = now.micros().saturating_sub(self.intent.created.micros());
        u128::from(age) >= lifetime.as_micros()
    }

    fn clear(&self, store: &Store, slot: &mut Slot) {
        match std::mem::replace(slot, Slot::Gone) {
            Slot::Ready(writer) => writer.discard(),
            Slot::Dormant(blob) => {
                if let Some(directory) = store.directory() {
                    directory.remove_blob(&blob);
                }
            }
            Slot::Gone => {}
        }
        if let Some(directory) = store.directory() {
            directory.remove_session(&self.key);
        }
    }

    /// A record that cannot be written only costs the answer to a query after a restart: the
    /// object's own record is there already.
    fn record_finish(&self, store: &Store, slot: &Slot, object: &Object) {
        let (Some(directory), Slot::Ready(writer)) = (store.directory(), slot) else {
            return;
        };
        let Some(blob) = writer.blob() else { return };
        let record = SavedSession {
            intent: self.intent.clone(),
            blob: blob.clone(),
            finished: Some(object.clone()),
        };
        if let Err(error) = directory.save_session(&self.key, &record) {
            tracing::warn!(%error, "devgcs: a session's end could not be recorded");
        }
    }
}

impl Slot {
    fn ready(&mut self, store: &Store, persisted: u64) -> Result<&mut Writer, Error> {
        if let Self::Dormant(blob) = self {
            *self = Self::Ready(store.reopen(blob.clone(), persisted)?);
        }
        match self {
            Self::Ready(writer) => Ok(writer),
            Self::Dormant(_) | Self::Gone => Err(std::io::Error::other("a session lost its bytes").into()),
        }
    }
}

impl Phase {
    /// The answer to a request that sends bytes to a session that has ended.
    fn refusal(&self) -> Result<(), Error> {
        match self {
            Self::Ended(error) => Err(error.clone()),
            Self::Open | Self::Finished(_) => Ok(()),
        }
    }
}

/// The type has no serde of its own; a session's record has it as an array.
mod conditions {
    use super::Preconditions;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Preconditions, serializer: S) -> Result<S::Ok, S::Error> {
        [
            value.if_generation_match,
            value.if_generation_not_match,
            value.if_metageneration_match,
            value.if_metageneration_not_match,
        ]
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Preconditions, D::Error> {
        let [a, b, c, d] = <[Option<u64>; 4]>::deserialize(deserializer)?;
        Ok(Preconditions {
            if_generation_match: a,
            if_generation_not_match: b,
            if_metageneration_match: c,
            if_metageneration_not_match: d,
        })
    }
}
